/**
 * Two fundings of one channel on the chain, none of them spent: honest rounds of an opening exclude each other, so a peer has one mined that it
 * alone paid for. As long as both hold something of ours the channel can only be closed (`time/other-fundings.ts`), and the operator is told.
 */
import { outPointToString, type Sat, sat } from '@countersign/bitcoin';
import { isDormant } from '../channel/locking.ts';
import type { ChannelId, ChannelRecord, FundingCandidate } from '../channel/record.ts';
import type { AuditEvent } from '../context.ts';
import { outputRecords } from '../records/chain.ts';
import { channelRecords } from '../records/channel.ts';
import type { Change } from '../state.ts';
import type { Alarm } from './alarm-types.ts';
import { holdsOurs, isStanding, worthSatOf } from './ours.ts';
import type { Read } from './view-of.ts';

/** Those that stand beside each other; none where the channel loses nothing by living on one of them. */
function rivals(read: Read, record: ChannelRecord): readonly FundingCandidate[] {
  const standing = record.candidates.filter((candidate) => isStanding(read, candidate));
  if (standing.length < 2) return [];
  const ours = standing.filter((candidate) => holdsOurs(record, candidate));
  return ours.length > 1 || ours.some((candidate) => isDormant(record, candidate)) ? standing : [];
}

/** Satoshi that our commitments on them leave us: not all of it can be had, each has its own story. */
const worthSat = (record: ChannelRecord, fundings: readonly FundingCandidate[]): Sat =>
  sat(fundings.reduce((sum, candidate) => sum + worthSatOf(record, candidate), 0n));

const namesOf = (fundings: readonly FundingCandidate[]): string =>
  fundings.map(({ outpoint }) => outPointToString(outpoint)).join(' ');

/** While they stand. */
export function alarmOfRivals(read: Read, id: ChannelId, record: ChannelRecord): Alarm | null {
  const fundings = rivals(read, record);
  if (fundings.length === 0) return null;
  const heights = fundings.map(
    ({ outpoint }) => read(outputRecords, outPointToString(outpoint))!.created!.heightBlocks,
  );
  const [, second] = heights.sort((a, b) => a - b);
  return {
    code: 'two-fundings',
    severity: 'critical',
    channel: id,
    sinceHeightBlocks: second!,
    message:
      'the peer has two fundings of this channel on the chain, with something of ours: close the channel',
    facts: { count: fundings.length, fundings: namesOf(fundings), ours_sat: worthSat(record, fundings) },
  };
}

/** What a step of the chain began or ended of it, for the audit log: once each. */
export function rivalEvents(before: Read, after: Read, changes: readonly Change[]): readonly AuditEvent[] {
  const channels = new Set<ChannelId>();
  for (const { kind, id } of changes) {
    if (kind.name !== outputRecords.name) continue;
    const output = after(outputRecords, id) ?? before(outputRecords, id);
    if (output?.role === 'funding') channels.add(output.channel);
  }
  return [...channels].flatMap((channel) => {
    const record = after(channelRecords, channel);
    if (record === null || record.candidates.length < 2) return [];
    const [was, is] = [rivals(before, record), rivals(after, record)];
    if (was.length > 0 === is.length > 0) return [];
    const event = is.length > 0 ? 'two-fundings-began' : 'two-fundings-over';
    const fundings = is.length > 0 ? is : was;
    return [{ event, facts: { channel, fundings: namesOf(fundings), ours_sat: worthSat(record, fundings) } }];
  });
}
