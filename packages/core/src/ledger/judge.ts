/**
 * Law 2 at work: the ledger of a commitment as the successor of the one before, or why there is none. A commitment
 * begins a view (number 0, or the first on a splice) or continues it; both are told here and nowhere else.
 */
import { equalOutPoints, type Facts } from '@countersign/bitcoin';
import { lastIssued } from '../channel/live.ts';
import { isDormant } from '../channel/locking.ts';
import type { OpenChannel } from '../channel/lookup.ts';
import type {
  ChannelRecord,
  CommitmentContent,
  Fate,
  FundingCandidate,
  HtlcRecord,
  Ledger,
} from '../channel/record.ts';
import type { Context } from '../context.ts';
import { refuse } from '../refusal.ts';
import { type Explanation, explain, ledgerOf, seenBalanceMsat } from './explain.ts';
import { HtlcBag, htlcKey } from './htlc-set.ts';
import { knowledgeAtRelease, knowledgeAtValidation, warnOfUnproven } from './knowledge.ts';
import { type Observable, type Observed, observe, outputsSat } from './observe.ts';
import {
  balanceConserved,
  deltasOnlyHtlc,
  firstNoHtlcs,
  initialFundingValue,
  outputsTrimmed,
  settledPreimage,
} from './rules.ts';
import { noteTrimLine } from './trim-line.ts';
import { requireTrimming } from './trimming.ts';

/** A commitment that came over the wire, its form judged; `ledger` is what is to be found. */
export interface Proposal {
  readonly view: 'holder' | 'counterparty';
  readonly candidate: FundingCandidate;
  readonly content: CommitmentContent;
}

export interface LedgerStep {
  readonly ledger: Ledger;
  readonly observed: Observed;
  readonly added: readonly HtlcRecord[];
  /** Of this step alone; `ledger.fates` has those before it too. */
  readonly fates: readonly Fate[];
}

function observableOf(channel: OpenChannel, { view, candidate, content }: Proposal): Observable {
  const { format, isOutbound } = channel.setup;
  const dustLimitSat = channel.record.dustLimitsMaxSat[view];
  return { format, isOutbound, capacitySat: candidate.valueSat, content, dustLimitSat };
}

/**
 * Judge a commitment. `isReleasing` when something is given away by it (cc, rev, fc): then every preimage must be known;
 * at hc it may still arrive.
 */
export function judgeLedger(
  ctx: Context,
  channel: OpenChannel,
  proposal: Proposal,
  isReleasing: boolean,
): LedgerStep {
  const observable = observableOf(channel, proposal);
  const observed = observe(observable);
  requireWhole(channel, proposal, observed, outputsSat(observable));
  requireTrimming(channel, proposal, observed);
  if (isReleasing) noteTrimLine(ctx, channel.setup.format, observed.feeratePerKw);
  const before = predecessorOf(proposal);
  if (before !== undefined) return judgeSuccessor(ctx, channel, proposal, observed, before, isReleasing);
  return proposal.content.number === 0 && !proposal.candidate.isSplice
    ? judgeInitial(channel, proposal, observed)
    : judgeCarried(channel, proposal, observed);
}

const factsOf = (channel: OpenChannel, proposal: Proposal): Facts => ({
  view: proposal.view,
  number: proposal.content.number,
  channel: channel.id,
});

/** Balances, HTLCs, anchors and the fee at the stated rate together are not more than the funding. */
function requireWhole(
  channel: OpenChannel,
  proposal: Proposal,
  observed: Observed,
  outputsSat: bigint,
): void {
  const capacity = proposal.candidate.valueSat;
  if (outputsSat <= capacity && observed.poolMsat >= 0n) return;
  refuse(balanceConserved, 'outputs, HTLCs and the fee at the stated rate are more than the funding', {
    ...factsOf(channel, proposal),
    capacity_sat: capacity,
    outputs_sat: outputsSat,
    feerate_per_kw: observed.feeratePerKw,
    missing_msat: -observed.poolMsat,
  });
}

/**
 * What the commitment follows on its own funding. For the peer's the last variant of the number before, which is the one
 * it acknowledged by revoking; when that is gone, an earlier variant of the same number.
 */
export function predecessorOf(proposal: Proposal): CommitmentContent | undefined {
  const { view, candidate, content } = proposal;
  if (view === 'holder') {
    return candidate.validated.find((one) => one.number === content.number - 1 && one.ledger !== null);
  }
  const before = lastIssued(candidate, content.number - 1);
  // Commitment 0 stands alone: an RBF round or a retry of the opening is judged by the funding's terms again.
  return before ?? (content.number === 0 ? undefined : lastIssued(candidate, content.number));
}

function judgeInitial(channel: OpenChannel, proposal: Proposal, observed: Observed): LedgerStep {
  const { candidate, content } = proposal;
  if (content.htlcs.length > 0) {
    refuse(firstNoHtlcs, 'commitment 0 has HTLCs', {
      ...factsOf(channel, proposal),
      htlcs: content.htlcs.length,
    });
  }
  const pushMsat = candidate.pushValue < 0n ? 0n : candidate.pushValue;
  const wholeMsat = 1000n * candidate.valueSat;
  const dueMsat = channel.setup.isOutbound ? wholeMsat - pushMsat : pushMsat;
  const holderMsat = seenBalanceMsat(observed, dueMsat);
  // What is missing below the dust limit stays in the fee: our balance has no output then.
  if (dueMsat < 0n || holderMsat < dueMsat) {
    refuse(initialFundingValue, 'commitment 0 does not give us our part of the funding', {
      ...factsOf(channel, proposal),
      due_msat: dueMsat,
      given_msat: holderMsat,
      push_msat: pushMsat,
    });
  }
  const ledger = ledgerOf(holderMsat, { driftMsat: 0n, trimmed: [], fates: [] });
  return { ledger, observed, added: [], fates: [] };
}

/**
 * The first commitment on a splice: the HTLCs of the current one, and a balance that law 5 judges when the splice is signed.
 * Whatever else begins on that funding later, in either view, has the same terms.
 */
function judgeCarried(channel: OpenChannel, proposal: Proposal, observed: Observed): LedgerStep {
  const { candidate, content } = proposal;
  const current = candidate.isSplice ? currentElsewhere(channel.record, proposal) : undefined;
  if (current === undefined) {
    refuse(deltasOnlyHtlc, 'there is no commitment of this number on the present funding to carry over', {
      ...factsOf(channel, proposal),
    });
  }
  const known = new HtlcBag([...current.content.htlcs, ...current.ledger.trimmed]);
  const foreign = content.htlcs.find((htlc) => !known.take(htlc));
  const missing = known.rest().filter((htlc) => !current.ledger.trimmed.includes(htlc));
  if (foreign !== undefined || missing.length > 0) {
    refuse(deltasOnlyHtlc, 'a splice carries exactly the HTLCs of the current commitment', {
      ...factsOf(channel, proposal),
      htlc: htlcKey(foreign ?? missing[0]!),
      change: foreign === undefined ? 'missing' : 'added',
    });
  }
  // Splices move whole satoshis, so the fraction stays what it was.
  const fraction = current.ledger.holderMsat % 1000n;
  const expected =
    observed.holderSat === null ? current.ledger.holderMsat : 1000n * observed.holderSat + fraction;
  const { driftMsat, fates } = current.ledger;
  const trimmed = known.rest();
  const holderMsat = seenBalanceMsat(observed, expected);
  requireSameTerms(channel, proposal, observed, current);
  const ledger = ledgerOf(holderMsat, { driftMsat, trimmed, fates });
  return { ledger, observed, added: [], fates: [] };
}

/** A peer that revoked its commitments on a splice could else be given another first one, after the splice was signed. */
function requireSameTerms(
  channel: OpenChannel,
  proposal: Proposal,
  observed: Observed,
  current: Carried,
): void {
  const { validated, issued } = proposal.candidate;
  if (validated.length === 0 && issued.length === 0) return;
  const termsMsat = leastTermsMsat(proposal.candidate, current.funding);
  if (termsMsat === null) {
    refuse(deltasOnlyHtlc, 'nothing shows what this splice gave us in the commitments before', {
      ...factsOf(channel, proposal),
    });
  }
  const dueMsat = current.ledger.holderMsat + termsMsat;
  const givenMsat = seenBalanceMsat(observed, dueMsat);
  if (dueMsat <= 0n || givenMsat >= dueMsat) return;
  refuse(balanceConserved, 'this splice gave us more in the commitments before', {
    ...factsOf(channel, proposal),
    due_msat: dueMsat,
    given_msat: givenMsat,
    splice_msat: termsMsat,
  });
}

/** What the step from one funding to the other does to our balance, by a number that has commitments on both. */
function leastTermsMsat(to: FundingCandidate, from: FundingCandidate): bigint | null {
  const pairs = [
    ...to.validated.map((one) => [one, from.validated.find(({ number }) => number === one.number)] as const),
    ...to.issued.map((one) => [one, lastIssued(from, one.number)] as const),
  ];
  for (const [one, other] of pairs) {
    if (one.ledger === null || other?.ledger == null) continue;
    // Without an output of ours there our balance is only bounded.
    return (one.toHolderSat === null ? 0n : one.ledger.holderMsat) - other.ledger.holderMsat;
  }
  return null;
}

interface Carried {
  readonly funding: FundingCandidate;
  readonly content: CommitmentContent;
  readonly ledger: Ledger;
}

/** The judged commitment of this number on another funding, the locked or oldest one first. */
function currentElsewhere(
  record: ChannelRecord,
  { view, candidate, content }: Proposal,
): Carried | undefined {
  for (const other of record.candidates) {
    if (isDormant(record, other) || equalOutPoints(other.outpoint, candidate.outpoint)) continue;
    const found =
      view === 'holder'
        ? other.validated.find((one) => one.number === content.number)
        : lastIssued(other, content.number);
    if (found?.ledger != null) return { funding: other, content: found, ledger: found.ledger };
  }
  return undefined;
}

function judgeSuccessor(
  ctx: Context,
  channel: OpenChannel,
  proposal: Proposal,
  observed: Observed,
  predecessor: CommitmentContent,
  isReleasing: boolean,
): LedgerStep {
  const before = predecessor.ledger;
  if (before === null) {
    refuse(balanceConserved, 'the commitment before was never judged', factsOf(channel, proposal));
  }
  const explained = explain({
    before,
    visibleBefore: predecessor.htlcs,
    visible: proposal.content.htlcs,
    observed,
    format: channel.setup.format,
    broadcaster: proposal.view,
    elsewhere: htlcsOfOtherView(channel.record, proposal),
    knowledge: isReleasing
      ? knowledgeAtRelease(ctx, channel, proposal.view, before.fates)
      : knowledgeAtValidation(ctx),
  });
  if (!explained.ok) return refuseUnexplained(channel, proposal, observed, explained);
  const { holderMsat, driftMsat, trimmed, fates, added } = explained;
  if (isReleasing) warnOfUnproven(ctx, channel, fates);
  const ledger = ledgerOf(holderMsat, { driftMsat, trimmed, fates: [...before.fates, ...fates] });
  return { ledger, observed, added, fates };
}

/** Visible in the newest commitment of the other view on the same funding. */
function htlcsOfOtherView(record: ChannelRecord, { view, candidate }: Proposal): readonly HtlcRecord[] {
  if (view === 'counterparty') {
    return candidate.validated.find((one) => one.number === record.holderNextRevoke)?.htlcs ?? [];
  }
  return candidate.issued.at(-1)?.htlcs ?? [];
}

function refuseUnexplained(
  channel: OpenChannel,
  proposal: Proposal,
  observed: Observed,
  explained: Extract<Explanation, { ok: false }>,
): never {
  const { expectedMsat, unprovenMsat, mustCreditMsat } = explained;
  const facts: Facts = {
    ...factsOf(channel, proposal),
    expected_msat: expectedMsat,
    given_msat: observed.holderSat === null ? 'none' : observed.holderSat * 1000n,
    given_max_msat: observed.holderSat === null ? observed.holderBoundSat * 1000n : observed.poolMsat,
  };
  const withoutUnproven = expectedMsat - unprovenMsat;
  const seenMsat = observed.holderSat === null ? 0n : observed.holderSat * 1000n + 999n;
  if (unprovenMsat > 0n && withoutUnproven <= seenMsat + observed.poolMsat) {
    refuse(settledPreimage, 'an offered HTLC was removed as settled and its preimage is not known', {
      ...facts,
      unproven_msat: unprovenMsat,
    });
  }
  if (observed.holderSat === null && expectedMsat > observed.holderBoundSat * 1000n) {
    refuse(outputsTrimmed, 'our main output is missing and our balance is above the dust limit', facts);
  }
  refuse(balanceConserved, 'our balance is lower than the HTLCs added and removed explain', {
    ...facts,
    must_credit_msat: mustCreditMsat,
  });
}
