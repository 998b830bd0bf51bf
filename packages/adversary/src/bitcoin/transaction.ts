/**
 * Transactions as plain values, in the shape in which the wire's messages carry them. Ids and hashes are in internal byte
 * order. What they hash to is computed by bitcoinjs-lib; its form of a transaction is kept beside the value, which must
 * therefore never be changed after it was first hashed or serialized.
 */
import { Transaction } from 'bitcoinjs-lib';
import { toHex } from './bytes.ts';

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

interface Hashed {
  readonly transaction: Transaction;
  txid: Uint8Array | undefined;
}

const known = new WeakMap<Tx, Hashed>();

function hashed(tx: Tx): Hashed {
  const found = known.get(tx);
  if (found !== undefined) return found;
  const transaction = new Transaction();
  transaction.version = tx.version >>> 0;
  transaction.locktime = tx.locktime;
  transaction.ins = tx.inputs.map((input) => ({
    hash: input.txid,
    index: input.vout,
    script: input.scriptSig,
    sequence: input.sequence,
    witness: input.witness as Uint8Array[],
  }));
  transaction.outs = tx.outputs.map(({ value, script }) => ({ value, script }));
  const made = { transaction, txid: undefined };
  known.set(tx, made);
  return made;
}

/** The same transaction as bitcoinjs-lib has it. Not to be changed. */
export const bitcoinjsTransaction = (tx: Tx): Transaction => hashed(tx).transaction;

/** With witnesses, BIP 144. */
export const serializeTx = (tx: Tx): Uint8Array => hashed(tx).transaction.toBuffer();

/** Throws what bitcoinjs-lib throws when the bytes are not exactly one transaction. */
export function parseTx(bytes: Uint8Array): Tx {
  const transaction = Transaction.fromBuffer(bytes);
  const tx: Tx = {
    version: transaction.version | 0,
    inputs: transaction.ins.map((input) => ({
      txid: input.hash,
      vout: input.index,
      scriptSig: input.script,
      sequence: input.sequence,
      witness: input.witness,
    })),
    outputs: transaction.outs.map(({ value, script }) => ({ value, script })),
    locktime: transaction.locktime,
  };
  known.set(tx, { transaction, txid: undefined });
  return tx;
}

/** Internal byte order. */
export function txidOf(tx: Tx): Uint8Array {
  const entry = hashed(tx);
  entry.txid ??= entry.transaction.getHash(false);
  return entry.txid;
}

/** BIP 141, internal byte order; 32 zero bytes for a coinbase. */
export const wtxidOf = (tx: Tx): Uint8Array => hashed(tx).transaction.getHash(true);

export const weightOf = (tx: Tx): number => hashed(tx).transaction.weight();
export const vsizeOf = (tx: Tx): number => hashed(tx).transaction.virtualSize();

/** A key for maps: the id in internal byte order as hex. */
export const txKey = (txid: Uint8Array): string => toHex(txid);
/** A key for maps of outpoints. */
export const outpointKey = ({ txid, vout }: OutPoint): string => `${toHex(txid)}:${vout}`;

/** The same transaction with other witnesses; an input without a witness in the list gets none. */
export function withWitnesses(tx: Tx, witnesses: readonly (readonly Uint8Array[])[]): Tx {
  return { ...tx, inputs: tx.inputs.map((input, i) => ({ ...input, witness: witnesses[i] ?? [] })) };
}
