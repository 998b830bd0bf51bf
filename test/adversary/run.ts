/**
 * `npm run adversary -- --steps 100000 --seed 7`: attacks the signer, hunts false refusals, robs broken signers, plays a replay
 * file again; and tells what was found.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type MutantRow,
  ReplayFileError,
  type RunResult,
  type RunSetup,
  readReplay,
  replayOf,
  reportPage,
  storyOf,
  writeReplay,
} from '@countersign/adversary';
import { campaign, replayed } from './campaign.ts';
import { RULES } from './game.ts';
import type { Progress } from './gathering.ts';
import { EXCUSED, MUTANTS, mutantById } from './mutants/index.ts';
import type { Mutant } from './mutants/mutant.ts';
import { robAll } from './mutants/rob.ts';
import { type AdversaryOptions, readOptions } from './options.ts';

const PROGRESS_MS = 2_000;
const GREEDY_PERCENT = 25;

async function resultOf(asked: AdversaryOptions): Promise<RunResult> {
  if (asked.replay !== undefined) return replay(asked.replay);
  if (asked.mutants !== undefined) return robbery(asked, mutantsNamed(asked.mutants));
  const setup: RunSetup = {
    seed: asked.seed,
    channels: asked.channels,
    isHonest: asked.honest,
    mutant: null,
    subject: asked.process ? 'process' : 'memory',
  };
  const limit = asked.minutes === undefined ? {} : { minutesMax: asked.minutes };
  return campaign({ setup, ...effort(asked), ...limit, onProgress: progressLine() });
}

function effort({ steps, moves, greedy, endgames, shrink }: AdversaryOptions) {
  return {
    steps,
    movesPerMatch: moves,
    greedyPercent: greedy ? 100 : GREEDY_PERCENT,
    endgameEvery: endgames,
    shrinkMs: shrink * 1000,
  };
}

function mutantsNamed(names: NonNullable<AdversaryOptions['mutants']>): readonly Mutant[] {
  if (names === true) return MUTANTS;
  return names.map((name) => mutantById(name) ?? usage(`there is no mutant "${name}"`));
}

async function robbery(asked: AdversaryOptions, mutants: readonly Mutant[]): Promise<RunResult> {
  const startedMs = performance.now();
  const { seed, channels, timeout, jobs } = asked;
  const onRow = (row: MutantRow) => process.stdout.write(`${rowLine(row)}\n`);
  const rows = await robAll(mutants, {
    seed,
    channels,
    jobs,
    timeoutMs: timeout * 1000,
    ...effort(asked),
    onRow,
  });
  const robbed = rows.filter(({ outcome }) => outcome === 'robbed').length;
  process.stdout.write(`${robbed} of ${rows.length} broken signers were robbed\n`);
  return {
    setup: { seed, channels, isHonest: false, mutant: null, subject: 'memory' },
    steps: rows.reduce((sum, { steps }) => sum + steps, 0),
    matches: rows.length,
    elapsedMs: Math.round(performance.now() - startedMs),
    longestMatchSteps: 0,
    wealthChecks: 0,
    endgames: 0,
    readings: [],
    coverage: [],
    found: null,
    mutants: rows,
    excused: [...EXCUSED],
  };
}

function rowLine({ id, law, outcome, steps, missingSat, story }: MutantRow): string {
  const head = `${outcome.padEnd(8)} ${id.padEnd(32)} law ${law.padEnd(8)} ${String(steps).padStart(7)} requests`;
  const loss = outcome === 'robbed' ? `  ${missingSat} sat` : '';
  return outcome === 'failed' ? `${head}\n         ${story}` : `${head}${loss}`;
}

/** Of a broken signer in a process that loads it so. */
async function replay(file: string): Promise<RunResult> {
  const { setup, moves } = readReplayFile(file);
  const { mutant } = setup;
  if (mutant === null || process.env.ADVERSARY_MUTANT === mutant) return replayed(setup, moves);
  if (mutantById(mutant) === undefined) usage(`there is no mutant "${mutant}"`);
  const load = new URL('mutants/load.ts', import.meta.url).href;
  const flags = ['--conditions=source', '--disable-warning=ExperimentalWarning', '--import', load];
  const args = [...flags, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const env = { ...process.env, ADVERSARY_MUTANT: mutant };
  process.exit(spawnSync(process.execPath, args, { env, stdio: 'inherit' }).status ?? 1);
}

function readReplayFile(file: string) {
  try {
    return readReplay(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error instanceof ReplayFileError) usage(`${file}: ${error.message}`);
    return usage(`${file} can't be read: ${String(error)}`);
  }
}

function usage(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

function progressLine(): (progress: Progress) => void {
  let toldMs = 0;
  return ({ steps, matches, endgames, elapsedMs, deepestSat }) => {
    if (elapsedMs - toldMs < PROGRESS_MS) return;
    toldMs = elapsedMs;
    const rate = Math.round((steps * 1000) / elapsedMs);
    process.stderr.write(
      `${steps} requests, ${matches} matches, ${endgames} endgames, ${rate} requests/s, W at most ${deepestSat} sat down\n`,
    );
  };
}

function writeReport(directory: string, run: RunResult): void {
  mkdirSync(directory, { recursive: true });
  const subtitle = `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC, Node.js ${process.version}`;
  writeFileSync(join(directory, 'page.html'), reportPage(run, { rules: RULES, subtitle }));
  writeFileSync(join(directory, 'story.txt'), storyOf(run));
  writeFileSync(join(directory, 'result.json'), `${JSON.stringify(run, null, 1)}\n`);
  if (run.found !== null)
    writeFileSync(join(directory, 'replay.json'), writeReplay(replayOf(run.setup, run.found)));
}

const options = readOptions(process.argv.slice(2));
const result = await resultOf(options);
process.stdout.write(storyOf(result));
if (options.report !== undefined) writeReport(options.report, result);
const isClean = result.found === null && result.mutants.every(({ outcome }) => outcome === 'robbed');
process.exitCode = isClean ? 0 : 1;
