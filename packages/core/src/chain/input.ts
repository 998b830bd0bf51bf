/**
 * What the chain's side of the signer works on: the state through a draft, the policy, the public side of the keys, and
 * an index of what is watched. As everywhere in core: no clock, no disk, no network.
 */
import type { Secp256k1 } from '@countersign/bitcoin';
import type { AuditEvent, KeyView } from '../context.ts';
import type { Policy } from '../policy/settings.ts';
import type { Refusal } from '../refusal.ts';
import type { Change, Draft } from '../state.ts';

/** Kept in memory by whoever holds the state; it follows from the records and answers without reading one. */
export interface WatchIndex {
  /** A quick no for most of a block: when false, no output of this transaction (internal byte order) is watched. */
  mayKnow(txid: Uint8Array): boolean;
  /** Whether an outpoint (`<txid display hex>:<vout>`) is a funding, an output on record, or an input of a funding. */
  isWatched(outpoint: string): boolean;
  /** Outputs of this transaction (display hex) that are fundings of a channel. */
  fundingsOf(txid: string): readonly number[];
  /** Ids of the channels that stand on this side of closed and buried, in ascending order. */
  channels(): Iterable<string>;
  /** Ids of all records of that kind that have a value and begin with `prefix`, in ascending order. */
  ids(kind: string, prefix: string): readonly string[];
}

/** As `ChainInput`, with the draft that changes are written to. */
export interface ChainPlace {
  readonly draft: Draft;
  readonly policy: Policy;
  readonly keys: KeyView;
  readonly secp: Secp256k1;
  readonly watch: WatchIndex;
  /** Seconds since 1970 by the signer's own clock. */
  readonly nowSeconds: number;
  readonly events: AuditEvent[];
}

/** What a header or a block did. */
export type ChainOutcome =
  | { readonly ok: true; readonly changes: readonly Change[]; readonly events: readonly AuditEvent[] }
  | { readonly ok: false; readonly refusal: Refusal };
