/** What a scenario is, and how one is run: bounded, its world always stopped, its directory kept only when it failed. */
import { existsSync, readFileSync } from 'node:fs';
import type { Programs, SignerChoice } from './options.ts';
import { within } from './wait.ts';
import { World, type WorldOptions } from './world.ts';

const SCENARIO_TIMEOUT_MS = 180_000;
const LOG_LINES_SHOWN = 24;
/** The lines of a node's log that tell of trouble. */
const TELLING = /BROKEN|UNUSUAL|STATUS_FAIL|fatal|refus|HSM gave/i;

export interface Scenario {
  readonly name: string;
  readonly about: string;
  /** Why the scenario can't be run with this lightningd and these signers, or undefined. */
  readonly unless?: (features: string, signers: SignerChoice) => string | undefined;
  /** How long it may take, where it is more than the usual three minutes. */
  readonly timeout_ms?: number;
  readonly run: (world: World, note: (text: string) => void) => Promise<void>;
}

export interface Outcome {
  readonly scenario: Scenario;
  readonly result: 'passed' | 'failed' | 'skipped';
  readonly duration_ms: number;
  readonly notes: string[];
  readonly report: string;
}

function logTail(path: string): string {
  if (!existsSync(path)) return '';
  const text = readFileSync(path, 'utf8').trimEnd();
  if (text === '') return '    (empty)';
  const lines = text.split('\n');
  const telling = lines.filter((line) => TELLING.test(line)).slice(-LOG_LINES_SHOWN / 2);
  const last = lines.slice(-LOG_LINES_SHOWN / 2);
  return [...telling, '  …', ...last].map((line) => `    ${line.slice(0, 400)}`).join('\n');
}

function failureReport(world: World, error: unknown): string {
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const parts = [`  ${reason}`, `  kept: ${world.directory}`];
  for (const node of world.nodes) {
    parts.push(`  log of ${node.name} (${node.ended ?? 'running'}):`, logTail(node.log_path));
    if (existsSync(node.output_path)) parts.push(`  output of ${node.name}:`, logTail(node.output_path));
    const { remote } = node.settings;
    if (remote !== null)
      parts.push(`  signer of ${node.name} (${remote.ended ?? 'running'}):`, logTail(remote.output_path));
  }
  return parts.join('\n');
}

/** Runs the scenario in a world that is stopped afterwards; an unclean stop is a failure too. */
async function runIn(world: World, scenario: Scenario, notes: string[]): Promise<string | undefined> {
  try {
    const running = scenario.run(world, (text) => notes.push(text));
    await within(`scenario ${scenario.name}`, scenario.timeout_ms ?? SCENARIO_TIMEOUT_MS, running);
    await world.stop();
    return undefined;
  } catch (error) {
    const report = failureReport(world, error);
    await world.crash();
    return report;
  }
}

export async function runScenario(
  scenario: Scenario,
  programs: Programs,
  options: WorldOptions & { readonly keep: boolean },
): Promise<Outcome> {
  const start_ms = performance.now();
  const notes: string[] = [];
  let report: string | undefined;
  try {
    const world = await World.open(scenario.name, programs, options);
    report = await runIn(world, scenario, notes);
    if (options.keep) notes.push(`kept: ${world.directory}`);
    else if (report === undefined) world.remove();
  } catch (error) {
    report = `  ${String(error)}`;
  }
  const result = report === undefined ? 'passed' : 'failed';
  return { scenario, result, duration_ms: performance.now() - start_ms, notes, report: report ?? '' };
}
