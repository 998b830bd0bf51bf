/**
 * The store's directory and files: made private (0700, 0600) and durable (the directory entries are synced too).
 * Never opens the database file once it exists: closing any descriptor of it would drop SQLite's POSIX locks.
 */
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { StoreError } from '../error.ts';
import type { OpenMode } from '../journal.ts';

export const DATABASE_FILE = 'journal.sqlite';

export interface StoreFiles {
  readonly directory: string;
  readonly database: string;
  /** SQLite's write-ahead log, beside the database. */
  readonly wal: string;
}

export function syncDirectory(directory: string): void {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Parent first; each new level is made durable in the one above. */
function makeDirectory(directory: string): void {
  if (statSync(directory, { throwIfNoEntry: false }) !== undefined) return;
  const parent = dirname(directory);
  makeDirectory(parent);
  mkdirSync(directory, { mode: 0o700 });
  syncDirectory(parent);
}

/**
 * The directory and an empty file for a store to be made in, by a process that may sync directories: one under Node.js's
 * permission model may not. What is there already stays.
 */
export function prepareStore(path: string): void {
  prepareFiles(path, 'open-or-create');
}

export function prepareFiles(path: string, mode: OpenMode): StoreFiles {
  const directory = resolve(path);
  const database = join(directory, DATABASE_FILE);
  const files = { directory, database, wal: `${database}-wal` };
  const found = statSync(database, { throwIfNoEntry: false });
  // An empty file is a creation that was cut short, or a lost store: only who may create takes it.
  if (mode === 'open' && (found === undefined || found.size === 0))
    throw new StoreError('store-missing', directory);
  if (found === undefined) {
    makeDirectory(directory);
    closeSync(openSync(database, 'wx', 0o600));
    syncDirectory(directory);
  } else if ((found.mode & 0o077) !== 0) {
    chmodSync(database, 0o600);
  }
  const readWrite = constants.R_OK | constants.W_OK;
  accessSync(directory, readWrite | constants.X_OK);
  accessSync(database, readWrite);
  return files;
}

/**
 * The process that holds the database's lock, from Linux's table of locks. Undefined where there is none, and for a
 * holder in another pid namespace.
 */
export function lockHolder(database: string): number | undefined {
  try {
    const { dev, ino } = statSync(database, { bigint: true });
    const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
    const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
    const hex = (part: bigint): string => part.toString(16).padStart(2, '0');
    const file = `${hex(major)}:${hex(minor)}:${ino}`;
    for (const line of readFileSync('/proc/locks', 'utf8').split('\n')) {
      const [, kind, , , pid, name] = line.trim().split(/\s+/);
      if (kind === 'POSIX' && name === file && Number(pid) > 0) return Number(pid);
    }
  } catch {
    // Only a courtesy of the message: without the table the refusal stands as well.
  }
  return undefined;
}
