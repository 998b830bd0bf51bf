/**
 * A heartbeat: how the signer is, signed with the node's key, for whoever watches from outside and knows nothing but the
 * node id. Here: what it holds, and its bounds. docs/heartbeat.md describes the text it is written as.
 */
import type { Alarm, AlarmSeverity, Deadline, DeadlineLevel } from '../chain/alarm-types.ts';
import type { Network } from '../network.ts';

/** Major version of the form: a reader refuses any other. */
export const HEARTBEAT_VERSION = 1;
/** Of the signed text with everything around it. What does not fit is cut, the least severe first, and counted. */
export const HEARTBEAT_BYTES_MAX = 16 * 1024;
/** Deadlines told one by one, the nearest first. */
export const HEARTBEAT_DEADLINES_MAX = 64;
/** Alarms told one by one, the most severe first. */
export const HEARTBEAT_ALARMS_MAX = 64;
/** Tags told one by one; the refusals of all others are one number. */
export const HEARTBEAT_REFUSAL_TAGS_MAX = 16;
/** Rules told by name that the promise rests on and that do not refuse. */
export const HEARTBEAT_WEAKENED_MAX = 48;
/** Of the text of one alarm; what is longer is cut. */
export const HEARTBEAT_MESSAGE_CHARS_MAX = 240;
/** Facts of one alarm. */
export const HEARTBEAT_FACTS_MAX = 12;
/** Of one fact that is text. */
export const HEARTBEAT_FACT_CHARS_MAX = 96;

/**
 * Of two heartbeats of one node the later one has the greater `start`, or the same and the greater `count`. `start` is the
 * number of the newest entry of the audit log when this process had made its own first one: it rises with each start, clock or
 * not, and falls when the store was rolled back.
 */
export interface HeartbeatSequence {
  readonly start: number;
  readonly count: number;
}

/** Negative where `a` was made before `b`; 0 for one and the same. */
export function compareSequences(a: HeartbeatSequence, b: HeartbeatSequence): number {
  return a.start - b.start || a.count - b.count;
}

/** What the signer believes of the chain, as a heartbeat tells it. */
export interface HeartbeatChain {
  readonly tipHeightBlocks: number;
  /** As block explorers show it. */
  readonly tipHash: string;
  readonly provenHeightBlocks: number;
  /** Median time past of the newest proven block (BIP 113). */
  readonly medianTimeSeconds: number;
  /** Blocks of the chain whose contents are not proven yet. */
  readonly lagBlocks: number;
}

/** How many channels stand where. */
export interface ChannelCounts {
  readonly opening: number;
  readonly open: number;
  readonly closing: number;
  readonly closed: number;
}

/** Numbers since the start of the signer, and of what it keeps. */
export interface HeartbeatCounters {
  /** Set up and not forgotten by the node; null when the store cannot be read. */
  readonly channelsLive: number | null;
  /** As the chain has it; null while none is followed. */
  readonly channels: ChannelCounts | null;
  /** Null when the store cannot be read. */
  readonly pendingApprovals: number | null;
  /** Of the store, since the start. */
  readonly commits: number;
  /** Since the start. */
  readonly refusals: {
    readonly total: number;
    /** The most frequent tags. */
    readonly byTag: Readonly<Record<string, number>>;
  };
}

/** The policy in force, in short. */
export interface HeartbeatPolicy {
  readonly preset: string;
  /** As `countersign policy show` has it. */
  readonly promise: 'kept' | 'limited' | 'void';
  /** Rules that the promise rests on and that do not refuse. */
  readonly weakened: readonly string[];
}

/** As read: a later minor release may know more subjects than this one. */
export type HeartbeatDeadline = Omit<Deadline, 'what' | 'level'> & {
  readonly level: DeadlineLevel;
  readonly what: string;
};

/** As read: a later minor release may know more codes than this one. */
export interface HeartbeatAlarm extends Omit<Alarm, 'code' | 'facts'> {
  readonly code: string;
  readonly severity: AlarmSeverity;
  /** Amounts beyond what a JSON number holds exactly are decimal text. */
  readonly facts: Readonly<Record<string, string | number | boolean>>;
}

/** What a verified heartbeat says. */
export interface Heartbeat {
  readonly version: typeof HEARTBEAT_VERSION;
  /** The genesis block's hash, as block explorers show it. */
  readonly chainHash: string;
  /** 33 bytes, hex. */
  readonly nodeId: string;
  readonly sequence: HeartbeatSequence;
  /** Seconds since 1970 by the signer's clock. */
  readonly timeSeconds: number;
  readonly startedAtSeconds: number;
  /** Null while the signer follows no chain. */
  readonly chain: HeartbeatChain | null;
  /** The nearest first. */
  readonly deadlines: readonly HeartbeatDeadline[];
  /** The critical ones first. */
  readonly alarms: readonly HeartbeatAlarm[];
  /** How many of each did not fit. */
  readonly cut: { readonly deadlines: number; readonly alarms: number };
  readonly counters: HeartbeatCounters;
  readonly policy: HeartbeatPolicy & { readonly weakenedCut: number };
}

/** What a heartbeat is made of. */
export interface HeartbeatInput {
  readonly network: Network;
  readonly nodeId: Uint8Array;
  readonly sequence: HeartbeatSequence;
  readonly nowSeconds: number;
  readonly startedAtSeconds: number;
  readonly chain: ChainSummary | null;
  readonly deadlines: readonly Deadline[];
  readonly alarms: readonly Alarm[];
  readonly counters: Omit<HeartbeatCounters, 'refusals'> & {
    readonly refusalsByTag: ReadonlyMap<string, number>;
  };
  readonly policy: HeartbeatPolicy;
}

/** The chain as the records have it. */
export interface ChainSummary {
  readonly tipHeightBlocks: number;
  /** Internal byte order. */
  readonly tipHash: Uint8Array;
  readonly provenHeightBlocks: number;
  readonly medianTimeSeconds: number;
}
