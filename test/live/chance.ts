/** Chance that a seed repeats. Promises the same numbers for the same seed, on every machine. */

/** mulberry32: 32 bits of state, enough to choose where a cable is cut. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to and without 1. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** From `min` up to and without `max`. */
  between(min: number, max: number): number {
    return min + this.fraction() * (max - min);
  }

  oneOf<T>(choices: readonly T[]): T {
    const chosen = choices[Math.floor(this.fraction() * choices.length)];
    if (chosen === undefined) throw new TypeError('nothing to choose from');
    return chosen;
  }
}
