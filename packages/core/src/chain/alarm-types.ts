/**
 * What the signer has to say about the chain without being asked: deadlines that run, and alarms. Both follow from the
 * records and the clock each time they are wanted; neither is stored.
 */
import type { Facts } from '@countersign/bitcoin';

/** How near a deadline is. `passed`: from now on the other side may take it. */
export type DeadlineLevel = 'warn' | 'urgent' | 'critical' | 'passed';

/** What must be on the chain by a certain block. */
export type DeadlineSubject =
  /** An HTLC we offered is still in a commitment after its expiry: our timeout transaction is due. */
  | 'offered-htlc-expires'
  /** We know the preimage of an HTLC we received: it has to be on the chain before the expiry. */
  | 'received-htlc-to-claim'
  /** A revoked commitment of the peer confirmed: its outputs are ours until its delay ends. */
  | 'penalty'
  /** An output of ours that others may spend too from some height on. */
  | 'sweep';

/** Something that must be on the chain in time, or money is at risk. */
export interface Deadline {
  /** `<peer id hex>/<dbid>`. */
  readonly channel: string;
  readonly heightBlocks: number;
  /** From the tip; negative once it has passed. */
  readonly blocksLeft: number;
  readonly level: DeadlineLevel;
  readonly what: DeadlineSubject;
  readonly amountMsat: bigint;
}

/** What the signer found on the chain, or about it. Stable, for programs. */
export type AlarmCode =
  /** A revoked commitment of the peer is on the chain. */
  | 'breach'
  /** A commitment of ours whose secret the peer has is on the chain: it may take everything. */
  | 'own-revoked-commitment'
  /** A commitment of the peer that this store never signed: the store is behind. */
  | 'future-commitment'
  /** A spend of a funding that nothing on record explains. */
  | 'unknown-close'
  | 'funding-double-spent'
  | 'funding-reorganised'
  /** Two fundings of one channel are on the chain, with something of ours. */
  | 'two-fundings'
  /** A reorg deeper than the policy allows was shown. */
  | 'chain-locked'
  /** No block for longer than the policy allows. */
  | 'chain-silent'
  /** The contents of the newest blocks are not proven. */
  | 'chain-lag'
  /** Blocks come much slower than their difficulty says. */
  | 'hashrate'
  /** A deadline is critical or has passed. */
  | 'deadline'
  /** A rule is turned down that the promise rests on. */
  | 'promise-void'
  /** The signer has stopped signing because its store failed. */
  | 'store-failed';

/** Whether money is at risk now (`critical`), or may come to be. */
export type AlarmSeverity = 'warn' | 'critical';

/** Something an operator should know at once. */
export interface Alarm {
  readonly code: AlarmCode;
  readonly severity: AlarmSeverity;
  /** `<peer id hex>/<dbid>`; null for what concerns no channel or all. */
  readonly channel: string | null;
  /** The block that brought it; null when none did. */
  readonly sinceHeightBlocks: number | null;
  /** One sentence for people. */
  readonly message: string;
  readonly facts: Facts;
}
