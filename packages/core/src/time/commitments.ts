/**
 * Law 4 for a commitment: the funding it spends is buried and its own, and newly offered HTLCs expire neither too soon
 * nor too late. All by the signer's chain view; without one these rules are silent, and `policy show` says so.
 */
import { equalBytes, type Facts, outPointToString, txidToHex } from '@countersign/bitcoin';
import { overdue } from '../chain/deadlines.ts';
import { isFundingOutput } from '../chain/fundings.ts';
import { isBacked } from '../chain/ours.ts';
import type { ChainView, OutpointStatus } from '../chain/view.ts';
import { scopeOf } from '../channel/live.ts';
import { isDormant } from '../channel/locking.ts';
import type { OpenChannel } from '../channel/lookup.ts';
import type { FundingCandidate, HtlcRecord } from '../channel/record.ts';
import type { Context } from '../context.ts';
import { hashHex, htlcKey } from '../ledger/htlc-set.ts';
import type { LedgerStep, Proposal } from '../ledger/judge.ts';
import { hiddenBelowMsat } from '../ledger/trim-line.ts';
import { enforce } from '../policy/enforce.ts';
import { isZeroConf, limitsFor, type PolicyScope } from '../policy/settings.ts';
import { closingRecords } from '../records/chain.ts';
import type { RecordKind } from '../records/kind.ts';
import { paymentRecords } from '../records/payment.ts';
import { refuse } from '../refusal.ts';
import { requireOneFunding } from './other-fundings.ts';
import { fundingOnchain, htlcCltvRange, spendsActiveUtxo } from './rules.ts';

export function requireTime(ctx: Context, channel: OpenChannel, proposal: Proposal, step: LedgerStep): void {
  const { chain } = ctx;
  if (chain === null) return;
  requireBuried(ctx, chain, channel, proposal);
  requireInTime(ctx, chain, channel, proposal);
  const scope = scopeOf(channel.record);
  if (step.added.some(({ offeredBy }) => offeredBy === 'holder')) requireFresh(ctx, chain, channel, scope);
  requireRange(ctx, chain, channel, proposal, step);
}

/** The node may be ahead of the view by so much: what is too far for now is in range then. */
const BEHIND_BLOCKS = 3;

/**
 * Nodes forward until the outgoing HTLC expires, as late as strangers want it: what a forward needs is that the incoming one lives
 * longer (`forwards.ts`), and that its own deadline is not over (`requireInTime`). The margin is for payments of our own.
 */
function requireRange(
  ctx: Context,
  { heightBlocks }: ChainView,
  channel: OpenChannel,
  proposal: Proposal,
  step: LedgerStep,
): void {
  const scope = scopeOf(channel.record);
  const { cltvMarginBlocks, cltvMaxBlocks } = limitsFor(ctx.policy, scope);
  const [min, max] = [heightBlocks + cltvMarginBlocks, heightBlocks + cltvMaxBlocks];
  const isOutside = (htlc: HtlcRecord) =>
    htlc.cltvExpiry >= max || (htlc.cltvExpiry <= min && !isForward(ctx, channel, htlc));
  const wrong = step.added.find(
    (htlc) => htlc.offeredBy === 'holder' && isOutside(htlc) && !isOfferedBefore(proposal, htlc),
  );
  if (wrong === undefined) return;
  enforce(ctx, htlcCltvRange, scope, {
    message: 'a new HTLC of ours expires out of range',
    facts: {
      channel: channel.id,
      cltv_expiry: wrong.cltvExpiry,
      cltv_expiry_min: min + 1,
      cltv_expiry_max: max - 1,
      height: heightBlocks,
    },
    isTemporary: wrong.cltvExpiry >= max && wrong.cltvExpiry < max + BEHIND_BLOCKS,
  });
}

/**
 * It is no payment of ours, and something of its hash comes in: where we offer nothing of it, be it that only one commitment shows that;
 * or it is so small that none may, and then law 3 charges it as dust.
 */
function isForward(ctx: Context, channel: OpenChannel, { paymentHash, amountMsat }: HtlcRecord): boolean {
  const payment = ctx.draft.get(paymentRecords, hashHex(paymentHash));
  if (payment !== null && (payment.approval !== null || payment.invoice !== null)) return false;
  const comesIn = payment?.parts.some(({ standingMsat, outMsat }) => standingMsat > 0n || outMsat === 0n);
  return comesIn === true || amountMsat < hiddenBelowMsat(ctx, channel);
}

/** The peer has it in a commitment that we signed: it was in range then, and ours only follows. */
function isOfferedBefore({ view, candidate }: Proposal, htlc: HtlcRecord): boolean {
  if (view === 'counterparty') return false;
  const key = htlcKey(htlc);
  return candidate.issued.some(({ htlcs }) => htlcs.some((one) => htlcKey(one) === key));
}

/** A view that is behind, or locked, tells nothing of what a new HTLC would rest on: later, then. */
function requireFresh(ctx: Context, chain: ChainView, channel: OpenChannel, scope: PolicyScope): void {
  if (chain.isFresh) return;
  enforce(ctx, spendsActiveUtxo, scope, {
    message: 'the view of the chain is behind: no new HTLC before it has caught up',
    facts: { channel: channel.id, height: chain.heightBlocks },
    isTemporary: true,
  });
}

/** After its deadline an HTLC belongs on the chain: no commitment that still has it. */
function requireInTime(ctx: Context, chain: ChainView, channel: OpenChannel, { content }: Proposal): void {
  const scope = scopeOf(channel.record);
  const read = <T>(kind: RecordKind<T>, id: string) => ctx.draft.get(kind, id);
  const late = overdue(read, limitsFor(ctx.policy, scope), chain.heightBlocks, channel.id, content.htlcs);
  if (late === null) return;
  const { htlc, deadlineHeightBlocks } = late;
  enforce(ctx, htlcCltvRange, scope, {
    message: 'an HTLC has passed its deadline: only its removal, or the chain',
    facts: {
      channel: channel.id,
      payment_hash: hashHex(htlc.paymentHash),
      offered_by: htlc.offeredBy,
      cltv_expiry: htlc.cltvExpiry,
      deadline_height: deadlineHeightBlocks,
      height: chain.heightBlocks,
    },
  });
}

/** For a commitment of ours that is to be published: its funding, if the view has it, is the channel's. */
export function requireOwnFunding(ctx: Context, channel: OpenChannel, candidate: FundingCandidate): void {
  if (ctx.chain !== null) fundingStatus(ctx, ctx.chain, channel, candidate);
}

/** What the chain view says of a funding; refuses for good when the buried output is not the channel's. */
export function fundingStatus(
  ctx: Context,
  chain: ChainView,
  channel: OpenChannel,
  candidate: FundingCandidate,
): OutpointStatus {
  const status = chain.outpoint(candidate.outpoint);
  if (status.kind === 'unknown') return status;
  if (isFundingOutput(ctx.keys, channel.ref, candidate, status)) return status;
  refuse(fundingOnchain, 'the funding on the chain has another script or value than the channel', {
    channel: channel.id,
    outpoint: outPointToString(candidate.outpoint),
    value_sat: candidate.valueSat,
    value_onchain_sat: status.valueSat,
  });
}

/** After the first, a commitment needs some funding of the channel buried; a spend by a candidate of its own is none. */
function requireBuried(ctx: Context, chain: ChainView, channel: OpenChannel, { content }: Proposal): void {
  const { record } = channel;
  const scope = scopeOf(record);
  const statuses = record.candidates.map((candidate) => ({
    status: fundingStatus(ctx, chain, channel, candidate),
    counts: !isDormant(record, candidate) && isBacked(record, candidate),
  }));
  if (content.number === 0) return;
  requireNotClosed(ctx, channel);
  requireOneFunding(ctx, channel);
  if (isZeroConf(ctx.policy, scope)) return;
  const { fundingDepthBlocks } = limitsFor(ctx.policy, scope);
  const isActive = ({ status, counts }: (typeof statuses)[number]) =>
    counts &&
    status.kind === 'confirmed' &&
    status.depthBlocks >= fundingDepthBlocks &&
    (status.spent === null || record.candidates.some((c) => equalBytes(c.outpoint.txid, status.spent!.txid)));
  if (statuses.some(isActive)) return;
  const facts: Facts = {
    channel: channel.id,
    fundings: record.candidates.map((c) => outPointToString(c.outpoint)).join(','),
    funding_depth_blocks: fundingDepthBlocks,
    height: chain.heightBlocks,
  };
  enforce(ctx, spendsActiveUtxo, scope, {
    message: 'no funding of the channel is buried deep enough and unspent',
    facts,
    isTemporary: true,
  });
}

/** What the chain shows as the end of the channel is its end, even if the peer has paid for another funding of it. */
function requireNotClosed(ctx: Context, { id, record }: OpenChannel): void {
  const closing = ctx.draft.get(closingRecords, id);
  if (closing === null) return;
  enforce(ctx, spendsActiveUtxo, scopeOf(record), {
    message: 'the channel has ended on the chain',
    facts: { channel: id, txid: txidToHex(closing.txid), closed_at_height: closing.heightBlocks },
    isTemporary: true,
  });
}
