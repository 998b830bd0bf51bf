/** Entry of the live suite: real lightningd and bitcoind on regtest, with countersign-hsmd as the nodes' signer. Promises that a
 *  run without the daemons counts as skipped, never as passed, and that nothing it started outlives it. */
import { spawnSync } from 'node:child_process';
import { killAll } from './daemon.ts';
import { findPrograms, type LiveOptions, OptionError, type Programs, readOptions, USAGE } from './options.ts';
import { type Outcome, runScenario, type Scenario } from './scenario.ts';
import { SCENARIOS } from './scenarios/index.ts';

function choose(only: string[]): Scenario[] {
  if (only.length === 0) return SCENARIOS;
  for (const name of only) {
    if (!SCENARIOS.some((one) => one.name.startsWith(name))) {
      throw new OptionError(`--only ${name}: no such scenario; --list shows them`);
    }
  }
  return SCENARIOS.filter((one) => only.some((name) => one.name.startsWith(name)));
}

function seconds(duration_ms: number): string {
  return `${(duration_ms / 1000).toFixed(1)} s`;
}

function print(outcome: Outcome): void {
  const notes = outcome.notes.length > 0 ? `  (${outcome.notes.join('; ')})` : '';
  console.log(
    `${outcome.result.padEnd(7)} ${seconds(outcome.duration_ms).padStart(7)}  ${outcome.scenario.name}${notes}`,
  );
  if (outcome.report !== '') console.log(outcome.report);
}

function skip(scenario: Scenario, reason: string): Outcome {
  return { scenario, result: 'skipped', duration_ms: 0, notes: [reason], report: '' };
}

async function runAll(scenarios: Scenario[], programs: Programs, options: LiveOptions): Promise<Outcome[]> {
  const features = spawnSync(programs.lightningd, ['--list-features-only'], { encoding: 'utf8' }).stdout;
  const outcomes: Outcome[] = [];
  const queue = [...scenarios];
  const work = async (): Promise<void> => {
    for (let scenario = queue.shift(); scenario !== undefined; scenario = queue.shift()) {
      const reason = scenario.unless?.(features, options.signers);
      const outcome =
        reason === undefined ? await runScenario(scenario, programs, options) : skip(scenario, reason);
      outcomes.push(outcome);
      print(outcome);
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, work));
  return outcomes;
}

function summarize(outcomes: Outcome[]): number {
  const count = (result: Outcome['result']): number => outcomes.filter((one) => one.result === result).length;
  console.log(`${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`);
  return count('failed') === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  const scenarios = choose(options.only);
  if (options.list) {
    for (const scenario of scenarios) console.log(`${scenario.name.padEnd(26)} ${scenario.about}`);
    return 0;
  }
  const found = findPrograms(process.env, options.signers);
  if ('missing' in found) {
    console.log('The live suite was skipped: it needs Core Lightning and Bitcoin Core.');
    for (const missing of found.missing) console.log(`  ${missing}`);
    return summarize(scenarios.map((scenario) => skip(scenario, 'no daemons')));
  }
  console.log(`lightningd ${found.programs.lightningd}\nbitcoind   ${found.programs.bitcoind}`);
  console.log(
    `hsmd       ${options.signers === 'none' ? 'stock' : `${found.programs.hsmd} (${options.signers}${options.remote ? ', remote' : ''}), preset ${options.preset}, seed ${options.seed}`}`,
  );
  const start_ms = performance.now();
  const outcomes = await runAll(scenarios, found.programs, options);
  console.log(`in ${seconds(performance.now() - start_ms)}`);
  return summarize(outcomes);
}

process.on('exit', killAll);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));

try {
  process.exit(await main());
} catch (error) {
  if (!(error instanceof OptionError || (error instanceof TypeError && 'code' in error))) throw error;
  console.error(`${error.message}\n\n${USAGE}`);
  process.exit(2);
}
