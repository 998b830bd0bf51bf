/**
 * How long to wait after failures: twice as long each time up to a limit, and by chance up to half of it less, so that
 * many followers of one server do not come back together.
 */

export interface BackoffBounds {
  readonly minMs: number;
  readonly maxMs: number;
}

export class Backoff {
  readonly #bounds: BackoffBounds;
  /** From 0 up to and without 1. */
  readonly #random: () => number;
  #nextMs: number;

  constructor(bounds: BackoffBounds, random: () => number) {
    this.#bounds = bounds;
    this.#random = random;
    this.#nextMs = bounds.minMs;
  }

  /** The wait after one more failure. */
  next(): number {
    const ms = this.#nextMs;
    this.#nextMs = Math.min(2 * ms, this.#bounds.maxMs);
    return Math.round(ms * (1 - this.#random() / 2));
  }

  reset(): void {
    this.#nextMs = this.#bounds.minMs;
  }
}
