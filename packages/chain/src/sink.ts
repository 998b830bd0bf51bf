/**
 * The signer's side of a follower: what it knows, and what it takes. It judges every byte itself. Its promises reject only for
 * a bug or a failed store, which ends the follower, or with a `SourceError` where a connection lies in between, which does
 * not; a header or block it will not have is an answer.
 */
import type { SourceFeerates } from './source.ts';

export interface SinkTip {
  readonly tipHeightBlocks: number;
  /** Internal byte order. */
  readonly tipHash: Uint8Array;
  /** The contents of all blocks from the birthday to here are proven. */
  readonly provenHeightBlocks: number;
  readonly birthdayHeightBlocks: number;
  /** A reorg deeper than the policy allows was shown; the operator has to look. */
  readonly locked: boolean;
}

export type SinkAnswer =
  | { readonly ok: true }
  | {
      readonly ok: false;
      /** The same bytes may pass later. */
      readonly temporary: boolean;
      readonly message: string;
    };

/** Heights of headers, both included. */
export interface HeaderRange {
  readonly firstHeightBlocks: number;
  readonly lastHeightBlocks: number;
}

/** How the chain begins, once in a signer's life. */
export interface SinkStart {
  /** The first block whose content counts, as the operator configured it; null: the signer's choice. */
  readonly birthdayHeightBlocks: number | null;
  /** Where the source's chain ends, as it says. */
  readonly sourceHeightBlocks: number;
}

/** A transaction that should be on the network now. */
export interface Publishable {
  /** Txid in display hex. */
  readonly id: string;
  readonly raw: Uint8Array;
  /** For the log. */
  readonly reason: string;
}

type Awaitable<T> = T | Promise<T>;

export interface ChainSink {
  /** Null before the chain has begun. */
  tip(): Awaitable<SinkTip | null>;
  /** Of the recorded chain; null where nothing is on record. */
  headerHash(heightBlocks: number): Awaitable<Uint8Array | null>;
  /** The headers that `begin` wants, which end with a checkpoint; null: none, the chain begins at its first block. */
  beginNeeds(start: SinkStart): Awaitable<HeaderRange | null>;
  /** Afterwards there is a tip. */
  begin(start: SinkStart, headers: Uint8Array): Promise<SinkAnswer>;
  /** A run of headers that connects to a recorded one. With less work than ours it is taken and changes nothing. */
  acceptHeaders(headers: Uint8Array): Promise<SinkAnswer>;
  /** The block after the last proven one. */
  acceptBlock(raw: Uint8Array): Promise<SinkAnswer>;
  toPublish(): Promise<readonly Publishable[]>;
  /** What the source thinks that transactions pay; the signer has bounds of its own. */
  setFeerates(feerates: SourceFeerates): void;
}
