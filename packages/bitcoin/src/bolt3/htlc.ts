/**
 * BOLT 3 "HTLC-Timeout and HTLC-Success Transactions": the second level of a commitment, which moves an HTLC output
 * to the broadcaster under its delay. Pure; one transaction per untrimmed HTLC, in output order.
 */
import type { Sat } from '../amount.ts';
import { msatToSatFloor, sat } from '../amount.ts';
import { FormError } from '../error.ts';
import { p2wshOfScript } from '../script.ts';
import { SIGHASH, segwitV0Sighash } from '../sighash.ts';
import { encodeScriptSignature } from '../signature.ts';
import type { Transaction } from '../transaction.ts';
import type { CommitmentHtlc, CommitmentHtlcOutput } from './commitment.ts';
import type { CommitmentFormat } from './format.ts';
import { countersignatoryHtlcSighash, htlcTransactionFeeSat, htlcTransactionSequence } from './format.ts';
import type { RevocableKeys } from './scripts.ts';
import { htlcTransactionOutputScript, requireCltvExpiry } from './scripts.ts';

export interface HtlcTransactionParams {
  readonly format: CommitmentFormat;
  /** Of the commitment; without effect for `anchors_zero_fee_htlc`. */
  readonly feeratePerKw: number;
  /** The broadcaster's delay, as in `to_local` without a lease. */
  readonly toSelfDelayBlocks: number;
  readonly keys: RevocableKeys;
  /** Internal byte order. */
  readonly commitmentTxid: Uint8Array;
}

/** An HTLC transaction and what signing it takes. */
export interface HtlcTransaction {
  /** Unsigned. */
  readonly transaction: Transaction;
  readonly outputWitnessScript: Uint8Array;
  /** The HTLC output it spends. */
  readonly spent: CommitmentHtlcOutput;
  readonly spentSat: Sat;
  readonly feeSat: Sat;
}

function buildWithOutput(
  params: HtlcTransactionParams,
  spent: CommitmentHtlcOutput,
  output: { readonly script: Uint8Array; readonly witnessScript: Uint8Array },
): HtlcTransaction {
  const { htlc, outputIndex } = spent;
  const spentSat = msatToSatFloor(htlc.amountMsat);
  const feeSat = htlcTransactionFeeSat(params.format, htlc.direction, params.feeratePerKw);
  if (feeSat > spentSat)
    throw new FormError('HTLC below the fee of its transaction', { amount_sat: spentSat, fee_sat: feeSat });
  const transaction: Transaction = {
    version: 2,
    inputs: [
      {
        txid: params.commitmentTxid,
        vout: outputIndex,
        scriptSig: new Uint8Array(0),
        sequence: htlcTransactionSequence(params.format),
        witness: [],
      },
    ],
    outputs: [{ value: sat(spentSat - feeSat), script: output.script }],
    locktime: htlcTransactionLocktime(htlc),
  };
  return { transaction, outputWitnessScript: output.witnessScript, spent, spentSat, feeSat };
}

/** HTLC-timeout is valid from the expiry on, HTLC-success at once. */
export const htlcTransactionLocktime = (htlc: Pick<CommitmentHtlc, 'direction' | 'cltvExpiry'>): number =>
  htlc.direction === 'offered' ? requireCltvExpiry(htlc.cltvExpiry) : 0;

/** One per HTLC output. Throws `FormError` for an HTLC that should have been trimmed. */
export function buildHtlcTransactions(
  params: HtlcTransactionParams,
  htlcs: readonly CommitmentHtlcOutput[],
): HtlcTransaction[] {
  const witnessScript = htlcTransactionOutputScript(params.keys, params.toSelfDelayBlocks);
  const output = { script: p2wshOfScript(witnessScript), witnessScript };
  return htlcs.map((spent) => buildWithOutput(params, spent, output));
}

export function buildHtlcTransaction(
  params: HtlcTransactionParams,
  htlc: CommitmentHtlcOutput,
): HtlcTransaction {
  return buildHtlcTransactions(params, [htlc])[0]!;
}

/** What the countersignatory signs for the broadcaster (BOLT 2 `htlc_signature`). */
export function countersignatoryHtlcHash(tx: HtlcTransaction, format: CommitmentFormat): Uint8Array {
  return htlcSighash(tx, countersignatoryHtlcSighash(format));
}

/** What the broadcaster itself signs when it publishes the transaction. */
export function broadcasterHtlcHash(tx: HtlcTransaction): Uint8Array {
  return htlcSighash(tx, SIGHASH.ALL);
}

function htlcSighash(tx: HtlcTransaction, sighashType: number): Uint8Array {
  return segwitV0Sighash(tx.transaction, 0, tx.spent.witnessScript, tx.spentSat, sighashType);
}

/** Signatures 64 bytes compact; the preimage for HTLC-success only. */
export interface HtlcWitnessParts {
  readonly format: CommitmentFormat;
  readonly countersignatorySignature: Uint8Array;
  readonly broadcasterSignature: Uint8Array;
  readonly preimage: Uint8Array | null;
}

/** 0 <remotehtlcsig> <localhtlcsig> <preimage or empty> <witness script>. */
export function htlcWitness(tx: HtlcTransaction, parts: HtlcWitnessParts): readonly Uint8Array[] {
  const isSuccess = tx.spent.htlc.direction === 'received';
  if (isSuccess !== (parts.preimage !== null) || (parts.preimage !== null && parts.preimage.length !== 32))
    throw new FormError('HTLC-success takes a preimage of 32 bytes, HTLC-timeout none');
  const empty = new Uint8Array(0);
  return [
    empty,
    encodeScriptSignature(parts.countersignatorySignature, countersignatoryHtlcSighash(parts.format)),
    encodeScriptSignature(parts.broadcasterSignature, SIGHASH.ALL),
    parts.preimage ?? empty,
    tx.spent.witnessScript,
  ];
}

/** The transaction with the witness in place. */
export function signedHtlcTransaction(tx: HtlcTransaction, parts: HtlcWitnessParts): Transaction {
  const input = tx.transaction.inputs[0]!;
  return { ...tx.transaction, inputs: [{ ...input, witness: htlcWitness(tx, parts) }] };
}
