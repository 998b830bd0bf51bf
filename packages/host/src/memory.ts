/**
 * The signer's memory of its records: decoded once, loaded lazily from the journal, changed only by approved
 * decisions. May be ahead of the disk; whoever releases something because of it waits for the journal first.
 */

import { invariant } from '@countersign/bitcoin';
import {
  type Change,
  decodeRecord,
  encodeRecord,
  type RecordKind,
  recordKey,
  type StateReader,
  type Versioned,
} from '@countersign/core';
import type { Journal, RecordChange } from '@countersign/store/contract';

/** Records kept decoded; beyond it the least recently used ones are read again when needed. */
export const RECORDS_CACHED_MAX = 50_000;

export class Memory implements StateReader {
  readonly #journal: Journal;
  /** Null: the journal has none. */
  readonly #records = new Map<string, Versioned<unknown> | null>();
  readonly #recordsMax: number;

  constructor(journal: Journal, recordsMax = RECORDS_CACHED_MAX) {
    this.#journal = journal;
    this.#recordsMax = recordsMax;
  }

  read<T>(kind: RecordKind<T>, id: string): Versioned<T> | undefined {
    const key = recordKey(kind, id);
    const known = this.#records.get(key);
    if (known !== undefined) {
      this.#use(key, known);
      return (known ?? undefined) as Versioned<T> | undefined;
    }
    const stored = this.#journal.read(key);
    if (stored === undefined) {
      this.#remember(key, null);
      return undefined;
    }
    const value = stored.value === null ? null : decodeRecord(kind, stored.value);
    const versioned: Versioned<T> = { version: stored.version, value };
    this.#remember(key, versioned);
    return versioned;
  }

  /** Last used, last to go; while there is room for as many again, nobody goes soon. */
  #use(key: string, known: Versioned<unknown> | null): void {
    if (2 * this.#records.size <= this.#recordsMax) return;
    this.#records.delete(key);
    this.#records.set(key, known);
  }

  /** Take over a decision's changes, all or none, and return them as the journal stores them. */
  apply(changes: readonly Change[]): readonly RecordChange[] {
    const encoded = changes.map((change) => this.#encode(change));
    changes.forEach((change, i) => {
      this.#remember(encoded[i]!.key, { version: change.version, value: change.value });
    });
    return encoded;
  }

  #encode(change: Change): RecordChange {
    const key = recordKey(change.kind, change.id);
    const before = this.read(change.kind, change.id)?.version ?? 0;
    invariant(change.version === before + 1, 'a record changes by one version at a time', {
      record: key,
      version: change.version,
      version_before: before,
    });
    const value = change.value === null ? null : encodeRecord(change.kind, change.value);
    return { key, version: change.version, value };
  }

  /** The journal answers for what is enqueued too, so any record may be dropped at any time. */
  #remember(key: string, versioned: Versioned<unknown> | null): void {
    this.#records.set(key, versioned);
    if (this.#records.size <= this.#recordsMax) return;
    for (const oldest of this.#records.keys()) {
      this.#records.delete(oldest);
      return;
    }
  }
}
