/** Texts as they may stand in a message to lightningd: its log, a refusal, the failure of a start. */

export const LOG_TEXT_BYTES_MAX = 4 * 1024;

/**
 * A text fit for any message to lightningd: CLN refuses strings with control characters, and closes the socket over
 * them; a long text keeps its beginning.
 */
export function statusText(text: string, bytesMax: number): string {
  const clean = Array.from(text.slice(0, bytesMax).toWellFormed(), (char) => (char < ' ' ? ' ' : char)).join(
    '',
  );
  const room = new Uint8Array(bytesMax);
  const { read } = new TextEncoder().encodeInto(clean, room);
  return clean.slice(0, read);
}
