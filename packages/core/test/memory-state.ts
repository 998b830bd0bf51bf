/**
 * The signer's records in memory, kept as the bytes a journal would hold: every read decodes them anew, and every
 * change must rise by one version and survive encoding.
 */
import { toHex } from '@countersign/bitcoin';
import {
  type Change,
  decodeRecord,
  encodeRecord,
  type RecordKind,
  recordKey,
  type StateReader,
  type Versioned,
} from '@countersign/core';
import { expect } from 'vitest';

interface Stored {
  readonly kind: RecordKind<unknown>;
  readonly version: number;
  readonly bytes: Uint8Array | null;
}

/** A comparable text of any value of this project: bytes as hex, amounts as decimal, fields in the order of their names. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (part instanceof Uint8Array) return `0x${toHex(part)}`;
    if (typeof part === 'bigint') return `${part}n`;
    if (part === undefined) return null;
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** Freezes objects and arrays all the way down; bytes cannot be frozen and are compared instead. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}

export class MemoryState implements StateReader {
  readonly #records = new Map<string, Stored>();
  /** What was handed out since the last check, with the bytes it was read from. */
  #handedOut: { stored: Stored; value: unknown }[] = [];

  read<T>(kind: RecordKind<T>, id: string): Versioned<T> | undefined {
    const stored = this.#records.get(recordKey(kind, id));
    if (stored === undefined) return undefined;
    const value = stored.bytes === null ? null : deepFreeze(decodeRecord(kind, stored.bytes));
    this.#handedOut.push({ stored, value });
    return deepFreeze({ version: stored.version, value });
  }

  /** Nothing that was read has changed since. */
  expectUntouched(): void {
    for (const { stored, value } of this.#handedOut) {
      if (stored.bytes === null) continue;
      expect(toHex(encodeRecord(stored.kind, value))).toBe(toHex(stored.bytes));
    }
    this.#handedOut = [];
  }

  apply(changes: readonly Change[]): void {
    const keys = new Set<string>();
    for (const { kind, id, version, value } of changes) {
      const key = recordKey(kind, id);
      expect(keys.has(key), `${key} changed twice in one decision`).toBe(false);
      keys.add(key);
      expect(version, `version of ${key}`).toBe((this.#records.get(key)?.version ?? 0) + 1);
      const bytes = value === null ? null : encodeRecord(kind, value);
      if (bytes !== null) expect(canonical(decodeRecord(kind, bytes))).toBe(canonical(value));
      this.#records.set(key, { kind, version, bytes });
    }
  }

  /** Keys of all records, in the order they were first written. */
  get keys(): readonly string[] {
    return [...this.#records.keys()];
  }

  /** False for a tombstone. */
  hasValue(key: string): boolean {
    return this.#records.get(key)?.bytes != null;
  }

  /** All records as text, to compare two states. */
  snapshot(): string {
    return [...this.#records]
      .map(([key, { version, bytes }]) => `${key} ${version} ${bytes && toHex(bytes)}`)
      .join('\n');
  }

  /** The records of all other kinds, in a state of its own. */
  without(kinds: readonly string[]): MemoryState {
    const copy = new MemoryState();
    for (const [key, stored] of this.#records) {
      if (!kinds.includes(key.slice(0, key.indexOf('/')))) copy.#records.set(key, stored);
    }
    return copy;
  }

  /** The same records in a state of its own. */
  copy(): MemoryState {
    const copy = new MemoryState();
    for (const [key, stored] of this.#records) copy.#records.set(key, stored);
    return copy;
  }
}
