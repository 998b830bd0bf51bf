/** Where a channel stands, as the chain has it: for counting and showing, no law goes by it. */
import { outPointToString } from '@countersign/bitcoin';
import type { ChannelId, ChannelRecord } from '../channel/record.ts';
import type { Policy } from '../policy/settings.ts';
import { CHAIN_ID, chainRecords, closingRecords, outputRecords } from '../records/chain.ts';
import { closesOf } from './closes.ts';
import { isFundingThere } from './fundings.ts';
import { isLeft } from './ours.ts';
import { isResolved } from './resolution.ts';
import type { Read } from './view-of.ts';

/** Where a channel stands in its life. */
export type Standing =
  /** Set up, and no funding of it in a proven block. */
  | 'opening'
  | 'open'
  /** Its end is signed, or its funding is spent and something of it may still change. */
  | 'closing'
  /** All of it is spent and buried. */
  | 'closed';

/** Null for what is no channel: never set up, or given up before its funding was seen; and while no chain is followed. */
export function standingOf(
  read: Read,
  policy: Policy,
  id: ChannelId,
  record: ChannelRecord,
): Standing | null {
  const chain = read(chainRecords, CHAIN_ID);
  if (chain === null || record.setup === null) return null;
  if (read(closingRecords, id) !== null) {
    const depthBlocks = policy.limits.reorgDepthBlocksMax;
    const isOver =
      closesOf(read, id).every((one) =>
        isResolved(read, record, one, chain.provenHeightBlocks, depthBlocks),
      ) && !record.candidates.some((candidate) => isLeft(read, record, candidate));
    return isOver ? 'closed' : 'closing';
  }
  const outputs = record.candidates.map(({ outpoint }) => read(outputRecords, outPointToString(outpoint)));
  const isFunded = outputs.some((output) => output !== null && isFundingThere(output));
  if (isFunded) return isEnding(record) ? 'closing' : 'open';
  return record.forgotten ? null : 'opening';
}

const isEnding = ({ mutualCloseSigned, holderSigned }: ChannelRecord): boolean =>
  mutualCloseSigned || holderSigned !== null;
