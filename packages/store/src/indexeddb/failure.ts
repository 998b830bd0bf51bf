/** Turns what IndexedDB throws or aborts with into a StoreError with a stable code and the original as its cause. */
import { StoreError, type StoreErrorCode } from '../error.ts';

/** Names of DOMException, https://www.w3.org/TR/IndexedDB-3/#exceptions. */
const CODES: ReadonlyMap<string, StoreErrorCode> = new Map([
  ['QuotaExceededError', 'store-disk-full'],
  ['VersionError', 'store-newer-schema'],
  ['NotFoundError', 'store-corrupt'],
  ['DataError', 'store-corrupt'],
  ['ReadOnlyError', 'store-read-only'],
]);

/** `doing`: what was attempted, as a noun phrase: "opening the journal". */
export function indexedDbError(cause: unknown, doing: string): StoreError {
  if (cause instanceof StoreError) return cause;
  const name = cause instanceof Error ? cause.name : '';
  const message = cause instanceof Error ? cause.message : String(cause);
  return new StoreError(CODES.get(name) ?? 'store-io', `${doing}: ${message}`, { cause: name }, { cause });
}
