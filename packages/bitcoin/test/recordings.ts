/** The PSBTs and raw transactions in the recordings of a real CLN node, found by their magic bytes. */
import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

const folder = new URL('../../../vectors/cln/', import.meta.url);
const MAGIC = Buffer.from('70736274ff', 'hex');

interface RecordedLine {
  readonly type: string;
  readonly request: string | null;
  readonly reply: string | null;
}

export interface RecordedMessage {
  readonly where: string;
  readonly type: string;
  readonly request: Uint8Array;
  readonly reply: Uint8Array | undefined;
}

export function* recordedMessages(): Generator<RecordedMessage> {
  for (const scenario of readdirSync(folder)) {
    const files = readdirSync(new URL(`${scenario}/`, folder));
    for (const file of files.filter((name) => name.endsWith('.jsonl.gz'))) {
      const text = gunzipSync(readFileSync(new URL(`${scenario}/${file}`, folder))).toString();
      for (const [index, line] of text.split('\n').entries()) {
        if (line === '') continue;
        const { type, request, reply } = JSON.parse(line) as RecordedLine;
        if (request === null) continue;
        yield {
          where: `${scenario}/${file}:${index + 1}`,
          type,
          request: Uint8Array.from(Buffer.from(request, 'hex')),
          reply: reply === null ? undefined : Uint8Array.from(Buffer.from(reply, 'hex')),
        };
      }
    }
  }
}

/** The PSBT in a message (u32 length, then the bytes), and where its length field stands. */
export function psbtIn(message: Uint8Array): { at: number; psbt: Uint8Array } | undefined {
  const view = Buffer.from(message.buffer, message.byteOffset, message.length);
  const start = view.indexOf(MAGIC);
  if (start < 0) return undefined;
  const length = view.readUInt32BE(start - 4);
  return { at: start - 4, psbt: message.slice(start, start + length) };
}
