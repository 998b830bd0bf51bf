/**
 * Transactions as plain values, in the shape in which the wire's messages carry them. Ids and hashes are in internal byte
 * order. What they hash to is computed by bitcoinjs-lib.
 */
export interface OutPoint {
  readonly txid: Uint8Array;
  readonly vout: number;
}

export interface TxInput extends OutPoint {
  readonly scriptSig: Uint8Array;
  readonly sequence: number;
  readonly witness: readonly Uint8Array[];
}

export interface TxOutput {
  /** Satoshi. */
  readonly value: bigint;
  readonly script: Uint8Array;
}

export interface Tx {
  readonly version: number;
  readonly inputs: readonly TxInput[];
  readonly outputs: readonly TxOutput[];
  readonly locktime: number;
}
