/**
 * A door to a signer that answers before the call returns, for a node whose callbacks cannot wait (LDK). Behind it stands a
 * signer of the same process, or one elsewhere with a bridge that blocks. It carries frames of the hsmd protocol and judges none.
 */
import { CountersignError, type Facts } from '@countersign/bitcoin';

/** Who asks: lightningd's own connection has no peer, a daemon of a channel names it. */
export interface SyncDoorClient {
  readonly peerId: Uint8Array | null;
  readonly dbid: bigint;
  readonly permissions: bigint;
}

/** A request, and who asks. */
export interface SyncDoorRequest {
  readonly client: SyncDoorClient;
  readonly request: Uint8Array;
}

/** Requests that go through a door at once. */
export const REQUESTS_TOGETHER_MAX = 4;

export interface SyncDoor {
  /**
   * One request, one reply, both hsmd messages without a length before them. Blocks until the reply is there; what it answers
   * to is durable then. A refusal is a reply too (`vls_signer_error`, 3000).
   *
   * @throws {SyncDoorError} when the signer can't be reached, or ended before it answered: nothing is known about the request.
   */
  ask(client: SyncDoorClient, request: Uint8Array): Uint8Array;
  /**
   * Several of `ask`, decided in this order and durable together: one way to the signer, one sync. A refusal of one stops none.
   * At most `REQUESTS_TOGETHER_MAX`. A door without it is asked one after another.
   *
   * @throws {SyncDoorError} as `ask`, when any of them was not answered: nothing is known about all of them.
   */
  askTogether?(requests: readonly SyncDoorRequest[]): readonly Uint8Array[];
  /** Blocks, headers and preimages: what a signer takes on `node.sock`. */
  feed(request: Uint8Array): Promise<Uint8Array>;
  /** Waits until the other side is done; every later call fails. */
  close(): Promise<void>;
}

const PEER_ID_BYTES = 33;
const U64_MAX = 0xffff_ffff_ffff_ffffn;

const isU64 = (value: unknown): boolean => typeof value === 'bigint' && value >= 0n && value <= U64_MAX;

/**
 * The client as a frame of a socket would hold it; null for what no frame holds. A socket gives every client in one form; a program
 * gives values, so they are looked at, and copied: a channel must not have a second name, nor another one later.
 */
export function ownClient({ peerId, dbid, permissions }: SyncDoorClient): SyncDoorClient | null {
  if (!isU64(dbid) || !isU64(permissions)) return null;
  if (peerId === null) return { peerId, dbid, permissions };
  if (!ArrayBuffer.isView(peerId) || peerId.byteLength !== PEER_ID_BYTES) return null;
  const own = new Uint8Array(peerId.buffer, peerId.byteOffset, PEER_ID_BYTES).slice();
  return { peerId: own, dbid, permissions };
}

export type SyncDoorErrorCode =
  /** There is no signer behind the door, or its answer did not come. */
  | 'sync-door-unreachable'
  /** What carries requests to a signer elsewhere has ended by itself: nothing comes through this door any more. */
  | 'sync-door-broken'
  /** The door was closed. */
  | 'sync-door-closed';

export class SyncDoorError extends CountersignError {
  declare readonly code: SyncDoorErrorCode;

  constructor(code: SyncDoorErrorCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options);
    this.name = 'SyncDoorError';
  }
}
