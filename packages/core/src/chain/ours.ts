/**
 * What of a funding is ours: by our commitment on it that counts. A channel may have several fundings on the chain, rounds of an
 * opening that a peer alone paid for; each that holds something of ours is looked after.
 */
import { outPointToString } from '@countersign/bitcoin';
import type { ChannelRecord, FundingCandidate, ValidatedCommitment } from '../channel/record.ts';
import { outputRecords } from '../records/chain.ts';
import { isFundingThere } from './fundings.ts';
import type { Read } from './view-of.ts';

/** The newest that the laws have judged: ours that counts, or its successor once that was signed for broadcast. */
export function currentContent(
  { holderNextRevoke }: ChannelRecord,
  { validated }: FundingCandidate,
): ValidatedCommitment | undefined {
  return validated.findLast(({ number, ledger }) => number >= holderNextRevoke && ledger !== null);
}

/**
 * It can secure something: a commitment of ours that counts is there, and if it is a splice, we signed it. Else a funding on the chain is
 * only a gift whose outpoint the node has named.
 */
export const isBacked = (record: ChannelRecord, candidate: FundingCandidate): boolean =>
  (!candidate.isSplice || candidate.fundingSigned) && currentContent(record, candidate) !== undefined;

/** What our commitment leaves us there, with what we offered; nothing where we have none. */
export function worthSatOf(record: ChannelRecord, candidate: FundingCandidate): bigint {
  const content = currentContent(record, candidate);
  const offeredMsat = (content?.htlcs ?? []).reduce(
    (sum, { offeredBy, amountMsat }) => (offeredBy === 'holder' ? sum + amountMsat : sum),
    0n,
  );
  return (content?.toHolderSat ?? 0n) + offeredMsat / 1000n;
}

/** Our commitment on it has something of ours, or HTLCs that may become ours. */
export function holdsOurs(record: ChannelRecord, candidate: FundingCandidate): boolean {
  const content = currentContent(record, candidate);
  return content !== undefined && (content.toHolderSat !== null || content.htlcs.length > 0);
}

/** The chain has it, as it was set up, and nobody has spent it; of splices only those that we signed. */
export function isStanding(read: Read, candidate: FundingCandidate): boolean {
  if (candidate.isSplice && !candidate.fundingSigned) return false;
  const output = read(outputRecords, outPointToString(candidate.outpoint));
  return output !== null && isFundingThere(output) && output.spent === null;
}

/** It stands, and there is something of ours in it. */
export const isLeft = (read: Read, record: ChannelRecord, candidate: FundingCandidate): boolean =>
  holdsOurs(record, candidate) && isStanding(read, candidate);
