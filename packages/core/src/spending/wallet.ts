/**
 * sign_withdrawal (7): wallet inputs of a PSBT, whatever it is for: a payment, the funding of channels, our side of a
 * splice. Signs only inputs named as ours, in a transaction whose satoshis all have a destination.
 */
import { equalBytes, outPointToString, type Psbt, type Transaction } from '@countersign/bitcoin';
import type { HsmUtxo, MessageOf } from '@countersign/wire';
import { channelId } from '../channel/lookup.ts';
import type { Context } from '../context.ts';
import { outputRecords } from '../records/chain.ts';
import { channelRecords } from '../records/channel.ts';
import type { SignedInput } from '../records/spending.ts';
import type { Release } from '../release.ts';
import { claimInputs, type OwnedInput, signInputs } from './inputs.ts';
import { noteWalletIndex } from './ownership.ts';
import { judgeSpend } from './spend.ts';
import { requireProvenAmounts } from './spend-form.ts';

export function signWithdrawal(ctx: Context, request: MessageOf<'hsmd_sign_withdrawal'>): Release {
  const { psbt, owned } = claimInputs(ctx, request.psbt, request.inputs);
  const release = signInputs(psbt, owned, 'hsmd_sign_withdrawal_reply');
  if (owned.length === 0) return release;
  requireKnownAmounts(ctx, psbt, owned);
  judgeSpend(ctx, psbt, owned.map(signedInput), {
    hints: walletIndices(request.inputs),
    provesAll: owned.every(({ scriptCode }) => scriptCode === null),
    // A version 0 signature for a script that the output does not have is worth nothing.
    proven: owned.filter(({ scriptCode }) => scriptCode !== null).map(({ index }) => index),
  });
  noteSpentIndices(ctx, owned);
  return release;
}

export const signedInput = ({ index, spent }: OwnedInput): SignedInput => ({ index, valueSat: spent.value });

const walletIndices = (utxos: readonly HsmUtxo[]): readonly number[] =>
  utxos.filter(({ closeInfo }) => closeInfo === undefined).map(({ keyindex }) => keyindex);

/** An output at that index was paid to us, so the index is in use. */
export function noteSpentIndices(ctx: Context, owned: readonly OwnedInput[]): void {
  for (const { key } of owned) {
    if (key.kind === 'wallet' || key.kind === 'wallet-taproot') noteWalletIndex(ctx, key.index);
  }
}

/** CLN sends no previous transaction of commitments; theirs are on record. */
export function requireKnownAmounts(ctx: Context, psbt: Psbt, owned: readonly OwnedInput[]): void {
  requireProvenAmounts(psbt, owned, (input) => isOnRecord(ctx, psbt.unsignedTx, input));
}

/**
 * An anchor has one amount; our output of a commitment of the peer is on record until the peer revokes it; and of what a close
 * has created on the chain, every amount is proven.
 */
function isOnRecord(ctx: Context, tx: Transaction, { index, key, spent }: OwnedInput): boolean {
  if (key.kind === 'anchor') return true;
  const { created } = ctx.draft.get(outputRecords, outPointToString(tx.inputs[index]!)) ?? { created: null };
  if (created !== null && created.valueSat === spent.value) return true;
  if (key.kind !== 'to-remote') return false;
  const record = ctx.draft.get(channelRecords, channelId(key.channel));
  const { txid } = tx.inputs[index]!;
  const issued = record?.candidates.flatMap((candidate) => candidate.issued) ?? [];
  return issued.some((one) => equalBytes(one.txid, txid) && one.toHolderSat === spent.value);
}
