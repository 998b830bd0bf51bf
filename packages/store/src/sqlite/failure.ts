/**
 * Turns what SQLite and the file system throw into a StoreError with a stable code and the original as its cause.
 */
import { StoreError, type StoreErrorCode } from '../error.ts';

/** Primary result codes, https://www.sqlite.org/rescode.html. */
const SQLITE_CODES: ReadonlyMap<number, StoreErrorCode> = new Map([
  // SQLITE_ERROR: the statement does not fit the schema, so the schema is not the one that was written.
  [1, 'store-corrupt'],
  [5, 'store-locked'], // SQLITE_BUSY
  [6, 'store-locked'], // SQLITE_LOCKED
  [8, 'store-read-only'], // SQLITE_READONLY
  [11, 'store-corrupt'], // SQLITE_CORRUPT
  [13, 'store-disk-full'], // SQLITE_FULL
  [19, 'store-corrupt'], // SQLITE_CONSTRAINT: every insert is checked before, so a row is not what it was
  [24, 'store-corrupt'], // SQLITE_FORMAT
  [26, 'store-corrupt'], // SQLITE_NOTADB
]);

const SYSTEM_CODES: ReadonlyMap<string, StoreErrorCode> = new Map([
  ['ENOSPC', 'store-disk-full'],
  ['EDQUOT', 'store-disk-full'],
  ['EROFS', 'store-read-only'],
  ['EACCES', 'store-read-only'],
  ['EPERM', 'store-read-only'],
]);

function property(cause: unknown, name: string): unknown {
  return typeof cause === 'object' && cause !== null ? Reflect.get(cause, name) : undefined;
}

/** `doing`: what was attempted, as a noun phrase: "opening the journal". */
export function storeError(cause: unknown, doing: string): StoreError {
  if (cause instanceof StoreError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  const code = property(cause, 'code');
  const resultCode = property(cause, 'errcode');
  if (code === 'ERR_SQLITE_ERROR' && typeof resultCode === 'number') {
    const facts = { sqliteCode: resultCode };
    return new StoreError(SQLITE_CODES.get(resultCode & 0xff) ?? 'store-io', `${doing}: ${message}`, facts, {
      cause,
    });
  }
  // An INTEGER column beyond 2^53: never written by us.
  if (code === 'ERR_OUT_OF_RANGE')
    return new StoreError('store-corrupt', `${doing}: ${message}`, {}, { cause });
  if (typeof code !== 'string') return new StoreError('store-io', `${doing}: ${message}`, {}, { cause });
  return new StoreError(
    SYSTEM_CODES.get(code) ?? 'store-io',
    `${doing}: ${message}`,
    { systemCode: code },
    { cause },
  );
}
