/**
 * Makes the text of a heartbeat that is signed. Pure: the same input gives the same text. Lists are in the order of their
 * severity, and what is beyond the bounds is left out from their ends, so the worst is always told.
 */
import { toHex } from '@countersign/bitcoin';
import type { Alarm, AlarmSeverity, Deadline, DeadlineLevel } from '../chain/alarm-types.ts';
import { type CanonicalValue, canonicalJson } from './canonical.ts';
import { ENVELOPE_BYTES } from './envelope.ts';
import {
  type ChainSummary,
  HEARTBEAT_ALARMS_MAX,
  HEARTBEAT_BYTES_MAX,
  HEARTBEAT_DEADLINES_MAX,
  HEARTBEAT_FACT_CHARS_MAX,
  HEARTBEAT_FACTS_MAX,
  HEARTBEAT_MESSAGE_CHARS_MAX,
  HEARTBEAT_REFUSAL_TAGS_MAX,
  HEARTBEAT_VERSION,
  HEARTBEAT_WEAKENED_MAX,
  type HeartbeatInput,
} from './heartbeat.ts';

/** Canonical JSON in ASCII, with `ENVELOPE_BYTES` at most `HEARTBEAT_BYTES_MAX` long. */
export function heartbeatOf(input: HeartbeatInput): string {
  const alarms = [...input.alarms].sort(byAlarmSeverity).map(alarmEntry);
  const deadlines = [...input.deadlines].sort(byDeadlineSeverity).map(deadlineEntry);
  const frame = (kept: Kept): string => canonicalJson(content(input, kept, alarms.length, deadlines.length));
  const kept = fitting(alarms, deadlines, PAYLOAD_BYTES_MAX - frame(NOTHING).length);
  return frame(kept);
}

const PAYLOAD_BYTES_MAX = HEARTBEAT_BYTES_MAX - ENVELOPE_BYTES;

interface Kept {
  readonly alarms: readonly CanonicalValue[];
  readonly deadlines: readonly CanonicalValue[];
}
const NOTHING: Kept = { alarms: [], deadlines: [] };

interface Entry {
  /** The smaller, the worse; alarms and deadlines compete for the same room. */
  readonly rank: number;
  readonly json: CanonicalValue;
}

function content(input: HeartbeatInput, kept: Kept, alarms: number, deadlines: number): CanonicalValue {
  const { network, nodeId, sequence, nowSeconds, startedAtSeconds, chain } = input;
  return {
    version: HEARTBEAT_VERSION,
    chainHash: displayHex(network.chainHash),
    nodeId: toHex(nodeId),
    sequence: { start: sequence.start, count: sequence.count },
    timeSeconds: nowSeconds,
    startedAtSeconds,
    chain: chain === null ? null : chainContent(chain),
    deadlines: kept.deadlines,
    alarms: kept.alarms,
    cut: { deadlines: deadlines - kept.deadlines.length, alarms: alarms - kept.alarms.length },
    counters: countersContent(input.counters),
    policy: policyContent(input.policy),
  };
}

const displayHex = (hash: Uint8Array): string => toHex(hash.toReversed());

function chainContent({
  tipHeightBlocks,
  tipHash,
  provenHeightBlocks,
  medianTimeSeconds,
}: ChainSummary): CanonicalValue {
  return {
    tipHeightBlocks,
    tipHash: displayHex(tipHash),
    provenHeightBlocks,
    medianTimeSeconds,
    lagBlocks: Math.max(0, tipHeightBlocks - provenHeightBlocks),
  };
}

function countersContent(counters: HeartbeatInput['counters']): CanonicalValue {
  const { channelsLive, channels, pendingApprovals, commits, refusalsByTag } = counters;
  const frequent = [...refusalsByTag].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return {
    channelsLive,
    channels: channels === null ? null : { ...channels },
    pendingApprovals,
    commits,
    refusals: {
      total: frequent.reduce((sum, [, count]) => sum + count, 0),
      byTag: Object.fromEntries(
        frequent
          .slice(0, HEARTBEAT_REFUSAL_TAGS_MAX)
          .map(([tag, count]) => [clip(tag, HEARTBEAT_FACT_CHARS_MAX), count]),
      ),
    },
  };
}

function policyContent({ preset, promise, weakened }: HeartbeatInput['policy']): CanonicalValue {
  const told = [...weakened].sort().slice(0, HEARTBEAT_WEAKENED_MAX);
  return {
    preset: clip(preset, HEARTBEAT_FACT_CHARS_MAX),
    promise,
    weakened: told.map((tag) => clip(tag, HEARTBEAT_FACT_CHARS_MAX)),
    weakenedCut: weakened.length - told.length,
  };
}

const ALARM_RANK: Readonly<Record<AlarmSeverity, number>> = { critical: 0, warn: 3 };
const DEADLINE_RANK: Readonly<Record<DeadlineLevel, number>> = { passed: 1, critical: 2, urgent: 4, warn: 5 };

function byAlarmSeverity(a: Alarm, b: Alarm): number {
  return (
    ALARM_RANK[a.severity] - ALARM_RANK[b.severity] ||
    ascending(a.code, b.code) ||
    ascending(a.channel ?? '', b.channel ?? '') ||
    (a.sinceHeightBlocks ?? 0) - (b.sinceHeightBlocks ?? 0)
  );
}

function byDeadlineSeverity(a: Deadline, b: Deadline): number {
  return (
    DEADLINE_RANK[a.level] - DEADLINE_RANK[b.level] ||
    a.blocksLeft - b.blocksLeft ||
    ascending(a.channel, b.channel) ||
    ascending(a.what, b.what)
  );
}

function ascending(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function alarmEntry({ code, severity, channel, sinceHeightBlocks, message, facts }: Alarm): Entry {
  const told = Object.entries(facts).slice(0, HEARTBEAT_FACTS_MAX);
  return {
    rank: ALARM_RANK[severity],
    json: {
      code,
      severity,
      channel,
      sinceHeightBlocks,
      message: clip(message, HEARTBEAT_MESSAGE_CHARS_MAX),
      facts: Object.fromEntries(
        told.map(([name, value]) => [clip(name, HEARTBEAT_FACT_CHARS_MAX), factContent(value)]),
      ),
    },
  };
}

function factContent(value: Alarm['facts'][string]): CanonicalValue {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  return clip(String(value), HEARTBEAT_FACT_CHARS_MAX);
}

function deadlineEntry(deadline: Deadline): Entry {
  const { channel, heightBlocks, blocksLeft, level, what, amountMsat } = deadline;
  return {
    rank: DEADLINE_RANK[level],
    json: { channel, heightBlocks, blocksLeft, level, what, amountMsat: amountMsat.toString() },
  };
}

/** From the worst on, until the bytes are used up. Both lists are in their order already. */
function fitting(alarms: readonly Entry[], deadlines: readonly Entry[], bytes: number): Kept {
  const kept = { alarms: [] as CanonicalValue[], deadlines: [] as CanonicalValue[] };
  const candidates = [
    ...alarms.slice(0, HEARTBEAT_ALARMS_MAX).map((entry) => ({ ...entry, list: kept.alarms })),
    ...deadlines.slice(0, HEARTBEAT_DEADLINES_MAX).map((entry) => ({ ...entry, list: kept.deadlines })),
  ].sort((a, b) => a.rank - b.rank);
  let left = bytes;
  for (const { json, list } of candidates) {
    // With its comma; the counts of what is cut only get shorter.
    left -= canonicalJson(json).length + 1;
    if (left < 0) break;
    list.push(json);
  }
  return kept;
}

/** By code points, so that no character is halved. */
function clip(text: string, charsMax: number): string {
  const points = [...text.slice(0, 2 * charsMax + 2)];
  return points.length <= charsMax ? text : `${points.slice(0, charsMax - 1).join('')}…`;
}
