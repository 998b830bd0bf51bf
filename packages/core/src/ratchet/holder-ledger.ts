/**
 * Our own commitments before laws 2 to 4: judged for their amounts when they are validated, and for everything when the
 * one before is revoked or they are signed for broadcast.
 */
import { isDormant } from '../channel/locking.ts';
import { type OpenChannel, replaceCandidate, saveChannel } from '../channel/lookup.ts';
import type { ChannelRecord, FundingCandidate, Ledger, ValidatedCommitment } from '../channel/record.ts';
import type { Context } from '../context.ts';
import { judgeDust } from '../ledger/dust.ts';
import { judgeLedger, type Proposal } from '../ledger/judge.ts';
import { requireLimits } from '../ledger/limits.ts';
import { withDustLimit } from '../ledger/trimming.ts';
import { judgePayments } from '../payments/judge.ts';
import { requireTime } from '../time/commitments.ts';

/**
 * Only hard faults of amount are refused here; the rest is judged when the commitment before is revoked. What follows
 * nothing (commitment 0, the first on a splice) is current at once, so it is judged at once, its fee and limits too.
 */
export function keepValidated(
  ctx: Context,
  channel: OpenChannel,
  candidate: FundingCandidate,
  validated: ValidatedCommitment,
): void {
  const proposal: Proposal = { view: 'holder', candidate, content: validated };
  const step = judgeLedger(ctx, channel, proposal, false);
  const isCurrent = validated.number === channel.record.holderNextRevoke;
  const kept = { ...validated, ledger: isCurrent ? step.ledger : null };
  const others = candidate.validated.filter((c) => c.number !== validated.number);
  const record = replaceCandidate(channel.record, {
    ...candidate,
    validated: [...others, kept].sort((a, b) => a.number - b.number),
  });
  const after = withDustLimit(channel, record, proposal, step.observed);
  if (isCurrent) {
    requireLimits(ctx, channel, proposal, step);
    judgePayments(ctx, channel, after);
  }
  saveChannel(ctx, channel.id, after);
}

export interface JudgedNext {
  readonly candidate: FundingCandidate;
  /** Null where the number was never validated on this funding: it can't confirm. */
  readonly ledger: Ledger | null;
}

/** Laws 2 and 4 and all soft limits on our next commitment, on every funding that has it: now it becomes the one that counts. */
export function judgeNext(ctx: Context, channel: OpenChannel, number: number): readonly JudgedNext[] {
  return channel.record.candidates.map((candidate) => {
    const content = candidate.validated.find((c) => c.number === number);
    if (content === undefined || isDormant(channel.record, candidate)) return { candidate, ledger: null };
    // On a splice it may be the first of its funding, which was judged when it was validated.
    const proposal: Proposal = { view: 'holder', candidate, content };
    const step = judgeLedger(ctx, channel, proposal, true);
    requireLimits(ctx, channel, proposal, step);
    requireTime(ctx, channel, proposal, step);
    return { candidate, ledger: step.ledger };
  });
}

/**
 * Our next commitment, validated and its predecessor not revoked: publishing it gives away as revoking would, so laws 2 to
 * 4 judge it now. It fails: its predecessor may still be signed.
 */
export function judgedForBroadcast(
  ctx: Context,
  channel: OpenChannel,
  candidate: FundingCandidate,
  content: ValidatedCommitment,
): ChannelRecord {
  const proposal: Proposal = { view: 'holder', candidate, content };
  const step = judgeLedger(ctx, channel, proposal, true);
  requireLimits(ctx, channel, proposal, step);
  const after = replaceCandidate(channel.record, {
    ...candidate,
    validated: candidate.validated.map((c) => (c === content ? { ...c, ledger: step.ledger } : c)),
  });
  judgeDust(ctx, channel, after);
  judgePayments(ctx, channel, after);
  return after;
}
