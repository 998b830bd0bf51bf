/**
 * The schema and its migrations. A store is brought to the newest version in one transaction when it is opened; one
 * that a newer release wrote is refused, never guessed at.
 */
import type { DatabaseSync } from 'node:sqlite';
import { StoreError } from '../error.ts';
import { META_DDL, Meta } from './meta.ts';

/** `plan[n]` brings a database from version n to n + 1; `plan[0]` makes it from nothing. */
export type MigrationPlan = readonly ((db: DatabaseSync) => void)[];

/** "CSGN": tells a journal from any other SQLite file. */
const APPLICATION_ID = 0x4353_474e;

function createVersion1(db: DatabaseSync): void {
  db.exec(`
    PRAGMA application_id = ${APPLICATION_ID};
    ${META_DDL};
    -- A rowid table with a separate index on purpose: integrity_check compares the two, which finds a damaged key.
    CREATE TABLE record (
      key TEXT PRIMARY KEY NOT NULL,
      version INTEGER NOT NULL CHECK (version >= 1),
      value BLOB,
      checksum BLOB NOT NULL
    ) STRICT;
    CREATE TABLE audit (
      seq INTEGER PRIMARY KEY NOT NULL,
      prev_hash BLOB NOT NULL,
      hash BLOB NOT NULL,
      body BLOB NOT NULL
    ) STRICT;
    CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
      BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
    CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
      BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
    CREATE TRIGGER record_no_delete BEFORE DELETE ON record
      BEGIN SELECT RAISE(ABORT, 'records end as tombstones'); END;
  `);
}

export const MIGRATIONS: MigrationPlan = [createVersion1];

function pragmaNumber(db: DatabaseSync, pragma: string): number {
  const row = db.prepare(`PRAGMA ${pragma}`).get();
  return Number(row === undefined ? Number.NaN : Object.values(row)[0]);
}

/** 0 for a file without any table. */
export function schemaVersion(db: DatabaseSync): number {
  const tables = db.prepare('SELECT count(*) AS n FROM sqlite_schema').get();
  if (Number(tables?.n) === 0) return 0;
  if (pragmaNumber(db, 'application_id') !== APPLICATION_ID)
    throw new StoreError('store-corrupt', 'not a journal of this program');
  return new Meta(db).schemaVersion;
}

/** Bring the database to `plan.length`. The caller holds a transaction. Returns the version it had. */
export function migrate(db: DatabaseSync, plan: MigrationPlan): number {
  const found = schemaVersion(db);
  if (found > plan.length) {
    const facts = { stored: found, known: plan.length };
    throw new StoreError('store-newer-schema', `schema ${found}, known up to ${plan.length}`, facts);
  }
  for (const step of plan.slice(found)) step(db);
  if (found < plan.length) new Meta(db).schemaVersion = plan.length;
  return found;
}
