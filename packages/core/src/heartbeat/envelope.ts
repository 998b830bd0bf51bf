/**
 * A heartbeat on its way: `{"heartbeat":<signed text>,"signature":"<128 hex digits>"}`, with or without a newline at its end. The
 * signed text is what stands between, to the byte, so it is found before anything is parsed.
 */

const BEFORE = '{"heartbeat":';
const BETWEEN = ',"signature":"';
const AFTER = '"}';
const SIGNATURE_DIGITS = 128;
const TAIL_CHARS = BETWEEN.length + SIGNATURE_DIGITS + AFTER.length;

/** What stands around the signed text, the newline included. */
export const ENVELOPE_BYTES = BEFORE.length + TAIL_CHARS + 1;

/** The text as it is kept and sent: what is signed, and the signature beside it. */
export function enclose(payload: string, signatureHex: string): string {
  return `${BEFORE}${payload}${BETWEEN}${signatureHex}${AFTER}\n`;
}

export interface Enclosed {
  readonly payload: string;
  /** 64 bytes, lower-case hex. */
  readonly signatureHex: string;
}

/** Null: it is no such text, to the byte. */
export function disclose(text: string): Enclosed | null {
  const line = text.endsWith('\n') ? text.slice(0, -1) : text;
  const tail = line.slice(-TAIL_CHARS);
  const signatureHex = tail.slice(BETWEEN.length, -AFTER.length);
  const isWhole =
    line.length >= BEFORE.length + TAIL_CHARS &&
    line.startsWith(BEFORE) &&
    tail.startsWith(BETWEEN) &&
    tail.endsWith(AFTER) &&
    /^[0-9a-f]{128}$/.test(signatureHex) &&
    /^[\x20-\x7e]*$/.test(line);
  if (!isWhole) return null;
  return { payload: line.slice(BEFORE.length, -TAIL_CHARS), signatureHex };
}
