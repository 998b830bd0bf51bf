/**
 * The meta table: schema version, store id, and what the store is bound to. Its layout never changes, so that every
 * release can read the schema version of any other.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { equalBytes, rowChecksum } from '../checksum.ts';
import { StoreError } from '../error.ts';

/** Part of the first migration. */
export const META_DDL = `
  CREATE TABLE meta (
    name TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL,
    checksum BLOB NOT NULL
  ) STRICT`;

export const SCHEMA = 'schema';
export const STORE_ID = 'store-id';
const BINDING_PREFIX = 'binding/';

export class Meta {
  readonly #get: StatementSync;
  readonly #put: StatementSync;

  /** The table must exist. */
  constructor(db: DatabaseSync) {
    this.#get = db.prepare('SELECT value, checksum FROM meta WHERE name = ?');
    this.#put = db.prepare(
      `INSERT INTO meta (name, value, checksum) VALUES (?, ?, ?)
       ON CONFLICT (name) DO UPDATE SET value = excluded.value, checksum = excluded.checksum`,
    );
  }

  get(name: string): Uint8Array | undefined {
    const row = this.#get.get(name);
    if (row === undefined) return undefined;
    const { value, checksum } = row;
    const sound =
      value instanceof Uint8Array &&
      checksum instanceof Uint8Array &&
      equalBytes(checksum, rowChecksum('meta', name, 1, value));
    if (!sound) throw new StoreError('store-corrupt', 'checksum of a meta row', { name });
    return value;
  }

  put(name: string, value: Uint8Array): void {
    this.#put.run(name, value, rowChecksum('meta', name, 1, value));
  }

  get schemaVersion(): number {
    const version = this.get(SCHEMA);
    if (version?.length !== 4) throw new StoreError('store-corrupt', 'schema version is missing');
    return new DataView(version.buffer, version.byteOffset).getUint32(0);
  }

  set schemaVersion(version: number) {
    const value = new Uint8Array(4);
    new DataView(value.buffer).setUint32(0, version);
    this.put(SCHEMA, value);
  }

  get storeId(): Uint8Array {
    const id = this.get(STORE_ID);
    if (id === undefined) throw new StoreError('store-corrupt', 'store id is missing');
    return id;
  }

  /** Write the binding if there is none. Anything else than the same value throws `store-bound-elsewhere`. */
  bind(name: string, value: Uint8Array): void {
    const bound = this.get(BINDING_PREFIX + name);
    if (bound === undefined) {
      this.put(BINDING_PREFIX + name, value);
    } else if (!equalBytes(bound, value)) {
      const facts = {
        name,
        bound: Buffer.from(bound).toString('hex'),
        given: Buffer.from(value).toString('hex'),
      };
      throw new StoreError('store-bound-elsewhere', name, facts);
    }
  }
}
