/**
 * Transactions that carry a signature of ours. A channel whose funding one of them creates may become real, whichever
 * the node told the signer of first, the signature or the channel, and whatever message asked for the signature.
 */
import {
  equalOutPoints,
  type OutPoint,
  outPointToString,
  type Transaction,
  txid,
  txidToHex,
} from '@countersign/bitcoin';
import type { Context } from '../context.ts';
import { channelRecords, fundingRecords } from '../records/channel.ts';
import { SIGNED_INPUTS_MAX, type SignedInput, signedTransactionRecords } from '../records/spending.ts';
import { saveChannel } from './lookup.ts';

/** Call it for every transaction of which an input is signed and which may create a funding, with what of it is ours. */
export function markFundingSigned(ctx: Context, tx: Transaction, ours: readonly SignedInput[] = []): void {
  const id = txid(tx);
  const key = txidToHex(id);
  const known = ctx.draft.get(signedTransactionRecords, key);
  const inputs = withInputs(known?.inputs ?? [], ours);
  if (known === null || inputs.length !== known.inputs.length)
    ctx.draft.put(signedTransactionRecords, key, { inputs });
  tx.outputs.forEach((_, vout) => {
    markCandidate(ctx, { txid: id, vout });
  });
}

/** Every amount an input was signed with stays: an earlier one may have been a lie. */
function withInputs(known: readonly SignedInput[], ours: readonly SignedInput[]): readonly SignedInput[] {
  const fresh = ours.filter(
    (one) => !known.some(({ index, valueSat }) => index === one.index && valueSat === one.valueSat),
  );
  return [...known, ...fresh].slice(-SIGNED_INPUTS_MAX);
}

function markCandidate(ctx: Context, outpoint: OutPoint): void {
  const channelId = ctx.draft.get(fundingRecords, outPointToString(outpoint));
  const record = channelId === null ? null : ctx.draft.get(channelRecords, channelId);
  if (channelId === null || record === null) return;
  if (!record.candidates.some((c) => equalOutPoints(c.outpoint, outpoint) && !c.fundingSigned)) return;
  saveChannel(ctx, channelId, {
    ...record,
    candidates: record.candidates.map((c) =>
      equalOutPoints(c.outpoint, outpoint) ? { ...c, fundingSigned: true } : c,
    ),
  });
}
