/**
 * Closes of fundings that a channel does not live on, in a list that has an end. A peer can name fundings, have them mined and close them as
 * often as it likes, so what goes when the list is full is never what would save most: the least at stake goes first, and is told of.
 */
import { outPointToString, txidToHex } from '@countersign/bitcoin';
import type { ChannelId, ChannelRecord } from '../channel/record.ts';
import {
  type ClosingRecord,
  OTHER_CLOSINGS_MAX,
  otherClosingRecords,
  outputRecords,
} from '../records/chain.ts';
import { candidateAt } from './fundings.ts';
import type { ChainPlace } from './input.ts';
import { atStakeSat } from './resolution.ts';

type Place = Pick<ChainPlace, 'draft' | 'events'>;

/** After what is on record of it: its outputs are. */
export function addOtherClose(
  place: Place,
  id: ChannelId,
  record: ChannelRecord,
  closing: ClosingRecord,
): void {
  const { draft } = place;
  const all = [...(draft.get(otherClosingRecords, id) ?? []), closing];
  const least = all.length > OTHER_CLOSINGS_MAX ? leastOf(place, record, all) : null;
  const kept = all.filter((one) => one !== least);
  draft.put(otherClosingRecords, id, kept);
  if (least !== null) forget(place, id, record, least, kept);
}

/**
 * Closes of fundings that are still candidates stay: they are few (`CANDIDATES_MAX`), and laws 1 to 4 ask for them. Of the others first one
 * that is resolved, then the one with the least that is ours to take; of equals the oldest.
 */
function leastOf(
  { draft }: Place,
  record: ChannelRecord,
  all: readonly ClosingRecord[],
): ClosingRecord | null {
  const read: Place['draft']['get'] = (kind, key) => draft.get(kind, key);
  const worth = all
    .filter(({ funding }) => candidateAt(record, funding) === undefined)
    .map((closing) => ({
      closing,
      sat: closing.outputs.length === 0 ? -1n : atStakeSat(read, record, closing),
    }))
    .sort((a, b) => Number(a.sat - b.sat));
  return worth[0]!.closing;
}

/** Its outputs are followed no longer, unless another close has them too. */
function forget(
  { draft, events }: Place,
  id: ChannelId,
  record: ChannelRecord,
  gone: ClosingRecord,
  kept: readonly ClosingRecord[],
): void {
  if (gone.outputs.length === 0) return;
  const read: Place['draft']['get'] = (kind, key) => draft.get(kind, key);
  const facts = {
    channel: id,
    funding: outPointToString(gone.funding),
    txid: txidToHex(gone.txid),
    kind: gone.kind,
    at_stake_sat: atStakeSat(read, record, gone),
  };
  events.push({ event: 'other-close-dropped', facts });
  const others = new Set(kept.map(({ txid }) => txidToHex(txid)));
  if (others.has(facts.txid)) return;
  for (const vout of gone.outputs)
    draft.put(outputRecords, outPointToString({ txid: gone.txid, vout }), null);
}
