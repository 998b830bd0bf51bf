/**
 * Which fundings of a channel a commitment of ours is for: the one that it lives on, and every other one that the chain has with something
 * of ours in it. A peer can have several rounds of an opening mined that it alone paid for, and close only one of them.
 */
import { closeOf, closesOf } from '../chain/closes.ts';
import { candidateAt, isOnChain } from '../chain/fundings.ts';
import { currentContent, holdsOurs, worthSatOf } from '../chain/ours.ts';
import { isLocked } from '../channel/locking.ts';
import type { OpenChannel } from '../channel/lookup.ts';
import type { ChannelRecord, FundingCandidate } from '../channel/record.ts';
import { closingRecords, otherClosingRecords } from '../records/chain.ts';
import type { PlanPlace } from './close-claims.ts';

/** Those with most for us first; once the channel has ended, those that are left. */
export function fundingsToClose(
  place: PlanPlace,
  { id, record }: Pick<OpenChannel, 'id' | 'record'>,
): readonly FundingCandidate[] {
  const read: PlanPlace['draft']['get'] = (kind, key) => place.draft.get(kind, key);
  const closes = closesOf(read, id);
  const open = record.candidates.filter(({ outpoint }) => closeOf(closes, outpoint) === undefined);
  const onChain = byWorth(
    record,
    open.filter((candidate) => isOnChain(place, record, candidate)),
  );
  const left = onChain.filter((candidate) => holdsOurs(record, candidate));
  if (left.length > 0 || read(closingRecords, id) !== null) return left;
  const inUse =
    onChain[0] ??
    open.find((one) => isLocked(record, one)) ??
    open.find(({ validated }) => validated.length > 0);
  return inUse === undefined ? [] : [inUse];
}

/** Of equals the last. */
const byWorth = (
  record: ChannelRecord,
  candidates: readonly FundingCandidate[],
): readonly FundingCandidate[] =>
  candidates
    .toReversed()
    .map((candidate) => ({ candidate, worthSat: worthSatOf(record, candidate) }))
    .sort((a, b) => Number(b.worthSat - a.worthSat))
    .map(({ candidate }) => candidate);

/**
 * The channel is over: the chain has its end, or the end of another funding of it, on record and with something of ours, which may go on
 * nowhere else meanwhile (`time/other-fundings.ts`).
 */
export function isOver(
  { draft }: Pick<PlanPlace, 'draft'>,
  { id, record }: Pick<OpenChannel, 'id' | 'record'>,
): boolean {
  if (draft.get(closingRecords, id) !== null) return true;
  return (draft.get(otherClosingRecords, id) ?? []).some(({ funding, outputs }) => {
    const candidate = candidateAt(record, funding);
    return outputs.length > 0 && candidate !== undefined && holdsOurs(record, candidate);
  });
}

/** Law 1 allows the signature of our commitment on it: the channel ends with that number, or with one before. */
export function isSignedFor(record: ChannelRecord, candidate: FundingCandidate): boolean {
  const content = currentContent(record, candidate);
  return content !== undefined && record.holderSigned !== null && record.holderSigned <= content.number;
}
