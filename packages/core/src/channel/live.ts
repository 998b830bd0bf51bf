/**
 * Which commitments of a channel could still reach the chain: what laws 2 and 3 take the worst of. Ours: the current one
 * on each funding that may confirm (and the next, once it is signed for broadcast). The peer's: every issued variant of
 * every unrevoked number.
 */
import { outPointToString } from '@countersign/bitcoin';
import type { PolicyScope } from '../policy/settings.ts';
import { isDormant, isLocked } from './locking.ts';
import type { ChannelRecord, CommitmentContent, FundingCandidate, Ledger } from './record.ts';

export interface LiveCommitment {
  readonly view: 'holder' | 'counterparty';
  /** The outpoint it spends, `<txid>:<vout>`. */
  readonly funding: string;
  readonly content: CommitmentContent;
  readonly ledger: Ledger;
  /** It is on the chain, and buried: HTLCs offered to us are there to be claimed, whoever published it. */
  readonly isBuried?: true;
}

export function liveCommitments(record: ChannelRecord): readonly LiveCommitment[] {
  const live: LiveCommitment[] = [];
  for (const candidate of record.candidates) {
    if (isDormant(record, candidate)) continue;
    const funding = outPointToString(candidate.outpoint);
    const add = (view: LiveCommitment['view'], content: CommitmentContent) => {
      if (content.ledger !== null) live.push({ view, funding, content, ledger: content.ledger });
    };
    for (const content of candidate.validated) add('holder', content);
    for (const content of candidate.issued) add('counterparty', content);
  }
  return live;
}

/** Whose limits and severities count for this channel. */
export function scopeOf(record: ChannelRecord): PolicyScope {
  const order = [...record.candidates].sort(
    (a, b) => Number(isLocked(record, b)) - Number(isLocked(record, a)),
  );
  return { peerId: record.peerId, fundings: order.map((one) => outPointToString(one.outpoint)) };
}

/** The last issued variant of a number of the peer's, or undefined. */
export function lastIssued(candidate: FundingCandidate, number: number): CommitmentContent | undefined {
  return candidate.issued.findLast((one) => one.number === number);
}
