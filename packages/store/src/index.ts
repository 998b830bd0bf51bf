/** The store: the journal's contract, its errors, and the embedded journal on SQLite. */
export * from './contract.ts';
export { prepareStore } from './sqlite/directory.ts';
export { BLOCKING, type Flush, OVERLAPPED, type SyncFile } from './sqlite/flush.ts';
export { type JournalOptions, openJournal } from './sqlite/open.ts';
