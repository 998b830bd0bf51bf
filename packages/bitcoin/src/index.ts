export * from './amount.ts';
export * from './backend.ts';
export * from './bytes.ts';
export * from './error.ts';
export * from './hash.ts';
export * from './script.ts';
export * from './secp256k1.ts';
export * from './transaction.ts';
