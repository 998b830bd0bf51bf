/**
 * Reads the recordings of CLN's hsmd under `vectors/cln`.
 */
import { globSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

export interface RecordedExchange {
  readonly type_num: number;
  readonly request: string;
  readonly reply: string | null;
}

export const VECTORS = new URL('../../../vectors/', import.meta.url);

/** Paths below `vectors/cln`, sorted. */
export const recordingPaths = (): string[] =>
  globSync('**/*.jsonl{,.gz}', { cwd: new URL('cln/', VECTORS).pathname }).toSorted();

export function readRecording(path: string): RecordedExchange[] {
  const file = readFileSync(new URL(`cln/${path}`, VECTORS));
  const text = (path.endsWith('.gz') ? gunzipSync(file) : file).toString('utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as RecordedExchange);
}
