/**
 * What the two ends of a link promise to those who use them: the node side asks, the signer's side answers. Nothing here
 * says how it travels; the frames are in `frames.ts`, the promise that a request takes effect once in `ledger.ts`.
 */
import type { Facts } from '@countersign/bitcoin';

/** Who asks, as the node side's session with lightningd knows it. The master: no peer, dbid 0. */
export interface LinkClient {
  /** 33 bytes, or null for a client without a channel. */
  readonly peerId: Uint8Array | null;
  readonly dbid: bigint;
  /** CLN's capability bits, as lightningd gave them (hsmd/permissions.h). */
  readonly permissions: bigint;
}

/** The signer's no, with what the node's operator may read. Never a secret. */
export interface LinkRefusal {
  /** Stable: `policy`, `malformed`, `permission`, `not-initialized`, `store-failed`. */
  readonly code: string;
  /** The rule's public name. */
  readonly tag: string;
  /** Wire name of the refused request. */
  readonly request: string;
  /** `<peer id hex>/<dbid>`, or null for requests without a channel. */
  readonly channel: string | null;
  /** The sentence, without tag and facts. */
  readonly text: string;
  /** The same request may pass later without anyone changing anything. */
  readonly temporary: boolean;
  /** Number of its entry in the signer's audit log; null when it has none. */
  readonly auditId: number | null;
  readonly facts: Facts;
}

export type LinkAnswer =
  /** The body of an hsmd frame: u16 type, then the payload. */
  | { readonly kind: 'reply'; readonly body: Uint8Array }
  | { readonly kind: 'refused'; readonly refusal: LinkRefusal };

/**
 * `waiting`: no signer yet since the start. `up`: requests travel. `down`: there was one, and what is asked waits for it.
 * `closed`: for good.
 */
export type LinkState = 'waiting' | 'up' | 'down' | 'closed';

/** The node side's end: what its sessions with lightningd and the feeders of preimages and blocks ask through. */
export interface SignerLink {
  readonly state: LinkState;
  /**
   * Settles exactly once, whatever happens to connections meanwhile: with the signer's answer, or with a `LinkError`
   * when the link is closed for good (`link-closed`) or too much waits already (`link-queue-full`). The body must stay
   * unchanged until then. Requests reach the handler in the order of the calls.
   */
  ask(client: LinkClient, body: Uint8Array): Promise<LinkAnswer>;
  /** What a connection of `node.sock` says. It may feed, and nothing else. */
  openFeed(): LinkFeed;
  /** Called at each change of the state. Returns how to stop it. */
  onState(listener: (state: LinkState) => void): () => void;
  /** Requests still waiting are rejected with `link-closed`. */
  close(): Promise<void>;
}

/** One connection of a feeder: messages in order, each answered before the next is judged. */
export interface LinkFeed {
  /** As `SignerLink.ask`. */
  ask(body: Uint8Array): Promise<LinkAnswer>;
  /** The feeder left: the signer may forget what it collected of it. */
  close(): void;
}

/** The signer's end: what every request is handed to. Must not reject for anything the peer sends: a rejection is a bug. */
export interface RequestHandler {
  /** Called in the order of the node's requests, without waiting for earlier ones. */
  ask(client: LinkClient, body: Uint8Array): Promise<LinkAnswer>;
  /** A message of a feeder: it may bring preimages, headers and blocks, and must be given no other right. */
  feed(session: number, body: Uint8Array): Promise<LinkAnswer>;
  /** The feeder of that session left, or the node side started anew. */
  feedEnded(session: number): void;
}
