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
import { signedTransactionRecords } from '../records/spending.ts';
import { saveChannel } from './lookup.ts';

/** Call it for every transaction of which an input is signed and which may create a funding. */
export function markFundingSigned(ctx: Context, tx: Transaction): void {
  const id = txid(tx);
  const key = txidToHex(id);
  if (ctx.draft.get(signedTransactionRecords, key) === null) ctx.draft.put(signedTransactionRecords, key, {});
  tx.outputs.forEach((_, vout) => {
    markCandidate(ctx, { txid: id, vout });
  });
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
