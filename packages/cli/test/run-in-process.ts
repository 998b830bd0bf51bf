/** The command in this process: what it prints is kept instead of shown. */
import { afterEach, beforeEach, vi } from 'vitest';
import { runProgram } from '../src/index.ts';

let text = '';

beforeEach(() => {
  text = '';
  const keep = (piece: string | Uint8Array): boolean => {
    text += String(piece);
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(keep);
  vi.spyOn(process.stderr, 'write').mockImplementation(keep);
});
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

/** Of both streams, since the last run began. */
export function written(): string {
  return text;
}

export async function run(...argv: string[]): Promise<{ readonly status: number; readonly text: string }> {
  text = '';
  process.exitCode = undefined;
  const status = await runProgram(argv);
  process.exitCode = undefined;
  return { status, text };
}
