/** Answers that leave at once, past the streams, which take longer than the answer itself. */

export interface WriteNowOptions {
  /** `fs.writeSync` of standard output: how many bytes it took. */
  readonly write: (bytes: Uint8Array) => number;
  /** Blocks for a moment. */
  readonly pause: () => void;
  /** Whoever read it is gone. */
  readonly gone: () => void;
}

const codeOf = (error: unknown): unknown => (error instanceof Error ? Reflect.get(error, 'code') : undefined);

/** All of the text, however often that takes: a pipe that is full for now (EAGAIN, where it does not block by itself) is waited for. */
export function writeNow(text: string, { write, pause, gone }: WriteNowOptions): void {
  let rest: Uint8Array = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(write(rest));
    } catch (error) {
      const code = codeOf(error);
      if (code === 'EPIPE') {
        gone();
        return;
      }
      if (code !== 'EAGAIN') throw error;
      pause();
    }
  }
}
