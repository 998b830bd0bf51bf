/**
 * BOLT 3, complete and pure: keys, secrets, scripts, commitment, HTLC and closing transactions, and recognizing
 * them. Curve operations go through the `Secp256k1` the caller passes.
 */
export * from './closing.ts';
export * from './commitment.ts';
export * from './format.ts';
export * from './funding.ts';
export * from './htlc.ts';
export * from './keys.ts';
export * from './match.ts';
export * from './number.ts';
export * from './order.ts';
export * from './read.ts';
export * from './scripts.ts';
export * from './secrets.ts';
