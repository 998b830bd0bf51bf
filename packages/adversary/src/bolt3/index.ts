/** BOLT 3 of the adversary's own, written from the BOLT. */
export * from './closing.ts';
export * from './commitment.ts';
export * from './fees.ts';
export * from './htlc.ts';
export * from './keys.ts';
export * from './number.ts';
export * from './scripts.ts';
export * from './secrets.ts';
export * from './witness.ts';
