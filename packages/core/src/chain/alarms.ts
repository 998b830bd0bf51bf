/** What is wrong on the chain, from the records and the clock: worked out when somebody asks, never stored. */
import { outPointToString, txidToHex } from '@countersign/bitcoin';
import type { ChannelId, ChannelRecord } from '../channel/record.ts';
import type { Policy } from '../policy/settings.ts';
import {
  CHAIN_ID,
  type ChainRecord,
  type ClosingRecord,
  chainRecords,
  outputRecords,
} from '../records/chain.ts';
import { kindNow } from '../remedies/plan.ts';
import type { Alarm, AlarmCode, AlarmSeverity, Deadline } from './alarm-types.ts';
import { closesOf } from './closes.ts';
import { hashrateAlarm } from './hashrate.ts';
import type { ChainPlace } from './input.ts';
import { isResolved } from './resolution.ts';
import { alarmOfRivals } from './rival-fundings.ts';
import type { Read } from './view-of.ts';

interface Told {
  readonly code: AlarmCode;
  readonly severity: AlarmSeverity;
  readonly message: string;
}

const OF_CLOSING: Readonly<Partial<Record<ClosingRecord['kind'], Told>>> = {
  'counterparty-revoked': {
    code: 'breach',
    severity: 'critical',
    message: 'the peer published a commitment it had revoked: its outputs are ours until its delay ends',
  },
  'holder-revoked': {
    code: 'own-revoked-commitment',
    severity: 'critical',
    message: 'a commitment of ours that is revoked was published: the peer may take all of it',
  },
  'counterparty-future': {
    code: 'future-commitment',
    severity: 'critical',
    message: 'the peer published a commitment that this signer never signed: its state is behind',
  },
  unknown: {
    code: 'unknown-close',
    severity: 'critical',
    message: 'the funding was spent by a transaction that nothing on record explains',
  },
};

/** How a channel ended badly, until everything of it is spent and buried. */
export function alarmOfClosing(
  read: Read,
  policy: Policy,
  id: ChannelId,
  record: ChannelRecord,
  closing: ClosingRecord,
  chain: ChainRecord,
): Alarm | null {
  const told = OF_CLOSING[kindNow(record, closing)];
  const depthBlocks = policy.limits.reorgDepthBlocksMax;
  if (told === undefined || isResolved(read, record, closing, chain.provenHeightBlocks, depthBlocks))
    return null;
  return {
    ...told,
    channel: id,
    sinceHeightBlocks: closing.heightBlocks,
    facts: { txid: txidToHex(closing.txid), number: closing.number ?? 'none' },
  };
}

/** No funding of the channel can confirm any more. */
function alarmOfFundings(read: Read, id: ChannelId, { candidates }: ChannelRecord): Alarm | null {
  const outputs = candidates.map(({ outpoint }) => read(outputRecords, outPointToString(outpoint)));
  const taken = outputs.flatMap((output) => (output?.created === null ? (output.spent ?? []) : []));
  if (taken.length === 0 || taken.length < candidates.length) return null;
  const { heightBlocks, txid } = taken[0]!;
  return {
    code: 'funding-double-spent',
    severity: 'warn',
    channel: id,
    sinceHeightBlocks: heightBlocks,
    message: 'an input of the funding was spent by another transaction: this channel will not come about',
    facts: { txid: txidToHex(txid) },
  };
}

/** Of the chain as a whole. */
export function alarmsOfChain(place: Pick<ChainPlace, 'draft' | 'policy' | 'nowSeconds'>): readonly Alarm[] {
  const { draft, policy } = place;
  const chain = draft.get(chainRecords, CHAIN_ID);
  if (chain === null) return [];
  const alarms: Alarm[] = [];
  const add = (code: AlarmCode, severity: AlarmSeverity, message: string, facts: Alarm['facts']) =>
    alarms.push({
      code,
      severity,
      channel: null,
      sinceHeightBlocks: chain.provenHeightBlocks,
      message,
      facts,
    });
  if (chain.lockedBy !== null) {
    add('chain-locked', 'critical', 'a reorg deeper than the policy allows was shown', {
      fork_height: chain.lockedBy.forkHeightBlocks,
      tip_shown: txidToHex(chain.lockedBy.tipHash),
    });
  }
  const lagBlocks = chain.tipHeightBlocks - chain.provenHeightBlocks;
  if (lagBlocks > policy.limits.chainLagBlocksMax) {
    add('chain-lag', 'warn', 'the contents of the newest blocks are not proven', { lag_blocks: lagBlocks });
  }
  const slow = hashrateAlarm(place);
  if (slow !== null) {
    const isSilent = slow.facts.silence_seconds !== undefined;
    add(isSilent ? 'chain-silent' : 'hashrate', 'critical', slow.message, slow.facts);
  }
  return alarms;
}

/** A deadline that somebody has to look at now. */
export function alarmOfDeadline(deadline: Deadline): Alarm | null {
  const { level, channel, heightBlocks, blocksLeft, what, amountMsat } = deadline;
  if (level !== 'critical' && level !== 'passed') return null;
  return {
    code: 'deadline',
    severity: 'critical',
    channel,
    sinceHeightBlocks: heightBlocks,
    message: level === 'passed' ? 'a deadline has passed' : 'a deadline is about to pass',
    facts: { what, height: heightBlocks, blocks_left: blocksLeft, amount_msat: amountMsat },
  };
}

/** Of one channel: how it ended, what is wrong with its fundings, and what runs out. */
export function alarmsOfChannel(
  read: Read,
  policy: Policy,
  id: ChannelId,
  record: ChannelRecord,
  deadlines: readonly Deadline[],
): readonly Alarm[] {
  const chain = read(chainRecords, CHAIN_ID);
  const ended =
    chain === null
      ? []
      : closesOf(read, id).map((closing) => alarmOfClosing(read, policy, id, record, closing, chain));
  const ofFundings = [alarmOfFundings(read, id, record), alarmOfRivals(read, id, record)];
  return [...ended, ...ofFundings, ...deadlines.map(alarmOfDeadline)].filter((alarm) => alarm !== null);
}
