/** The store: the journal's contract, its errors, and the embedded journal on SQLite. */
export { STORE_ERRORS, StoreError, type StoreErrorCode } from './error.ts';
export * from './journal.ts';
export { type OpenMode, prepareStore } from './sqlite/directory.ts';
export { BLOCKING, type Flush, OVERLAPPED, type SyncFile } from './sqlite/flush.ts';
export { type JournalOptions, openJournal } from './sqlite/open.ts';
