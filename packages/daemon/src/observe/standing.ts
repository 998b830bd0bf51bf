/** How one node of the daemon is, for readiness and metrics: read from its signer and its journal when somebody asks. */
import type { Alarm, Deadline } from '@countersign/core';

/**
 * `none`: not paired. `down`: dialled, and not connected. `up`: requests come. `standby`: connected, another signer is asked.
 */
export type LinkStanding = 'none' | 'down' | 'up' | 'standby' | 'closed';

export interface NodeStanding {
  readonly name: string;
  /** Code and message of what made the store fail; null while it signs. */
  readonly failure: { readonly code: string; readonly message: string } | null;
  readonly isStopping: boolean;
  readonly isInitialized: boolean;
  readonly link: LinkStanding;
  /** Requests not answered yet. */
  readonly inFlight: number;
  readonly journal: {
    readonly commits: number;
    readonly batches: number;
    readonly pendingCommits: number;
  };
  /** Null while no chain is followed. */
  readonly chain: {
    readonly tipHeightBlocks: number;
    readonly provenHeightBlocks: number;
    /** Since the newest block, by its own time; null when that is unknown. */
    readonly lagSeconds: number | null;
  } | null;
  readonly deadlines: readonly Deadline[];
  readonly alarms: readonly Alarm[];
}

/** Why it cannot sign now; empty: it can. */
export function unreadiness(node: NodeStanding): readonly string[] {
  return [
    ...(node.isStopping ? ['it is stopping'] : []),
    ...(node.failure === null ? [] : [`its store failed: ${node.failure.message} (${node.failure.code})`]),
    ...(node.link === 'up' ? [] : [WORDS[node.link]]),
    ...(node.isInitialized ? [] : ['no node has introduced itself']),
  ];
}

const WORDS: Readonly<Record<Exclude<LinkStanding, 'up'>, string>> = {
  none: 'it is not paired with a node',
  down: 'it is not connected to its node',
  standby: 'another signer is active',
  closed: 'its link is closed',
};
