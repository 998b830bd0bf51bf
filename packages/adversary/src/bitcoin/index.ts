/** Bitcoin of the adversary's own: written from the BIPs, on public libraries. */
export * from './bytes.ts';
export * from './hash.ts';
export * from './keys.ts';
export * from './psbt.ts';
export * from './scripts.ts';
export * from './sighash.ts';
export * from './transaction.ts';
export * from './wallet.ts';
