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

export interface SyncDoor {
  /**
   * One request, one reply, both hsmd messages without a length before them. Blocks until the reply is there; what it answers
   * to is durable then. A refusal is a reply too (`vls_signer_error`, 3000).
   *
   * @throws {SyncDoorError} when the signer can't be reached, or ended before it answered: nothing is known about the request.
   */
  ask(client: SyncDoorClient, request: Uint8Array): Uint8Array;
  /** Blocks, headers and preimages: what a signer takes on `node.sock`. */
  feed(request: Uint8Array): Promise<Uint8Array>;
  /** Waits until the other side is done; every later call fails. */
  close(): Promise<void>;
}

export type SyncDoorErrorCode =
  /** There is no signer behind the door, or its answer did not come. */
  | 'sync-door-unreachable'
  /** The door was closed. */
  | 'sync-door-closed';

export class SyncDoorError extends CountersignError {
  declare readonly code: SyncDoorErrorCode;

  constructor(code: SyncDoorErrorCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options);
    this.name = 'SyncDoorError';
  }
}
