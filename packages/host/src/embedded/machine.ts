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
