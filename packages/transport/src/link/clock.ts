/** Time and chance as the link gets them: parameters, so that tests decide both. */
import { randomFillSync } from 'node:crypto';

export interface LinkClock {
  /** Milliseconds since 1970. */
  nowMs(): number;
  /** Milliseconds that only rise, whatever happens to the clock on the wall. */
  monotonicMs(): number;
  /** Run once after so long; the result cancels it. Must not keep the process alive. */
  after(delayMs: number, run: () => void): () => void;
}

/** So many bytes of chance. */
export type RandomBytes = (count: number) => Uint8Array;

export const systemClock: LinkClock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs).unref();
    return () => clearTimeout(timer);
  },
};

export const systemRandom: RandomBytes = (count) => randomFillSync(new Uint8Array(count));

/** A number from 0 up to 1, without 1. */
export function fraction(random: RandomBytes): number {
  const bytes = random(4);
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) / 2 ** 32;
}

/** Run again and again, each time so long after the last; the result ends it. */
export function every(clock: LinkClock, periodMs: number, run: () => void): () => void {
  let cancel = (): void => {};
  let ended = false;
  const next = (): void => {
    cancel = clock.after(periodMs, () => {
      run();
      if (!ended) next();
    });
  };
  next();
  return () => {
    ended = true;
    cancel();
  };
}
