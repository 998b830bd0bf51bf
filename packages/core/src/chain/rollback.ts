/**
 * Taking back what the blocks above a height had brought. Every fact has its height, so whatever the depth, looking at the
 * outputs and closes on record is enough; a reorg is rare, and they are few.
 */
import { closingRecords, type OutputRecord, otherClosingRecords, outputRecords } from '../records/chain.ts';
import type { ChainPlace } from './input.ts';

/** Returns the channels concerned. The draft must not have touched any of these records before. */
export function takeBack(place: ChainPlace, forkHeightBlocks: number): Set<string> {
  const channels = new Set<string>();
  for (const id of place.watch.ids(closingRecords.name, '')) {
    const closing = place.draft.get(closingRecords, id);
    if (closing === null || closing.heightBlocks <= forkHeightBlocks) continue;
    place.draft.put(closingRecords, id, null);
    channels.add(id);
    const facts = { channel: id, height: closing.heightBlocks };
    place.events.push({ event: 'close-reorganised-away', facts });
  }
  for (const id of place.watch.ids(otherClosingRecords.name, '')) {
    if (takeBackOthers(place, id, forkHeightBlocks)) channels.add(id);
  }
  for (const id of place.watch.ids(outputRecords.name, '')) {
    const output = place.draft.get(outputRecords, id);
    const before = output === null ? null : upTo(output, forkHeightBlocks);
    if (output === null || before === output) continue;
    place.draft.put(outputRecords, id, before);
    channels.add(output.channel);
    if (output.role !== 'funding' || output.created === null || before?.created != null) continue;
    const facts = { channel: output.channel, outpoint: id, height: output.created.heightBlocks };
    place.events.push({ event: 'funding-reorganised-away', facts });
  }
  return channels;
}

/** Of fundings that the channel does not live on. */
function takeBackOthers(place: ChainPlace, id: string, forkHeightBlocks: number): boolean {
  const closes = place.draft.get(otherClosingRecords, id) ?? [];
  const before = closes.filter(({ heightBlocks }) => heightBlocks <= forkHeightBlocks);
  if (before.length === closes.length) return false;
  place.draft.put(otherClosingRecords, id, before.length === 0 ? null : before);
  const facts = { channel: id, height: closes.at(-1)!.heightBlocks };
  place.events.push({ event: 'close-reorganised-away', facts });
  return true;
}

/** The output as it was at this height; itself when nothing came later, null when it was not there. */
function upTo(output: OutputRecord, heightBlocks: number): OutputRecord | null {
  const isLate = (fact: { readonly heightBlocks: number } | null) =>
    fact !== null && fact.heightBlocks > heightBlocks;
  if (!isLate(output.created) && !isLate(output.spent)) return output;
  const spent = isLate(output.spent) ? null : output.spent;
  const created = isLate(output.created) ? null : output.created;
  if (created === null && (output.role !== 'funding' || spent === null)) return null;
  return { ...output, created, spent };
}
