/**
 * Many rounds of killing over the recordings with the most traffic, from one seed.
 */

import { join } from 'node:path';
import { BUNDLED_RECORDINGS, loadScenario, type Recording } from '@countersign/cli';
import { SeededRandom } from './random.ts';
import { KillSubject, type RoundResult } from './subject.ts';

/** Sessions in which nothing is refused and no process restarts by itself. */
const SCENARIOS = ['20-payments-load', 'open-pay-close', 'force-close-htlc', 'static-remotekey', 'forward'];
const FAILURES_TOLD_PER_ROUND = 3;

export interface KillOptions {
  readonly rounds: number;
  readonly seed: number;
  readonly hsmdPath: string;
  readonly onRound?: (round: number, result: RoundResult) => void;
}

export interface KillSummary {
  readonly rounds: number;
  readonly advanced: number;
  readonly retried: number;
  readonly inFlight: number;
  readonly failures: readonly string[];
}

function recordings(): Recording[] {
  const all = SCENARIOS.flatMap((name) => loadScenario(join(BUNDLED_RECORDINGS, name)));
  return all.filter((recording) => recording.runs.length === 1);
}

/** One lost record refuses much of what follows: the first failures tell, the rest repeats. */
function firstOf(failures: readonly string[]): readonly string[] {
  const more = failures.length - FAILURES_TOLD_PER_ROUND;
  return more > 0 ? [...failures.slice(0, FAILURES_TOLD_PER_ROUND), `${more} more failures`] : failures;
}

export async function killRounds(options: KillOptions): Promise<KillSummary> {
  const random = new SeededRandom(options.seed);
  const pool = recordings();
  const summary = { rounds: 0, advanced: 0, retried: 0, inFlight: 0, failures: [] as string[] };
  let subject: KillSubject | undefined;
  while (summary.rounds < options.rounds) {
    subject ??= new KillSubject(random.pick(pool), options.hsmdPath);
    const result = await subject.round(random);
    summary.rounds += 1;
    summary.advanced += result.advanced;
    summary.retried += result.retried;
    if (result.killedAt === 'in-flight') summary.inFlight += 1;
    const where = `round ${summary.rounds}, ${result.node}`;
    summary.failures.push(...firstOf(result.failures).map((failure) => `${where}, ${failure}`));
    options.onRound?.(summary.rounds, result);
    if (result.failures.length > 0) {
      summary.failures.push(`the state of round ${summary.rounds} is kept in ${subject.directory}`);
      subject = undefined;
    } else if (subject.isFinished) {
      subject.remove();
      subject = undefined;
    }
  }
  subject?.remove();
  return summary;
}
