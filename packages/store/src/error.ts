/**
 * Every way a store can fail. The code is stable; each of them stops signing, so none is ever retried in the process
 * that saw it: the operator removes the cause and opens the store again.
 */
import { CountersignError, type Facts } from '@countersign/bitcoin';

/** Code and what it means for the operator. */
export const STORE_ERRORS = {
  'store-version-conflict': 'the stored version of a record is not the one the change builds on',
  'store-corrupt': 'the stored bytes are not those that were written',
  'store-newer-schema': 'a newer release wrote this store; this one does not understand it',
  'store-bound-elsewhere': 'the store belongs to another network or node',
  'store-locked': 'another process has the store open',
  'store-rolled-back': 'the store is not the one, or not as new as the one, that the witness has seen',
  'store-fenced': 'another process has taken over from this one, on another copy of the store',
  'store-witness': 'the witness file cannot be used',
  'store-missing': 'there is no store in the directory',
  'store-exists': 'there is a store in the directory already',
  'store-disk-full': 'no space left for the store',
  'store-read-only': 'the store cannot be written: read-only file system or missing permission',
  'store-io': 'reading or writing the store failed',
  'store-limit': 'a commit exceeds a bound of the journal',
  'store-failed': 'the journal failed earlier and takes no more commits',
  'store-closed': 'the journal is closed',
} as const;

/** Stable, for programs. */
export type StoreErrorCode = keyof typeof STORE_ERRORS;

/** A store that failed: signing ends with it. */
export class StoreError extends CountersignError {
  declare readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, detail: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, `${STORE_ERRORS[code]}: ${detail}`, facts, options);
    this.name = 'StoreError';
  }
}
