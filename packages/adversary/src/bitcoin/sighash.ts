/** What a signature of an input signs: before segwit, BIP 143 and BIP 341's key path, with any sighash type. */
import { bitcoinjsTransaction, type Tx, type TxOutput } from './transaction.ts';

export const SIGHASH = {
  DEFAULT: 0x00,
  ALL: 0x01,
  NONE: 0x02,
  SINGLE: 0x03,
  ANYONECANPAY: 0x80,
  SINGLE_ANYONECANPAY: 0x83,
} as const;

/** Before segwit, for inputs that spend p2pkh and the like. */
export function sighashLegacy(tx: Tx, index: number, script: Uint8Array, type: number): Uint8Array {
  return bitcoinjsTransaction(tx).hashForSignature(index, script, type);
}

/** BIP 143. For p2wpkh `scriptCode` is `p2pkhScript` of the program. */
export function sighashV0(
  tx: Tx,
  index: number,
  scriptCode: Uint8Array,
  value: bigint,
  type: number,
): Uint8Array {
  return bitcoinjsTransaction(tx).hashForWitnessV0(index, scriptCode, value, type);
}

/** BIP 341, key path, no annex. `spent`: the outputs that the inputs spend, in their order. */
export function sighashTaproot(tx: Tx, index: number, spent: readonly TxOutput[], type: number): Uint8Array {
  return bitcoinjsTransaction(tx).hashForWitnessV1(
    index,
    spent.map(({ script }) => script),
    spent.map(({ value }) => value),
    type,
  );
}
