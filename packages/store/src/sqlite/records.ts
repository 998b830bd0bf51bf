/**
 * The record table: one row per key, its version and checksum verified whenever it is read, and the version checked
 * against the stored one whenever it is written.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { equalBytes, rowChecksum } from '../checksum.ts';
import { StoreError } from '../error.ts';
import type { RecordChange, StoredRecord } from '../journal.ts';

/** Greater than every character of a key. */
const AFTER_KEYS = '\x7f';

export class Records {
  readonly #get: StatementSync;
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  readonly #keys: StatementSync;

  constructor(db: DatabaseSync) {
    this.#get = db.prepare('SELECT version, value, checksum FROM record WHERE key = ?');
    this.#insert = db.prepare(
      'INSERT INTO record (version, value, checksum, key) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO NOTHING',
    );
    this.#update = db.prepare(
      'UPDATE record SET version = ?, value = ?, checksum = ? WHERE key = ? AND version = ?',
    );
    this.#keys = db.prepare(
      'SELECT key FROM record WHERE key >= ? AND key < ? AND value IS NOT NULL ORDER BY key',
    );
  }

  read(key: string): StoredRecord | undefined {
    const row = this.#get.get(key);
    if (row === undefined) return undefined;
    const { version, value, checksum } = row;
    const formed =
      typeof version === 'number' &&
      (value === null || value instanceof Uint8Array) &&
      checksum instanceof Uint8Array;
    if (!formed || !equalBytes(checksum, rowChecksum('record', key, version, value)))
      throw new StoreError('store-corrupt', 'checksum of a record', { key });
    return { key, version, value };
  }

  /** Ascending. */
  keys(prefix: string): string[] {
    return this.#keys.all(prefix, prefix + AFTER_KEYS).map((row) => String(row.key));
  }

  /** The caller holds a transaction and rolls back when this throws. */
  write({ key, version, value }: RecordChange): void {
    const checksum = rowChecksum('record', key, version, value);
    const { changes } =
      version === 1
        ? this.#insert.run(version, value, checksum, key)
        : this.#update.run(version, value, checksum, key, version - 1);
    if (Number(changes) === 1) return;
    const stored = this.read(key)?.version ?? 0;
    throw new StoreError('store-version-conflict', key, { key, storedVersion: stored, newVersion: version });
  }

  /** Keys of the rows whose checksum does not fit, and how many rows there are. */
  check(db: DatabaseSync): { readonly rows: number; readonly bad: string[] } {
    const bad: string[] = [];
    let rows = 0;
    for (const { key } of db.prepare('SELECT key FROM record NOT INDEXED').iterate()) {
      rows += 1;
      try {
        if (this.read(String(key)) === undefined) bad.push(String(key));
      } catch {
        bad.push(String(key));
      }
    }
    return { rows, bad };
  }
}
