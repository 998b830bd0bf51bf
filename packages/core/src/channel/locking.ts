/**
 * Which of an opening's candidate fundings the channel lives on. The node says so with lock_outpoint, but CLN names
 * the last RBF round even when an earlier one was mined; so, until the first update is final, the other rounds are
 * kept, and the first commitment beyond number 0 on one of them moves the lock there.
 */
import { equalOutPoints, outPointToString } from '@countersign/bitcoin';
import { candidateExclusive } from '../ratchet/rules.ts';
import { refuse } from '../refusal.ts';
import type { OpenChannel } from './lookup.ts';
import type { ChannelRecord, FundingCandidate } from './record.ts';

export function isLocked(record: ChannelRecord, candidate: FundingCandidate): boolean {
  return record.locked !== null && equalOutPoints(record.locked, candidate.outpoint);
}

/** A round of the opening that is not the locked one: kept, but nothing waits for it. */
export function isDormant(record: ChannelRecord, candidate: FundingCandidate): boolean {
  return record.locked !== null && !candidate.isSplice && !isLocked(record, candidate);
}

const isBeyondOpening = ({ issued, validated }: FundingCandidate): boolean =>
  [...issued, ...validated].some((commitment) => commitment.number > 0);

/** Another funding than `candidate` with a commitment beyond number 0. */
function otherInUse(record: ChannelRecord, candidate: FundingCandidate): FundingCandidate | undefined {
  return record.candidates.find(
    (other) => !equalOutPoints(other.outpoint, candidate.outpoint) && isBeyondOpening(other),
  );
}

/** The lock moves to a dormant round only while nothing beyond commitment 0 exists on any other funding. */
function requireMovable(record: ChannelRecord, candidate: FundingCandidate): void {
  const inUse = otherInUse(record, candidate);
  if (inUse === undefined) return;
  refuse(candidateExclusive, 'the channel lives on another funding', {
    outpoint: outPointToString(candidate.outpoint),
    in_use: outPointToString(inUse.outpoint),
  });
}

/**
 * The record with `candidate` locked. The other rounds of the opening stay until the first update is final. No lock ends a splice after that
 * funding that we signed (`isSpending`): it may still confirm, whether CLN would ask for such a lock or not.
 */
export function withLock(
  record: ChannelRecord,
  candidate: FundingCandidate,
  isSpending: (splice: FundingCandidate, funding: FundingCandidate) => boolean,
): ChannelRecord {
  if (isDormant(record, candidate)) requireMovable(record, candidate);
  const isOpening =
    !candidate.isSplice && record.holderNextRevoke === 0 && otherInUse(record, candidate) === undefined;
  const isAgain = isLocked(record, candidate);
  // Every splice goes back to a round of the opening; beside another splice it may be its rival.
  const isAfter = (one: FundingCandidate, before: FundingCandidate): boolean =>
    isSpending(one, before) ||
    record.candidates.some((other) => isSpending(one, other) && isAfter(other, before));
  const mayFollow = (one: FundingCandidate) =>
    one !== candidate &&
    one.isSplice &&
    one.fundingSigned &&
    (isAgain || !candidate.isSplice || isAfter(one, candidate));
  const candidates = record.candidates.filter(
    (one) => mayFollow(one) || (isOpening ? !one.isSplice : one === candidate),
  );
  if (isAgain && candidates.length === record.candidates.length) return record;
  const splicesSigned = isAgain || candidates.some(mayFollow) ? record.splicesSigned : [];
  return { ...record, locked: candidate.outpoint, candidates, splicesSigned };
}

/** A commitment beyond number 0 on a dormant round shows which one was mined. */
export function onFunding(channel: OpenChannel, candidate: FundingCandidate, number: number): OpenChannel {
  if (number === 0 || !isDormant(channel.record, candidate)) return channel;
  requireMovable(channel.record, candidate);
  return { ...channel, record: { ...channel.record, locked: candidate.outpoint } };
}
