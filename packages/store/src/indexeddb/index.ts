/** The journal of a browser: IndexedDB with strict durability, one writer by Web Locks. */
export { AUDIT_IN_MEMORY_MAX, type IndexedDbJournal } from './journal.ts';
export { type IndexedDbOptions, LOCK_WAIT_MS, openIndexedDbJournal } from './open.ts';
