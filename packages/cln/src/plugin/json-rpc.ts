/**
 * lightningd's plugin protocol as bytes: JSON-RPC objects on stdin and stdout, each followed by an empty line. A request
 * that can be told from its bytes gets one answer.
 */

export interface RpcRequest {
  /** As lightningd wrote it, text or number; undefined for a notification. */
  readonly id: string | number | undefined;
  readonly method: string;
  readonly params: unknown;
}

const SEPARATOR = Buffer.from('\n\n');

/** Chunks in, whole objects' texts out. lightningd is the parent of this process, so their length is its own. */
export class RpcReader {
  #parts: Buffer[] = [];
  #last = -1;

  push(chunk: Buffer): string[] {
    const texts: string[] = [];
    let rest = chunk;
    // A separator cut in two by the chunks.
    if (this.#last === 0x0a && rest[0] === 0x0a) {
      texts.push(this.#take(Buffer.alloc(0)));
      rest = rest.subarray(1);
    }
    for (let end = rest.indexOf(SEPARATOR); end >= 0; end = rest.indexOf(SEPARATOR)) {
      texts.push(this.#take(rest.subarray(0, end)));
      rest = rest.subarray(end + SEPARATOR.length);
    }
    if (rest.length > 0) this.#parts.push(rest);
    this.#last = rest.at(-1) ?? -1;
    return texts.filter((text) => text.trim() !== '');
  }

  #take(end: Buffer): string {
    if (this.#parts.length === 0) return end.toString('utf8');
    const text = Buffer.concat([...this.#parts, end]).toString('utf8');
    this.#parts = [];
    return text;
  }
}

/** As lightningd begins it: nothing of what it writes stands before this. */
const DB_WRITE =
  /^\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*("[\w/:#.-]{1,256}"|\d{1,15})\s*,\s*"method"\s*:\s*"db_write"\s*,/;

/**
 * The id of a `db_write` as lightningd wrote it, ready to be written back, without reading the rest: of all that a node writes,
 * nothing is larger or comes more often. Undefined for everything else, and for one whose statements are not there in plain letters:
 * those are to be parsed.
 */
export function dbWriteId(text: string): string | undefined {
  const [, id] = DB_WRITE.exec(text) ?? [];
  return id === undefined || text.includes('\\u') ? undefined : id;
}

/** Undefined for what is no request. */
export function parseRequest(text: string): RpcRequest | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const method = member(value, 'method');
  const id = member(value, 'id');
  if (typeof method !== 'string') return undefined;
  if (id !== undefined && typeof id !== 'string' && typeof id !== 'number') return undefined;
  return { id, method, params: member(value, 'params') };
}

/** A member of an object; undefined for anything else. */
export function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Reflect.get(value, name)
    : undefined;
}

/** The answer to a `db_write` whose id is `dbWriteId`'s. */
export function continueText(writtenId: string): string {
  return `{"jsonrpc":"2.0","id":${writtenId},"result":{"result":"continue"}}\n\n`;
}

/** What lightningd ends over, with nothing of the write done. */
export const STOP = { result: 'the hsmd is gone' };

export function resultText(id: string | number, result: object): string {
  return `${JSON.stringify({ jsonrpc: '2.0', id, result })}\n\n`;
}

export function errorText(id: string | number, message: string): string {
  return `${JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32601, message } })}\n\n`;
}

/** A line for lightningd's log. */
export function logText(level: string, message: string): string {
  return `${JSON.stringify({ jsonrpc: '2.0', method: 'log', params: { level, message } })}\n\n`;
}
