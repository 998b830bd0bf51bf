/**
 * Values out of a source's JSON, with their form checked: it may be of another version, or an attacker. Hashes come in the
 * display order of explorers and leave in internal byte order.
 */
import { toHex } from '@countersign/bitcoin';
import { HASH_BYTES, SourceError } from './source.ts';

export function unexpected(name: string, what: string): SourceError {
  return new SourceError('chain-source-answer', `${name}: ${what} is not what it should be`);
}

/** A member of an object; undefined for anything else. */
export function member(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
}

export function parseJson(name: string, body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'));
  } catch (cause) {
    throw new SourceError('chain-source-answer', `${name}: its answer is no JSON`, {}, { cause });
  }
}

/** Throws `SourceError`. */
export class Answer {
  readonly #name: string;
  readonly value: unknown;

  constructor(name: string, value: unknown) {
    this.#name = name;
    this.value = value;
  }

  text(key: string): string {
    const value = member(this.value, key);
    if (typeof value !== 'string') throw unexpected(this.#name, key);
    return value;
  }

  /** A whole number of 0 to `max`. */
  count(key: string, max = 0xffff_ffff): number {
    const value = member(this.value, key);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max)
      throw unexpected(this.#name, key);
    return value;
  }

  /** Thirty-two bits, with or without a sign. */
  word(key: string): number {
    const value = member(this.value, key);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < -(2 ** 31) || value >= 2 ** 32)
      throw unexpected(this.#name, key);
    return value >>> 0;
  }

  /** Above 0; null for anything else. */
  rate(key: string): number | null {
    const value = member(this.value, key);
    return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : null;
  }

  hash(key: string): Uint8Array {
    return hashOf(this.#name, key, member(this.value, key));
  }
}

export function bytesOf(name: string, what: string, value: unknown): Uint8Array {
  if (typeof value !== 'string') throw unexpected(name, what);
  // Ends at the first character that is no digit.
  const bytes = Buffer.from(value, 'hex');
  if (2 * bytes.length !== value.length) throw unexpected(name, what);
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

export function hashOf(name: string, what: string, value: unknown): Uint8Array {
  const bytes = bytesOf(name, what, value);
  if (bytes.length !== HASH_BYTES) throw unexpected(name, what);
  return Uint8Array.from(bytes).reverse();
}

/** As explorers and bitcoind show it. */
export const displayHash = (hash: Uint8Array): string => toHex(Uint8Array.from(hash).reverse());
