/**
 * Campaigns in processes of their own: several at a time, and against broken signers, whose sources are changed as they are
 * loaded.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { RunResult } from '@countersign/adversary';
import type { CampaignOptions } from './campaign.ts';

const LOAD = new URL('mutants/load.ts', import.meta.url).href;
const CHILD = fileURLToPath(new URL('child.ts', import.meta.url));
/** By their text, so that no child takes another's mutant: most of a short hunt would else be the loading of what never changes. */
const COMPILE_CACHE = fileURLToPath(new URL('../../node_modules/.cache/adversary', import.meta.url));
const OUTPUT_CHARS_MAX = 64 * 1024 * 1024;
const ERROR_CHARS_KEPT = 2_000;

/** What the child is told, in its environment. */
export type ApartOptions = Omit<CampaignOptions, 'onProgress'>;

export type ApartAnswer =
  | { readonly ok: true; readonly result: RunResult }
  | { readonly ok: false; readonly why: string };

export async function campaignApart(options: ApartOptions, timeoutMs: number): Promise<ApartAnswer> {
  const { mutant } = options.setup;
  const load = mutant === null ? [] : ['--import', LOAD];
  const flags = ['--conditions=source', '--disable-warning=ExperimentalWarning', ...load];
  const child = spawn(process.execPath, [...flags, CHILD], {
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: COMPILE_CACHE,
      ADVERSARY_MUTANT: mutant ?? '',
      ADVERSARY_CHILD: JSON.stringify(options),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  return new Promise((resolve, reject) => {
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.length > OUTPUT_CHARS_MAX) child.kill('SIGKILL');
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-ERROR_CHARS_KEPT);
    });
    child.once('error', reject);
    child.once('close', (status) => {
      clearTimeout(timer);
      const result = status === 0 ? resultIn(output) : null;
      if (result !== null) resolve({ ok: true, result });
      else resolve({ ok: false, why: isLate ? 'it took too long' : `ended with ${status}: ${errors}` });
    });
  });
}

/** All of them, so many at a time; the answers in their order. */
export async function campaignsApart(
  list: readonly ApartOptions[],
  { jobs, timeoutMs }: { readonly jobs: number; readonly timeoutMs: number },
): Promise<readonly ApartAnswer[]> {
  const answers: ApartAnswer[] = [];
  const waiting = list.map((options, i) => [options, i] as const);
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [options, i] = next;
      answers[i] = await campaignApart(options, timeoutMs);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return answers;
}

function resultIn(output: string): RunResult | null {
  try {
    return JSON.parse(output);
  } catch {
    return null;
  }
}
