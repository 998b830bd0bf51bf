/**
 * Records as the host keeps them: decoded, by key. Without disk and codec.
 */
import { type Change, type RecordKind, recordKey, type StateReader, type Versioned } from '@countersign/core';

export class Records implements StateReader {
  readonly #records = new Map<string, Versioned<unknown>>();

  read<T>(kind: RecordKind<T>, id: string): Versioned<T> | undefined {
    return this.#records.get(recordKey(kind, id)) as Versioned<T> | undefined;
  }

  put<T>(kind: RecordKind<T>, id: string, value: T): void {
    this.#records.set(recordKey(kind, id), { version: 1, value });
  }

  apply(changes: readonly Change[]): void {
    for (const { kind, id, version, value } of changes)
      this.#records.set(recordKey(kind, id), { version, value });
  }
}
