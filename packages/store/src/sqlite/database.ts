/**
 * Opens the database: takes the exclusive lock, migrates, checks integrity, and ends with a checkpoint, so that all a
 * later read returns is durable. Also what the previous process wrote and was killed before it had synced.
 */
import { closeSync, openSync, statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { StoreError } from '../error.ts';
import type { OpenMode } from '../journal.ts';
import { lockHolder, prepareFiles, type StoreFiles, syncDirectory } from './directory.ts';
import { storeError } from './failure.ts';
import { Meta, STORE_ID } from './meta.ts';
import { loadSqlite } from './module.ts';
import { type MigrationPlan, migrate } from './schema.ts';

const STORE_ID_BYTES = 16;

/**
 * Up to here PRAGMA integrity_check reads the whole file at open (0.7 ms per MB when cached); above, only the live
 * tables, because the audit log grows for ever: 12 ms for 10,000 records of 2 KB.
 */
export const FULL_CHECK_BYTES_MAX = 16 * 1024 * 1024;

export interface OpenDatabase {
  readonly db: DatabaseSync;
  readonly meta: Meta;
  readonly storeId: Uint8Array;
  /** A descriptor of the write-ahead log, for syncing it. SQLite takes no locks on that file. */
  readonly walFd: number;
}

export interface DatabaseOptions {
  readonly mode: OpenMode;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly plan: MigrationPlan;
}

/**
 * locking_mode must come before the first access: the lock is then one POSIX lock of the process, taken here and gone
 * with it however it ends, and the WAL index lives in memory instead of a shared -shm file.
 */
function configure(db: DatabaseSync): void {
  // Of a new file only. Three records of 2 KB fit a page instead of one: half the reads of the check at open.
  db.exec('PRAGMA page_size = 8192');
  db.exec('PRAGMA locking_mode = EXCLUSIVE');
  const mode = db.prepare('PRAGMA journal_mode = WAL').get()?.journal_mode;
  if (mode !== 'wal')
    throw new StoreError('store-io', `no write-ahead log here: journal_mode ${String(mode)}`);
  // wal_autocheckpoint: 4 MB of log, which is also what a start after a kill has to recover.
  // fullfsync: on macOS a sync that reaches the medium; elsewhere without effect.
  db.exec(`
    PRAGMA synchronous = FULL;
    PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON;
    PRAGMA wal_autocheckpoint = 500;
    PRAGMA cell_size_check = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA temp_store = MEMORY;
  `);
}

/** Problems found, none in a sound database. SQLite reports 100 at most. */
export function pageProblems(db: DatabaseSync, scope: 'all' | 'live'): string[] {
  const pragmas =
    scope === 'all' ? ['integrity_check'] : ['integrity_check(meta)', 'integrity_check(record)'];
  return pragmas.flatMap((pragma) =>
    db
      .prepare(`PRAGMA ${pragma}`)
      .all()
      .map((row) => String(row.integrity_check))
      .filter((line) => line !== 'ok'),
  );
}

function checkPages(db: DatabaseSync, files: StoreFiles): void {
  const bytes = statSync(files.database).size + (statSync(files.wal, { throwIfNoEntry: false })?.size ?? 0);
  const [problem] = pageProblems(db, bytes <= FULL_CHECK_BYTES_MAX ? 'all' : 'live');
  if (problem !== undefined)
    throw new StoreError('store-corrupt', problem.slice(0, 200), { fileBytes: bytes });
}

/** BEGIN IMMEDIATE takes the write lock even if there is nothing to write: a read-only store is found here. */
function prepareSchema(db: DatabaseSync, files: StoreFiles, options: DatabaseOptions): void {
  db.exec('BEGIN IMMEDIATE');
  checkPages(db, files);
  const found = migrate(db, options.plan);
  if (found === 0 && options.mode === 'open')
    throw new StoreError('store-missing', `${files.directory} holds a file without tables`);
  if (found > 0 && options.mode === 'create') throw new StoreError('store-exists', files.directory);
  if (found === 0) new Meta(db).put(STORE_ID, options.randomBytes(STORE_ID_BYTES));
  db.exec('COMMIT');
}

/** A log that did not go in completely would leave reads of what only the page cache holds. */
function checkpoint(db: DatabaseSync): void {
  const row = db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get();
  if (Number(row?.busy) !== 0) throw new StoreError('store-io', 'the write-ahead log cannot be emptied');
}

function whileOpening(cause: unknown, files: StoreFiles): StoreError {
  const error = storeError(cause, 'opening the journal');
  if (error.code !== 'store-locked') return error;
  const pid = lockHolder(files.database);
  const holder =
    pid === process.pid ? 'this process itself' : pid === undefined ? 'its pid is unknown' : `pid ${pid}`;
  const facts = pid === undefined ? { directory: files.directory } : { directory: files.directory, pid };
  return new StoreError('store-locked', `${files.directory}, held by: ${holder}`, facts, { cause });
}

/**
 * The log's entry in its directory. SQLite syncs it too, with the first sync of a new log (os_unix.c, UNIXFILE_DIRSYNC), so under
 * Node.js's permission model, which denies fsync, that is enough.
 */
function syncLogEntry(directory: string): void {
  try {
    syncDirectory(directory);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_ACCESS_DENIED')) throw error;
  }
}

export function openDatabase(directory: string, options: DatabaseOptions): OpenDatabase {
  let files: StoreFiles;
  try {
    files = prepareFiles(directory, options.mode);
  } catch (cause) {
    throw storeError(cause, 'preparing the directory of the journal');
  }
  let db: DatabaseSync | undefined;
  let walFd: number | undefined;
  try {
    db = new (loadSqlite().DatabaseSync)(files.database, { timeout: 0 });
    configure(db);
    prepareSchema(db, files, options);
    checkpoint(db);
    walFd = openSync(files.wal, 'r+');
    syncLogEntry(files.directory);
    const meta = new Meta(db);
    return { db, meta, storeId: meta.storeId, walFd };
  } catch (cause) {
    const error = whileOpening(cause, files);
    if (walFd !== undefined) closeSync(walFd);
    // Closing rolls an open transaction back.
    db?.close();
    throw error;
  }
}
