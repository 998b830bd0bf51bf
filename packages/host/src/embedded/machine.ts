/**
 * What a signer takes from the machine it runs on: two clocks and chance. Given from outside, so that tests choose them; this is
 * the real one.
 */
import { randomBytes } from 'node:crypto';

export interface Machine {
  readonly randomBytes: (count: number) => Uint8Array;
  /** A clock that never goes back, in milliseconds. */
  readonly monotonicMs: () => number;
  /** Seconds since 1970. */
  readonly nowSeconds: () => number;
}

export const SYSTEM_MACHINE: Machine = {
  randomBytes: (count) => new Uint8Array(randomBytes(count)),
  monotonicMs: () => performance.now(),
  nowSeconds: () => Math.floor(Date.now() / 1000),
};

/** Chance as numbers from 0 up to and without 1, four bytes for each. */
export function fractionsOf({ randomBytes: draw }: Pick<Machine, 'randomBytes'>): () => number {
  return () => {
    const bytes = draw(4);
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) / 2 ** 32;
  };
}
