/**
 * Bitcoin transactions: the value, its strict parsing and its two serializations. Parsing accepts only the one
 * canonical encoding, so `serializeTransaction(parseTransaction(b))` is always `b`.
 */
import type { Sat } from './amount.ts';

export interface TxInput {
  /** Internal byte order (as on the wire), 32 bytes. */
  readonly txid: Uint8Array;
  readonly vout: number;
  readonly scriptSig: Uint8Array;
  readonly sequence: number;
  readonly witness: readonly Uint8Array[];
}

export interface TxOutput {
  readonly value: Sat;
  readonly script: Uint8Array;
}

export interface Transaction {
  /** Signed 32-bit. */
  readonly version: number;
  readonly inputs: readonly TxInput[];
  readonly outputs: readonly TxOutput[];
  readonly locktime: number;
}

export interface OutPoint {
  /** Internal byte order, 32 bytes. */
  readonly txid: Uint8Array;
  readonly vout: number;
}
