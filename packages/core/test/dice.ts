/**
 * Small numbers from one: what a step of a random life needs beside its choice. The same number gives the same rolls, so
 * that a failure can be played again.
 */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed * 2654435761 + 12345) >>> 0;
  }

  /** 0 to `sides` − 1. */
  roll(sides: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * sides);
  }

  chance(percent: number): boolean {
    return this.roll(100) < percent;
  }

  of<T>(list: readonly T[]): T | undefined {
    return list[this.roll(list.length)];
  }
}
