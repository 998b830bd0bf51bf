/**
 * Splices: the signature on the old funding. It is given only once our first commitment on the new funding is validated,
 * and when what leaves our balance goes to known destinations.
 */
import { txid, txidToHex } from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import type { OpenChannel } from '../channel/lookup.ts';
import type { FundingCandidate } from '../channel/record.ts';
import type { Context } from '../context.ts';
import { refuseForNow } from '../refusal.ts';
import { largestBalanceSat } from './balance.ts';
import { fundingsCreated } from './fundings.ts';
import { initialCountersigned } from './rules.ts';
import { judgeSpend } from './spend.ts';

/** sign_splice_tx (29), for a transaction that creates a new funding. */
export function judgeSplice(
  ctx: Context,
  channel: OpenChannel,
  candidate: FundingCandidate,
  request: MessageOf<'hsmd_sign_splice_tx'>,
): void {
  const { tx } = request.tx;
  const created = fundingsCreated(ctx, tx).filter((one) => one.channel.id === channel.id);
  if (created.length === 0) {
    // CLN's splice_initiator_user_finalized asks before setup_channel names the new funding.
    refuseForNow(initialCountersigned, 'no output of this splice is set up as a funding of the channel yet', {
      channel: channel.id,
      splice: txidToHex(txid(tx)),
    });
  }
  judgeShares(ctx, candidate, request);
}

/** Law 5 as a sum over everything of ours that the transaction spends. */
export function judgeShares(
  ctx: Context,
  candidate: FundingCandidate,
  { tx: { psbt }, inputIndex }: MessageOf<'hsmd_sign_splice_tx'>,
): void {
  judgeSpend(ctx, psbt, [{ index: inputIndex, valueSat: largestBalanceSat(candidate) }]);
}
