/** Which channels have something that the signer may have to publish: they end, must end, or have ended on one of several fundings. */

import type { Secp256k1 } from '@countersign/bitcoin';
import {
  type ChannelRecord,
  channelRecords,
  closingRecords,
  Draft,
  deadlinesOf,
  type FundingCandidate,
  fundingsToClose,
  isOver,
  isSignedFor,
  type KeyView,
  otherClosingRecords,
  type Policy,
  type RecordKind,
  type StateReader,
} from '@countersign/core';

export interface EndsPlace {
  readonly policy: Policy;
  readonly secp: Secp256k1;
  readonly keys: KeyView;
  readonly state: StateReader;
}

const recordAt = <T>({ state }: EndsPlace, kind: RecordKind<T>, id: string): T | null =>
  state.read(kind, id)?.value ?? null;

/** A plan for any other channel, which is nearly all of them, has nothing in it that may be published. */
export function isEnding(place: EndsPlace, id: string): boolean {
  const closing = recordAt(place, closingRecords, id);
  const others = recordAt(place, otherClosingRecords, id) ?? [];
  if ([...(closing === null ? [] : [closing]), ...others].some(({ outputs }) => outputs.length > 0))
    return true;
  const record = recordAt(place, channelRecords, id);
  if (record === null || record.holderSigned === null) return false;
  return closing === null || leftOf(place, id, record).length > 0;
}

/** A deadline of the open channel has passed: what the node should have done, the signer does. */
export function mustEnd(place: EndsPlace, id: string): boolean {
  const record = recordAt(place, channelRecords, id);
  if (record === null || recordAt(place, closingRecords, id) !== null) return false;
  const read = <T>(kind: RecordKind<T>, key: string) => recordAt(place, kind, key);
  return deadlinesOf(read, place.policy, id, record).some(({ level }) => level === 'passed');
}

/**
 * The channel is over, and the chain has a funding of it with something of ours for which no commitment is signed yet: a peer can have
 * several mined that it alone paid for, and close only one.
 */
export function isLeftOpen(place: EndsPlace, id: string): boolean {
  const record = recordAt(place, channelRecords, id);
  if (record === null || !isOver({ draft: new Draft(place.state) }, { id, record })) return false;
  return leftOf(place, id, record).some((candidate) => !isSignedFor(record, candidate));
}

const leftOf = (place: EndsPlace, id: string, record: ChannelRecord): readonly FundingCandidate[] =>
  fundingsToClose({ ...place, draft: new Draft(place.state) }, { id, record });
