/** What `recording-hsmd.ts` wrote down, read again. Promises that an answer given twice is told when its content differs. */
import { existsSync, readFileSync } from 'node:fs';

/** In lightningd's network directory, which is the hsmd's working directory. */
export const RECORD_FILE = 'recorded.jsonl';

export const REFUSED = 'refused ';

export interface RecordedAnswer {
  /** Peer, database number and permissions; `node` for lightningd's own. */
  readonly client: string;
  readonly type: number;
  /** SHA-256 of the request. */
  readonly request: string;
  /** SHA-256 of the reply, or `REFUSED` and the tag. */
  readonly answer: string;
  readonly took_ms: number;
}

export function readRecording(path: string): RecordedAnswer[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as RecordedAnswer);
}

export interface Repetitions {
  /** Requests that got a reply more than once. */
  readonly repeated: number;
  /** Of them, those with different replies. */
  readonly contradictions: string[];
}

/** `check_outpoint` asks about the chain, which goes on: its answers may differ. */
const CHECK_OUTPOINT = 32;

/** Refusals are no replies: what was refused may pass later. */
export function repetitionsIn(recorded: readonly RecordedAnswer[]): Repetitions {
  const replies = new Map<string, string[]>();
  for (const { client, type, request, answer } of recorded) {
    if (answer.startsWith(REFUSED) || type === CHECK_OUTPOINT) continue;
    const key = `${type} of ${client}: ${request}`;
    replies.set(key, [...(replies.get(key) ?? []), answer]);
  }
  return {
    repeated: [...replies.values()].filter((given) => given.length > 1).length,
    contradictions: [...replies].filter(([, given]) => new Set(given).size > 1).map(([key]) => key),
  };
}
