/**
 * Values that the node side has taken and the signer elsewhere does not have yet, in a file: what is held is on the disk when
 * `hold` returns, and is there again after a crash of this process or of the machine. A ring of fixed size, so that a write
 * changes nothing but its own bytes; what was brought stays in it until its place is needed, and is brought once more after a
 * start, which changes nothing.
 */
import { hash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { equalBytes, toHex } from '@countersign/bitcoin';
import { syncDirectory } from '@countersign/host';

/** Beyond it, whoever brings more waits for the signer. */
export const HELD_VALUES_MAX = 1024;
const VALUE_BYTES = 32;
/** The value and its SHA-256: an empty place, and one that was half written when the power went, have another. */
const PLACE_BYTES = 64;

interface Held {
  readonly count: number;
  isBrought: boolean;
}

export class HeldValues {
  readonly #descriptor: number;
  readonly #valuesMax: number;
  /** In the order they were taken; those at the end that are brought give their places back. */
  readonly #held: Held[] = [];
  #places: number;
  /** Where the next one goes. */
  #next = 0;
  #left: readonly Uint8Array[];

  private constructor(descriptor: number, valuesMax: number) {
    this.#descriptor = descriptor;
    this.#valuesMax = valuesMax;
    this.#places = 0;
    this.#left = readAll(descriptor, valuesMax);
  }

  /** Makes the file when there is none. Throws system errors. */
  static open(path: string, valuesMax = HELD_VALUES_MAX): HeldValues {
    const { O_CREAT, O_RDWR, O_DSYNC } = constants;
    const descriptor = openSync(path, O_CREAT | O_RDWR | O_DSYNC, 0o600);
    try {
      const bytes = valuesMax * PLACE_BYTES;
      const { size } = fstatSync(descriptor);
      if (size < bytes) {
        writeWhole(descriptor, new Uint8Array(bytes - size), size);
        syncDirectory(dirname(path));
      }
      return new HeldValues(descriptor, valuesMax);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  /** What the process before had taken, also what it had brought. Nothing new is held until `leftIsBrought`. */
  get left(): readonly Uint8Array[] {
    return this.#left;
  }

  leftIsBrought(): void {
    this.#left = [];
  }

  /** What to call when the signer has them; null when there is no room. Throws system errors: nothing is held then. */
  hold(values: readonly Uint8Array[]): (() => void) | null {
    if (this.#left.length > 0 || this.#places + values.length > this.#valuesMax) return null;
    const first = Math.min(values.length, this.#valuesMax - this.#next);
    this.#write(values.slice(0, first), this.#next);
    this.#write(values.slice(first), 0);
    this.#next = (this.#next + values.length) % this.#valuesMax;
    this.#places += values.length;
    const held = { count: values.length, isBrought: false };
    this.#held.push(held);
    return () => this.#brought(held);
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #brought(held: Held): void {
    held.isBrought = true;
    for (let [oldest] = this.#held; oldest?.isBrought === true; [oldest] = this.#held) {
      this.#held.shift();
      this.#places -= oldest.count;
    }
  }

  #write(values: readonly Uint8Array[], place: number): void {
    if (values.length === 0) return;
    const bytes = Buffer.concat(values.flatMap((value) => [value, digestOf(value)]));
    writeWhole(this.#descriptor, bytes, place * PLACE_BYTES);
  }
}

const digestOf = (value: Uint8Array): Buffer => hash('sha256', value, 'buffer');

function writeWhole(descriptor: number, bytes: Uint8Array, position: number): void {
  for (let written = 0; written < bytes.length; )
    written += writeSync(descriptor, bytes, written, bytes.length - written, position + written);
}

/** Each value once; what is no value is an empty place. */
function readAll(descriptor: number, valuesMax: number): readonly Uint8Array[] {
  const bytes = new Uint8Array(valuesMax * PLACE_BYTES);
  const length = readSync(descriptor, bytes, 0, bytes.length, 0);
  const found = new Map<string, Uint8Array>();
  for (let at = 0; at + PLACE_BYTES <= length; at += PLACE_BYTES) {
    const value = bytes.slice(at, at + VALUE_BYTES);
    const digest = bytes.subarray(at + VALUE_BYTES, at + PLACE_BYTES);
    if (equalBytes(digest, digestOf(value))) found.set(toHex(value), value);
  }
  return [...found.values()];
}
