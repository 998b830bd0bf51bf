/**
 * The signer under attack, as whoever holds the node meets it: wire requests in, replies or refusals out, and what its
 * owner and its chain source do beside. Nothing here says how the signer works.
 */
import type { Reply, Request } from '@countersign/wire';

/** A client of the signer: the node itself, or the daemon of one channel. */
export interface Client {
  /** Null: the node's own, with the permissions of lightningd itself. */
  readonly channel: { readonly peerId: Uint8Array; readonly dbid: bigint } | null;
}

export const NODE: Client = { channel: null };

export type Outcome =
  | { readonly kind: 'reply'; readonly reply: Reply }
  | {
      readonly kind: 'refused';
      readonly tag: string;
      /** By its own word the refusal may pass with the next block. */
      readonly isTemporary: boolean;
      readonly message: string;
    };

/** What the owner does beside the node, on a way that the attacker has no access to. */
export type OwnerAct =
  | { readonly act: 'approve'; readonly id: string; readonly amountMsat: bigint | null }
  | { readonly act: 'allow'; readonly text: string }
  | { readonly act: 'force-close'; readonly peerId: Uint8Array; readonly dbid: bigint };

/** A transaction that the signer's own watcher would broadcast now. */
export interface Rescue {
  readonly raw: Uint8Array;
  readonly reason: string;
}

export interface Subject {
  ask(client: Client, request: Request): Promise<Outcome>;
  /**
   * Headers (80 bytes each) of a branch from behind its fork, then its blocks in order; as a chain source brings them.
   * Resolves to why the signer would not take them, null when it did.
   */
  feedChain(headers: readonly Uint8Array[], blocks: readonly Uint8Array[]): Promise<string | null>;
  /** What the owner's recovery publishes now, all of it signed by the signer. */
  rescues(): Promise<readonly Rescue[]>;
  /** Resolves to what is wrong, null when it was done. */
  owner(act: OwnerAct): Promise<string | null>;
  /** The process ends without warning and starts again on what was durable. */
  restart(): Promise<void>;
  /** The signer's clock, seconds since 1970; never set back. */
  setClock(seconds: number): void;
  /** A second signer in the same state: what happens to one does not happen to the other. Undefined where it can't be had. */
  fork?(): Promise<Subject>;
  close(): Promise<void>;
}
