/** Taking back what the blocks above a height had brought, the newest first. */
import { invariant } from '@countersign/bitcoin';
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

function takeBackBlock(place: ChainPlace, height: number, block: BlockRecord, channels: Set<string>): void {
  for (const channel of block.closings) {
    place.draft.put(closingRecords, channel, null);
    channels.add(channel);
    place.events.push({ event: 'close-reorganised-away', facts: { channel, height } });
  }
  for (const id of block.outputs) {
    const output = place.draft.get(outputRecords, id);
    invariant(output !== null, 'an output that a block touched is on record', { outpoint: id, height });
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
