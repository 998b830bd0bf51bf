/**
 * What the chain does to payments, unasked: after each block, what the HTLCs of a channel that went to the chain have come
 * to. Nothing is judged here; the next step of another channel meets the payment as it is then.
 */
import { equalBytes, smaller } from '@countersign/bitcoin';
import type { ChainPlace } from '../chain/input.ts';
import { liveOnChain } from '../chain/resolution.ts';
import { type LiveCommitment, liveCommitments, scopeOf } from '../channel/live.ts';
import type { ChannelId, ChannelRecord } from '../channel/record.ts';
import { limitsFor } from '../policy/settings.ts';
import { encodeRecord, type RecordKind } from '../records/kind.ts';
import { EMPTY_PAYMENT, type PaymentRecord, paymentRecords } from '../records/payment.ts';
import { isRetired, settleSums } from './balance.ts';
import { baseOf, UNLIMITED_MSAT, withPart } from './judge.ts';
import { type PartBase, type PartView, partOf } from './part.ts';
import { sumsOf } from './sums.ts';

/** `isFinal`: everything is buried beyond any reorg, so the payments are through with this channel. */
export function settleOnChain(
  place: ChainPlace,
  id: ChannelId,
  record: ChannelRecord,
  isFinal: boolean,
): void {
  const { resolveDepthBlocks } = limitsFor(place.policy, scopeOf(record));
  const read = <T>(kind: RecordKind<T>, key: string) => place.draft.get(kind, key);
  const live = liveOnChain(read, id, record, resolveDepthBlocks);
  for (const hash of hashesOf(record)) {
    const before = place.draft.get(paymentRecords, hash) ?? EMPTY_PAYMENT;
    const present = presentOf(id, hash, baseOf(before, id), live);
    const isKnown = before.parts.some(({ channel }) => channel === id);
    if (!isKnown && (present.isOver || isFinal)) continue;
    const settled = settleSums(isFinal ? ended(before, present) : withPart(before, present.part));
    // What ends uncovered by the chain's doing has used no approval.
    save(place, hash, before, { ...settled, usedMsat: smaller(settled.usedMsat, before.usedMsat) });
  }
}

/** Where no commitment is left that could count, the past does: what both views agree was credited. */
function presentOf(id: ChannelId, hash: string, base: PartBase, live: readonly LiveCommitment[]): PartView {
  const present = partOf(id, hash, base, live, UNLIMITED_MSAT);
  if (live.length > 0) return present;
  const inMsat = smaller(base.creditedHolderMsat, base.creditedCounterpartyMsat);
  return { ...present, part: { ...present.part, inMsat } };
}

/** The channel is through with the hash: what it came to on the chain stays with the payment. */
function ended(record: PaymentRecord, { part, settledMsat }: PartView): PaymentRecord {
  return {
    ...record,
    settledMsat: record.settledMsat + settledMsat,
    creditedMsat: record.creditedMsat + part.inMsat - part.standingMsat,
    parts: record.parts.filter(({ channel }) => channel !== part.channel),
  };
}

function save(place: ChainPlace, hash: string, before: PaymentRecord, after: PaymentRecord): void {
  if (isSame(before, after)) return;
  place.draft.put(paymentRecords, hash, isRetired(after) ? null : after);
}

/** As stored: a block that says nothing new writes nothing. */
const isSame = (a: PaymentRecord, b: PaymentRecord): boolean =>
  equalBytes(encodeRecord(paymentRecords, a), encodeRecord(paymentRecords, b));

/** Of everything that stands in a commitment of the channel, or has stood in its predecessor. */
function hashesOf(record: ChannelRecord): Set<string> {
  const hashes = new Set<string>();
  for (const commitment of liveCommitments(record)) {
    for (const hash of sumsOf(commitment, UNLIMITED_MSAT).keys()) hashes.add(hash);
  }
  return hashes;
}
