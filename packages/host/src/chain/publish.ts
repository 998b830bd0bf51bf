/** What the signer publishes without being asked, and by which rates as long as nobody knows better. */
import type { Feerates, Remedy } from '@countersign/core';

/** A transaction for the network. */
export interface Publishable {
  /** Txid in display hex. */
  readonly id: string;
  readonly raw: Uint8Array;
  /** For the log. */
  readonly reason: string;
}

/** Until the feeder knows better: 10 and 50 satoshi for each virtual byte. */
export const FEERATES_AT_START: Feerates = { normalPerKw: 2500, urgentPerKw: 12_500 };
/** Blocks before the deadline of a claim from which the signer no longer waits for the node. */
const URGENT_BLOCKS = 6;

/** Worth publishing without being asked. */
export function isDue(remedy: Remedy, heightBlocks: number): boolean {
  const { kind, bump, isReleased, isFallback, isOptional, earliestHeightBlocks, deadlineHeightBlocks } =
    remedy;
  if (!isReleased || isFallback || isOptional || earliestHeightBlocks > heightBlocks) return false;
  // It pays no fee as it is, and no coin of the wallet is ours to take for it.
  if (bump === 'fee-input') return false;
  if (kind === 'justice' || kind === 'commitment') return true;
  return deadlineHeightBlocks !== null && deadlineHeightBlocks - heightBlocks <= URGENT_BLOCKS;
}
