/**
 * Chance that can be played again: a stream of numbers out of a seed, and bytes out of labels. Everything random in a run
 * comes from here, so a seed and its moves are the whole run.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';

export class Dice {
  readonly seed: number;
  #state: number;

  constructor(seed: number) {
    this.seed = seed;
    this.#state = seed >>> 0;
  }

  /** 0 … 2^32 − 1 (splitmix32). */
  next(): number {
    this.#state = (this.#state + 0x9e37_79b9) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0_aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  }

  /** What follows depends on these numbers, and no more on how much was rolled before. */
  mix(a: number, b: number): void {
    this.#state = (Math.imul(this.seed ^ 0x51ed_270b, a + 1) ^ Math.imul(b + 1, 0x9e37_79b1)) >>> 0;
  }

  /** 0 … `sides` − 1. */
  roll(sides: number): number {
    return sides <= 1 ? 0 : this.next() % sides;
  }

  chance(percent: number): boolean {
    return this.roll(100) < percent;
  }

  of<T>(items: readonly T[]): T | undefined {
    return items[this.roll(items.length)];
  }
}

/** 32 bytes that belong to a label, the same in every run. */
export function bytesFor(label: string): Uint8Array {
  return sha256(utf8ToBytes(`countersign adversary ${label}`));
}

/** One of them, chosen by any number; undefined where there is none. */
export function pick<T>(items: readonly T[], by: number): T | undefined {
  return items[by % Math.max(items.length, 1)];
}
