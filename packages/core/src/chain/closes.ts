/**
 * The closes of a channel that are on record: the one that ended it, and those of its other fundings, which a peer can have mined
 * although the channel does not live on them. Each is followed to its own end.
 */
import { equalBytes, equalOutPoints, type OutPoint } from '@countersign/bitcoin';
import type { ChannelId } from '../channel/record.ts';
import { type ClosingRecord, closingRecords, otherClosingRecords } from '../records/chain.ts';
import type { Draft } from '../state.ts';
import type { Read } from './view-of.ts';

/** The one that ended the channel first. */
export function closesOf(read: Read, id: ChannelId): readonly ClosingRecord[] {
  const others = read(otherClosingRecords, id) ?? [];
  const closing = read(closingRecords, id);
  return closing === null ? others : [closing, ...others];
}

/** The close whose output this is. */
export const closeWith = (closes: readonly ClosingRecord[], { txid }: OutPoint): ClosingRecord | undefined =>
  closes.find((one) => equalBytes(one.txid, txid));

/** The close of this funding. */
export const closeOf = (closes: readonly ClosingRecord[], funding: OutPoint): ClosingRecord | undefined =>
  closes.find((one) => equalOutPoints(one.funding, funding));

/** In the place of what is on record of the close of that funding. */
export function putClose(draft: Draft, id: ChannelId, closing: ClosingRecord): void {
  const isOf = (one: ClosingRecord) => equalOutPoints(one.funding, closing.funding);
  const end = draft.get(closingRecords, id);
  if (end !== null && isOf(end)) {
    draft.put(closingRecords, id, closing);
    return;
  }
  const others = draft.get(otherClosingRecords, id) ?? [];
  draft.put(
    otherClosingRecords,
    id,
    others.map((one) => (isOf(one) ? closing : one)),
  );
}
