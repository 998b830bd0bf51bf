/**
 * Stryker's test runner for core: all test files are loaded once, a mutant is switched on in the running process, and
 * the tests that reach it run until one notices.
 *
 * A test notices a mutant only if it passes again without it. Where it does not, the mutant before may have left
 * something behind in a module, and Stryker is told to ask again in a new process.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { declareClassPlugin, PluginKind } from '@stryker-mutator/api/plugin';
import {
  type DryRunResult,
  DryRunStatus,
  type MutantRunOptions,
  type MutantRunResult,
  MutantRunStatus,
  type TestResult,
  type TestRunner,
  TestStatus,
} from '@stryker-mutator/api/test-runner';
import { loadTests } from './load-tests.ts';
import { instrumented, type Outcome, runTest, runWithMutant } from './run-test.ts';
import type { CollectedTest } from './test-api.ts';
import { TestOrder } from './test-order.ts';

/** In Stryker's copy of the tree, for the processes that did not do the first run. */
const DURATIONS = 'mutation-durations.json';
const FIRST_RUN_MS = 60_000;

/** What all tests together may take for one mutant, as measured in the first run. */
const budgetMs = Number(process.env.MUTATION_BUDGET_MS ?? 5000);

class OneProcessRunner implements TestRunner {
  readonly #tests = new Map<string, CollectedTest>();
  #order: TestOrder | undefined;
  #mutantsMet = 0;
  #leftBehind = false;

  /**
   * Mutants that are also reached while files load are to be met by freshly loaded ones; but they are switched on only
   * for tests (`ignoreStatic`), so what is loaded never knows one.
   */
  capabilities() {
    return { reloadEnvironment: true };
  }

  async init(): Promise<void> {
    const names = (process.env.MUTATION_TESTS ?? '*').split(' ');
    for (const test of await loadTests(names)) this.#tests.set(test.id, test);
  }

  async dryRun(): Promise<DryRunResult> {
    const tests: TestResult[] = [];
    for (const test of this.#tests.values()) tests.push(await this.#firstRun(test));
    writeFileSync(DURATIONS, JSON.stringify(tests.map(({ id, timeSpentMs }) => [id, timeSpentMs])));
    const { mutantCoverage = { static: {}, perTest: {} } } = instrumented;
    return { status: DryRunStatus.Complete, tests, mutantCoverage };
  }

  async #firstRun(test: CollectedTest): Promise<TestResult> {
    const { id, name, file } = test;
    instrumented.currentTestId = id;
    const begin = performance.now();
    const outcome = await runTest(test, FIRST_RUN_MS);
    const common = { id, name, fileName: file, timeSpentMs: performance.now() - begin };
    instrumented.currentTestId = undefined;
    if (outcome.result === 'passed') return { ...common, status: TestStatus.Success };
    const failureMessage = outcome.result === 'failed' ? outcome.message : 'does not end';
    return { ...common, status: TestStatus.Failed, failureMessage };
  }

  async mutantRun({ activeMutant, hitLimit, testFilter }: MutantRunOptions): Promise<MutantRunResult> {
    if (this.#leftBehind) throw new Error('a new process is needed: a test fails without a mutant');
    this.#mutantsMet += 1;
    this.#order ??= new TestOrder(new Map(JSON.parse(readFileSync(DURATIONS, 'utf8'))));
    const { id, fileName } = activeMutant;
    const chosen = this.#order.forMutant(fileName, testFilter ?? [...this.#tests.keys()], budgetMs);
    for (const [index, name] of chosen.entries()) {
      const test = this.#tests.get(name)!;
      const outcome = await runWithMutant(id, hitLimit, test, this.#timeoutMs(name));
      this.#order.record(fileName, name, outcome.result !== 'passed');
      if (outcome.result !== 'passed') return this.#noticed(test, outcome, index + 1);
    }
    return { status: MutantRunStatus.Survived, nrOfTests: chosen.length };
  }

  #timeoutMs(name: string): number {
    return Math.ceil(2000 + 5 * (this.#order?.durationMs(name) ?? 0));
  }

  async #noticed(test: CollectedTest, outcome: Outcome, nrOfTests: number): Promise<MutantRunResult> {
    const again = await runTest(test, this.#timeoutMs(test.id));
    this.#leftBehind = again.result !== 'passed';
    if (this.#leftBehind && this.#mutantsMet > 1) throw new Error(`${test.id} fails without a mutant`);
    if (outcome.result !== 'failed') return { status: MutantRunStatus.Timeout };
    const { message } = outcome;
    return { status: MutantRunStatus.Killed, killedBy: [test.id], failureMessage: message, nrOfTests };
  }
}

export const strykerPlugins = [declareClassPlugin(PluginKind.TestRunner, 'one-process', OneProcessRunner)];
