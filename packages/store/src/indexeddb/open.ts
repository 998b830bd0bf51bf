/**
 * Opening a browser's journal: the lock first, then the database, all records into memory. What it acknowledges is on the disk;
 * the first failure ends it, and opening it again finds every acknowledged commit and no part of another.
 */
import { StoreError } from '../error.ts';
import type { JournalLimits, OpenMode } from '../journal.ts';
import { load, openDatabase } from './database.ts';
import { indexedDbError } from './failure.ts';
import { AUDIT_IN_MEMORY_MAX, IndexedDbJournal } from './journal.ts';
import { holdLock } from './lock.ts';

/** A page that is reloaded lets go of the lock a moment after its successor asks for it. */
export const LOCK_WAIT_MS = 2_000;
const STORE_ID_BYTES = 16;

/** What a journal takes from the page. */
export interface IndexedDbOptions {
  readonly mode: OpenMode;
  /** `crypto.getRandomValues`; only the store id is drawn from it, once. */
  readonly randomBytes: (count: number) => Uint8Array;
  /** A clock that never goes back, in milliseconds (`performance.now`); only latencies are taken from it. */
  readonly monotonicMs: () => number;
  /** `indexedDB` and `navigator.locks` of the page or worker. */
  readonly factory: IDBFactory;
  readonly locks: LockManager;
  readonly lockWaitMs?: number;
  readonly limits?: Partial<JournalLimits>;
}

/**
 * Open the store `name` of this origin. No other page, worker or tab can have it meanwhile. The browser may delete what a site
 * stored when space is short, unless the user let it keep it: ask with `navigator.storage.persist()` first, as a lost
 * store is a lost ratchet.
 * @throws StoreError `store-locked`, `store-missing`, `store-exists`, `store-corrupt`, `store-newer-schema`, `store-io`
 */
export async function openIndexedDbJournal(
  name: string,
  options: IndexedDbOptions,
): Promise<IndexedDbJournal> {
  const { mode, randomBytes, factory, locks, lockWaitMs = LOCK_WAIT_MS } = options;
  const release = await holdLock(locks, name, lockWaitMs);
  try {
    if (mode === 'create') await requireNone(factory, name);
    const db = await openDatabase(factory, name, mode, randomBytes(STORE_ID_BYTES));
    try {
      const journal = new IndexedDbJournal(db, await load(db, AUDIT_IN_MEMORY_MAX), release, options);
      // What an earlier page wrote last may have completed without us: from here on it is durable, and the generation is ours.
      await journal.begin();
      return journal;
    } catch (cause) {
      db.close();
      throw cause;
    }
  } catch (cause) {
    release();
    throw indexedDbError(cause, 'opening the journal');
  }
}

async function requireNone(factory: IDBFactory, name: string): Promise<void> {
  const databases = await factory.databases();
  if (databases.some((database) => database.name === name))
    throw new StoreError('store-exists', `this browser has a database ${name}`, { store: name });
}
