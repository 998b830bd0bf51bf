/**
 * Runs one collected test in this process, with or without a mutant, and stops it when it does not come to an end:
 * by Stryker's count of hits, or by time.
 */
import { Script } from 'node:vm';
import type { MutantCoverage } from '@stryker-mutator/api/core';
import type { CollectedTest } from './test-api.ts';

export type Outcome =
  | { readonly result: 'passed' | 'endless' }
  | { readonly result: 'failed'; readonly message: string };

/** What the instrumented code reads and counts, under the name it looks for. */
interface Instrumented {
  activeMutant?: string | undefined;
  currentTestId?: string | undefined;
  mutantCoverage?: MutantCoverage;
  hitCount: number;
  hitLimit?: number | undefined;
}

export const instrumented: Instrumented = { hitCount: 0 };
const shared: { __stryker__?: Instrumented; countersignTestBody?: () => unknown } = Object.assign(
  globalThis,
  { __stryker__: instrumented },
);

/** Only a script of its own can be stopped in the middle of a loop. */
const callBody = new Script('globalThis.countersignTestBody()');

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;

export async function runTest({ body }: CollectedTest, timeoutMs: number): Promise<Outcome> {
  instrumented.hitCount = 0;
  shared.countersignTestBody = body;
  try {
    await callBody.runInThisContext({ timeout: timeoutMs });
    return { result: 'passed' };
  } catch (error) {
    const endless =
      hasCode(error, 'ERR_SCRIPT_EXECUTION_TIMEOUT') ||
      (instrumented.hitLimit !== undefined && instrumented.hitCount > instrumented.hitLimit);
    return endless ? { result: 'endless' } : { result: 'failed', message: String(error) };
  }
}

/** The same, with a mutant switched on. */
export async function runWithMutant(
  mutantId: string,
  hitLimit: number | undefined,
  test: CollectedTest,
  timeoutMs: number,
): Promise<Outcome> {
  instrumented.activeMutant = mutantId;
  instrumented.hitLimit = hitLimit;
  const outcome = await runTest(test, timeoutMs);
  instrumented.activeMutant = undefined;
  instrumented.hitLimit = undefined;
  return outcome;
}
