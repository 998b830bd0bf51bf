/**
 * Robs broken signers, each in a process of its own whose sources are changed as they are loaded. So many at a time as there
 * are processors; the order of the answers is that of the mutants.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Finding, type MutantRow, type RunResult, storyLine } from '@countersign/adversary';
import type { Mutant } from './mutant.ts';

const LOAD = new URL('load.ts', import.meta.url).href;
const CHILD = fileURLToPath(new URL('child.ts', import.meta.url));
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
const ERROR_CHARS_SHOWN = 2_000;

export interface RobOptions {
  readonly seed: number;
  /** Requests that the adversary may ask of one mutant. */
  readonly steps: number;
  readonly channels: number;
  readonly movesPerMatch: number;
  readonly greedyPercent: number;
  readonly endgameEvery: number;
  readonly shrinkMs: number;
  /** Longest time for one mutant. */
  readonly timeoutMs: number;
  readonly jobs: number;
  readonly onRow?: (row: MutantRow) => void;
}

/** What the child is told, in its environment. */
export type ChildOptions = Pick<
  RobOptions,
  'seed' | 'steps' | 'channels' | 'movesPerMatch' | 'greedyPercent' | 'endgameEvery' | 'shrinkMs'
>;

export async function robAll(mutants: readonly Mutant[], options: RobOptions): Promise<readonly MutantRow[]> {
  const rows: MutantRow[] = [];
  const waiting = mutants.map((mutant, i) => [mutant, i] as const);
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [mutant, i] = next;
      rows[i] = await rob(mutant, options);
      options.onRow?.(rows[i]!);
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, work));
  return rows;
}

async function rob(mutant: Mutant, options: RobOptions): Promise<MutantRow> {
  const { id, law, attackIds, description, theft } = mutant;
  const known = { id, law: `${law}`, attackIds, description, theft };
  const { output, errors, status } = await runChild(id, options);
  const result = resultIn(output);
  if (status !== 0 || result === null) {
    const story = `ended with ${status}: ${errors.slice(-ERROR_CHARS_SHOWN)}`;
    return { ...known, outcome: 'failed', steps: 0, missingSat: 0, story };
  }
  const { found, steps } = result;
  if (found === null) return { ...known, outcome: 'survived', steps, missingSat: 0, story: '' };
  const missingSat = missingOf(found.finding);
  const outcome = missingSat === null ? 'failed' : 'robbed';
  return { ...known, outcome, steps, missingSat: missingSat ?? 0, story: storyLine(found) };
}

/** Null: nothing was stolen, something else went wrong. */
function missingOf(finding: Finding): number | null {
  switch (finding.kind) {
    case 'theft':
      return finding.theft.missingSat;
    case 'endgame':
      return finding.endgame.missingSat;
    default:
      return null;
  }
}

interface Ended {
  readonly output: string;
  readonly errors: string;
  /** Null: it took too long, or wrote too much. */
  readonly status: number | null;
}

function runChild(id: string, options: RobOptions): Promise<Ended> {
  const { seed, steps, channels, movesPerMatch, greedyPercent, endgameEvery, shrinkMs } = options;
  const asked: ChildOptions = {
    seed,
    steps,
    channels,
    movesPerMatch,
    greedyPercent,
    endgameEvery,
    shrinkMs,
  };
  const flags = ['--conditions=source', '--disable-warning=ExperimentalWarning', '--import', LOAD];
  const child = spawn(process.execPath, [...flags, CHILD], {
    env: { PATH: process.env.PATH, ADVERSARY_MUTANT: id, ADVERSARY_CHILD: JSON.stringify(asked) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs);
  return new Promise((resolve, reject) => {
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.length > OUTPUT_BYTES_MAX) child.kill('SIGKILL');
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-2 * ERROR_CHARS_SHOWN);
    });
    child.once('error', reject);
    child.once('close', (status) => {
      clearTimeout(timer);
      resolve({ output, errors, status });
    });
  });
}

function resultIn(output: string): RunResult | null {
  try {
    return JSON.parse(output);
  } catch {
    return null;
  }
}
