/** The journal's contract and its errors, without any store: what runs wherever the signer does, browsers too. */
export { STORE_ERRORS, StoreError, type StoreErrorCode } from './error.ts';
export * from './journal.ts';
