/** Where a heartbeat gets what the signer believes about the chain; whoever follows one implements it. */
import type { Alarm, ChainSummary, ChannelCounts, Deadline } from '@countersign/core';

export interface ChainObservations {
  /** Null while no chain is followed. */
  readonly chain: ChainSummary | null;
  readonly channels: ChannelCounts | null;
  readonly deadlines: readonly Deadline[];
  readonly alarms: readonly Alarm[];
}

export interface HeartbeatSource {
  /** As of now, from memory: it is asked every few seconds. */
  observe(nowSeconds: number): ChainObservations;
}

export const NO_CHAIN: HeartbeatSource = {
  observe: () => ({ chain: null, channels: null, deadlines: [], alarms: [] }),
};
