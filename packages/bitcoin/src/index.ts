/** Bitcoin as the signer needs it: bytes and amounts, the curve, transactions, scripts, PSBTs, and all of BOLT 3. */
export { loadSecp256k1, openSecp256k1 } from '#native';
export * from './address.ts';
export * from './amount.ts';
export * from './block-header.ts';
export * from './block-reader.ts';
export { BLOCK_WEIGHT_MAX, type BlockTransaction } from './block-transaction.ts';
export * from './bolt3/index.ts';
export * from './bytes.ts';
export * from './error.ts';
export * from './hash.ts';
export * from './key-scripts.ts';
export * from './merkle.ts';
export * from './psbt.ts';
export {
  type Bip32Derivation,
  PSBT_GLOBAL,
  PSBT_IN,
  PSBT_OUT,
  type TapBip32Derivation,
} from './psbt-fields.ts';
export * from './script.ts';
export * from './secp256k1.ts';
export * from './sighash.ts';
export * from './signature.ts';
export * from './taproot.ts';
export * from './transaction.ts';
