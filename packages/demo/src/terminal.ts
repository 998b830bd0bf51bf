/**
 * A terminal as a screen that is drawn over and a keyboard whose keys count at once. Whatever happens, it is left as it was
 * found.
 */
import type { ReadStream, WriteStream } from 'node:tty';

const ALTERNATE_SCREEN = '\u001b[?1049h\u001b[?25l';
const USUAL_SCREEN = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const TO_END_OF_LINE = '\u001b[K';
const TO_END_OF_SCREEN = '\u001b[J';
const INTERRUPT = '\u0003';

export interface Terminal {
  readonly size: { readonly columns: number; readonly rows: number };
  draw(lines: readonly string[]): void;
  /** Back to what was there before. */
  close(): void;
}

/** `onKey` gets one character; Ctrl-C comes as `q`. */
export function openTerminal(input: ReadStream, output: WriteStream, onKey: (key: string) => void): Terminal {
  const listen = (text: string): void => {
    for (const key of text) onKey(key === INTERRUPT ? 'q' : key);
  };
  input.setEncoding('utf8');
  input.setRawMode(true);
  input.on('data', listen);
  output.write(ALTERNATE_SCREEN);
  let isOpen = true;
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    output.write(USUAL_SCREEN);
    input.setRawMode(false);
    input.off('data', listen);
    input.pause();
    process.off('exit', close);
  };
  process.on('exit', close);
  return {
    get size() {
      return { columns: output.columns, rows: output.rows };
    },
    draw: (lines) => {
      if (isOpen)
        output.write(HOME + lines.map((line) => line + TO_END_OF_LINE).join('\n') + TO_END_OF_SCREEN);
    },
    close,
  };
}
