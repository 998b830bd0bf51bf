/**
 * What of one transaction was signed before, request by request: inputs of a sweep are signed one at a time, and those of our
 * wallet beside them by another message. A version 0 signature commits to the amount of its own input alone, so only all
 * requests about one txid together say what the transaction takes.
 */
import { type Transaction, txid, txidToHex } from '@countersign/bitcoin';
import type { Context } from '../context.ts';
import { malformed } from '../form.ts';
import {
  SIGNED_INPUTS_MAX,
  type SignedInput,
  signedSweepRecords,
  signedTransactionRecords,
} from '../records/spending.ts';

/** Of each input the largest amount it was signed with: another may have been a lie. None is ever left out. */
export function withInputs(
  known: readonly SignedInput[],
  more: readonly SignedInput[],
): readonly SignedInput[] {
  const largest = new Map<number, SignedInput>();
  for (const one of [...known, ...more]) {
    const before = largest.get(one.index);
    if (before === undefined || one.valueSat > before.valueSat) largest.set(one.index, one);
  }
  if (largest.size > SIGNED_INPUTS_MAX) {
    malformed('too many inputs of ours in one transaction', {
      inputs: largest.size,
      inputs_max: SIGNED_INPUTS_MAX,
    });
  }
  return [...largest.values()];
}

/** Inputs of ours that were signed under this txid, by whatever request. */
export function signedBefore(ctx: Context, tx: Transaction): readonly SignedInput[] {
  const id = txidToHex(txid(tx));
  const wallet = ctx.draft.get(signedTransactionRecords, id)?.inputs ?? [];
  return [...wallet, ...(ctx.draft.get(signedSweepRecords, id) ?? [])];
}

/** Whether a request for the wallet's own inputs has signed some of this transaction. */
export function hasWalletInputs(ctx: Context, tx: Transaction): boolean {
  return (ctx.draft.get(signedTransactionRecords, txidToHex(txid(tx)))?.inputs.length ?? 0) > 0;
}

/**
 * Remembers what is swept here, and says what all inputs signed so far are worth. A transaction becomes valid with the last of
 * its signatures, and each of them is worth something only with the true amount of its input: so the last sees them all.
 */
export function noteSwept(ctx: Context, tx: Transaction, input: SignedInput): readonly SignedInput[] {
  if (tx.inputs.length === 1) return [input];
  const id = txidToHex(txid(tx));
  const known = ctx.draft.get(signedSweepRecords, id) ?? [];
  const isKnown = known.some(({ index, valueSat }) => index === input.index && valueSat >= input.valueSat);
  if (!isKnown) ctx.draft.put(signedSweepRecords, id, withInputs(known, [input]));
  return withInputs(signedBefore(ctx, tx), []);
}
