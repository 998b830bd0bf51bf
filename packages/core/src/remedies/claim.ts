/**
 * Claims of single outputs, and the transactions that carry them: one or many claims in, one output to our wallet.
 */
import {
  type OutPoint,
  outPointToString,
  type Sat,
  SIGHASH,
  sat,
  type Transaction,
  type TxOutput,
  weight,
} from '@countersign/bitcoin';
import type { OpenChannel } from '../channel/lookup.ts';
import type { Limits } from '../policy/settings.ts';
import type { OutputHtlc, OutputRole } from '../records/chain.ts';
import { claimFee, type Feerates, feeLadder, rateAt, type Window } from './fee-ladder.ts';
import type { Remedy, RemedyInput, RemedyKey, RemedyKind, Unclaimed, UnclaimedReason } from './remedy.ts';

/** An output of a close that nobody has spent; or one that will be there once a remedy confirms. */
export interface OpenOutput {
  readonly outpoint: OutPoint;
  readonly output: TxOutput;
  readonly role: OutputRole;
  readonly htlc: OutputHtlc | null;
  /** Where `after` is set, the height at which it is there at the earliest. */
  readonly createdHeightBlocks: number;
  readonly after: Uint8Array | null;
}

/** One of our signatures away from our wallet. */
export interface Claim {
  readonly of: OpenOutput;
  readonly kind: RemedyKind;
  readonly input: RemedyInput;
  readonly sequence: number;
  readonly locktime: number;
  readonly earliestHeightBlocks: number;
  readonly deadlineHeightBlocks: number | null;
  readonly isPunishable: boolean;
  readonly isOptional: boolean;
}

/** What all remedies of one channel share. */
export interface Frame {
  readonly channel: OpenChannel;
  readonly limits: Limits;
  readonly feerates: Feerates;
  /** Of the proven tip. */
  readonly heightBlocks: number;
  readonly destination: Uint8Array;
  /** As in the remedy. */
  readonly isReleased: boolean;
}

/** BIP 125, and locktimes count. */
export const REPLACEABLE = 0xffff_fffd;

export interface ClaimTerms {
  readonly kind: RemedyKind;
  readonly key: RemedyKey;
  readonly witnessScript: Uint8Array | null;
  /** Only where there is no witness script. */
  readonly scriptCode?: Uint8Array;
  readonly witness: readonly (Uint8Array | null)[];
  readonly csvBlocks?: number;
  readonly cltvExpiry?: number;
  readonly deadlineHeightBlocks?: number | null;
  readonly isPunishable?: boolean;
  readonly isOptional?: boolean;
}

export function claimOf(of: OpenOutput, terms: ClaimTerms): Claim {
  const { kind, key, witnessScript, witness, csvBlocks = 0, cltvExpiry = 0 } = terms;
  return {
    of,
    kind,
    input: {
      outpoint: of.outpoint,
      spent: of.output,
      witnessScript,
      scriptCode: witnessScript ?? terms.scriptCode!,
      key,
      sighashType: SIGHASH.ALL,
      witness,
    },
    // A relative lock in blocks leaves the transaction replaceable (BIP 125: below 0xfffffffe).
    sequence: csvBlocks === 0 ? REPLACEABLE : csvBlocks,
    locktime: cltvExpiry,
    // BIP 68: in the block `csvBlocks` after, so nodes take it one block before. BIP 65: in a block above the expiry.
    earliestHeightBlocks: Math.max(of.createdHeightBlocks + Math.max(csvBlocks - 1, 0), cltvExpiry),
    deadlineHeightBlocks: terms.deadlineHeightBlocks ?? null,
    isPunishable: terms.isPunishable ?? false,
    isOptional: terms.isOptional ?? false,
  };
}

export function unclaimedOf({ outpoint, output, role }: OpenOutput, reason: UnclaimedReason): Unclaimed {
  return { outpoint: outPointToString(outpoint), valueSat: output.value, role, reason };
}

/** DER with its sighash byte, r and s below half the order or ground to it. */
const SIGNATURE_BYTES_MAX = 72;

export function signedWeightOf(tx: Transaction, inputs: readonly RemedyInput[]): number {
  const placeholder = new Uint8Array(SIGNATURE_BYTES_MAX);
  return weight({
    ...tx,
    inputs: tx.inputs.map((input, i) => ({
      ...input,
      witness: inputs[i]!.witness.map((item) => item ?? placeholder),
    })),
  });
}

export const minOf = (heights: readonly (number | null)[]): number | null =>
  heights.reduce((least, one) => (one === null ? least : Math.min(least ?? one, one)), null);

/** From when the first of these may be claimed until the first of them may be lost; null where none may. */
export function windowOf(claims: readonly Claim[]): Window | null {
  const deadlineHeightBlocks = minOf(claims.map((one) => one.deadlineHeightBlocks));
  if (deadlineHeightBlocks === null) return null;
  const fromHeightBlocks = Math.min(...claims.map((one) => one.earliestHeightBlocks));
  return { fromHeightBlocks, deadlineHeightBlocks };
}

/** The unsigned transaction of these claims, paying `valueSat` to us. */
export function transactionOf(
  claims: readonly Claim[],
  { destination }: Frame,
  valueSat: bigint,
): Transaction {
  return {
    version: 2,
    inputs: claims.map(({ input: { outpoint }, sequence }) => ({
      txid: outpoint.txid,
      vout: outpoint.vout,
      scriptSig: new Uint8Array(0),
      sequence,
      witness: [],
    })),
    outputs: [{ value: sat(valueSat), script: destination }],
    locktime: Math.max(...claims.map(({ locktime }) => locktime)),
  };
}

export const spentSat = (claims: readonly Claim[]): bigint =>
  claims.reduce((sum, { input }) => sum + input.spent.value, 0n);

/** One transaction for these claims, at the rate of the day; null when it is not worth its fee. */
export function sweepOf(
  frame: Frame,
  kind: RemedyKind,
  claims: readonly Claim[],
  isFallback = false,
): Remedy | null {
  const { channel, limits, feerates, heightBlocks, destination } = frame;
  const totalSat = spentSat(claims);
  const inputs = claims.map(({ input }) => input);
  const deadlineHeightBlocks = minOf(claims.map((one) => one.deadlineHeightBlocks));
  const isPunishable = claims.some((one) => one.isPunishable);
  const rungs = isPunishable
    ? feeLadder(limits, { ...feerates, normalPerKw: feerates.urgentPerKw }, null)
    : feeLadder(limits, feerates, windowOf(claims));
  const signed = signedWeightOf(transactionOf(claims, frame, totalSat), inputs);
  const feeSat: Sat | null = claimFee(limits, {
    feeratePerKw: rateAt(rungs, heightBlocks),
    weight: signed,
    valueSat: totalSat,
    destination,
    isUncontested: deadlineHeightBlocks === null,
  });
  if (feeSat === null) return null;
  const valueSat = sat(totalSat - feeSat);
  return {
    kind,
    channel: channel.id,
    ref: channel.ref,
    transaction: transactionOf(claims, frame, valueSat),
    inputs,
    after: claims.find(({ of }) => of.after !== null)?.of.after ?? null,
    earliestHeightBlocks: Math.max(...claims.map((one) => one.earliestHeightBlocks)),
    deadlineHeightBlocks,
    valueSat,
    feeSat,
    weight: signed,
    bump: 'replace',
    rungs,
    isFinal: true,
    isFallback,
    isPunishable,
    isOptional: claims.every((one) => one.isOptional),
    isReleased: frame.isReleased,
  };
}
