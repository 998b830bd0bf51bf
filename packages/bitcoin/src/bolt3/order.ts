/**
 * BOLT 3 "Transaction Output Ordering": value, then script; equal HTLC outputs by cltv_expiry, because the HTLC
 * signatures are sent in this order and their transactions differ.
 */
import { compareBytes } from '../bytes.ts';
import type { TxOutput } from '../transaction.ts';

/** BIP 69 for outputs. */
export function compareOutputs(a: TxOutput, b: TxOutput): number {
  if (a.value !== b.value) return a.value < b.value ? -1 : 1;
  return compareBytes(a.script, b.script);
}

/** An output and, for HTLC outputs, what breaks ties. Elsewhere both are 0. */
export interface OrderedOutput extends TxOutput {
  readonly cltvExpiry: number;
  /** Place in the caller's list: the last resort, between HTLCs whose outputs and transactions are equal. */
  readonly htlcIndex: number;
}

export function compareOrdered(a: OrderedOutput, b: OrderedOutput): number {
  return compareOutputs(a, b) || a.cltvExpiry - b.cltvExpiry || a.htlcIndex - b.htlcIndex;
}
