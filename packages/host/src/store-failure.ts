/** What a journal throws or rejects with, also while a record is read for a decision, and records nobody can read. */
import { CountersignError } from '@countersign/bitcoin';
import { StoreError } from '@countersign/store/contract';

/** Whether an error means that the store can’t be used: nothing may be signed after it. */
export function isStoreFailure(error: unknown): error is CountersignError {
  if (error instanceof StoreError) return true;
  return error instanceof CountersignError && error.code.startsWith('record-');
}

/** Whatever a journal rejects with, the commit is not durable. */
export function failWithStore(cause: unknown): never {
  throw cause instanceof StoreError ? cause : new StoreError('store-io', 'a commit', {}, { cause });
}
