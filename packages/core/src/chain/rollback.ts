/** Taking back what the blocks above a height had brought, the newest first. */
import {
  type BlockRecord,
  blockRecords,
  closingRecords,
  heightId,
  type OutputRecord,
  outputRecords,
} from '../records/chain.ts';
import type { ChainPlace } from './input.ts';

/** Blocks `fromHeightBlocks` down to just above `forkHeightBlocks`. Returns the channels whose outputs they touched. */
export function takeBack(place: ChainPlace, fromHeightBlocks: number, forkHeightBlocks: number): Set<string> {
  const channels = new Set<string>();
  for (let height = fromHeightBlocks; height > forkHeightBlocks; height--) {
    const id = heightId(height);
    const block = place.draft.get(blockRecords, id);
    if (block === null) continue;
    takeBackBlock(place, height, block, channels);
    place.draft.put(blockRecords, id, null);
  }
  return channels;
}

/**
 * The same for any depth, by looking at every output on record: of old blocks nobody remembers what they touched. Returns the
 * channels concerned.
 */
export function takeBackAll(place: ChainPlace, forkHeightBlocks: number): Set<string> {
  const channels = new Set<string>();
  for (const id of place.watch.ids(closingRecords.name, '')) {
    const closing = place.draft.get(closingRecords, id);
    if (closing === null || closing.heightBlocks <= forkHeightBlocks) continue;
    place.draft.put(closingRecords, id, null);
    channels.add(id);
  }
  for (const id of place.watch.ids(outputRecords.name, '')) {
    const output = place.draft.get(outputRecords, id);
    if (output === null) continue;
    const before = upTo(output, forkHeightBlocks);
    if (before === output) continue;
    place.draft.put(outputRecords, id, before);
    channels.add(output.channel);
  }
  for (const id of place.watch.ids(blockRecords.name, '')) {
    if (id > heightId(forkHeightBlocks)) place.draft.put(blockRecords, id, null);
  }
  return channels;
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

function takeBackBlock(place: ChainPlace, height: number, block: BlockRecord, channels: Set<string>): void {
  for (const channel of block.closings) {
    place.draft.put(closingRecords, channel, null);
    channels.add(channel);
    place.events.push({ event: 'close-reorganised-away', facts: { channel, height } });
  }
  for (const id of block.outputs) {
    const output = place.draft.get(outputRecords, id);
    // Forgotten meanwhile with its channel: what is ours of it was buried; the peer may spend the rest whenever it likes.
    if (output === null) continue;
    channels.add(output.channel);
    place.draft.put(outputRecords, id, without(output, height));
    if (output.role === 'funding' && output.created?.heightBlocks === height) {
      place.events.push({
        event: 'funding-reorganised-away',
        facts: { channel: output.channel, outpoint: id, height },
      });
    }
  }
}

/** The output as it was before the block; null when the block brought it. */
function without(output: OutputRecord, height: number): OutputRecord | null {
  const spent = output.spent?.heightBlocks === height ? null : output.spent;
  const created = output.created?.heightBlocks === height ? null : output.created;
  if (created === null && (output.role !== 'funding' || spent === null)) return null;
  return { ...output, created, spent };
}
