/** Everything that a node asks its signer, as the one sees it who has taken the node over. */
import { toHex } from '@countersign/bitcoin';
import type { SyncDoor, SyncDoorClient } from '@countersign/transport';
import { decodeMessage, type MessageOf, type RequestName } from '@countersign/wire';

const KEPT_MAX = 20_000;

interface Recorded {
  /** Hex of LDK's channel_keys_id; null for the node's own requests. */
  readonly channel: string | null;
  readonly request: MessageOf<RequestName>;
}

export class DoorRecorder implements SyncDoor {
  readonly #door: SyncDoor;
  readonly #recorded: Recorded[] = [];

  constructor(door: SyncDoor) {
    this.#door = door;
  }

  ask(client: SyncDoorClient, request: Uint8Array): Uint8Array {
    const decoded = decodeMessage(request, 'request');
    if (decoded.ok && decoded.message.name !== 'unknown') {
      const channel = client.peerId === null ? null : toHex(client.peerId.subarray(1));
      this.#recorded.push({ channel, request: decoded.message });
      if (this.#recorded.length > KEPT_MAX) this.#recorded.splice(0, KEPT_MAX / 2);
    }
    return this.#door.ask(client, request);
  }

  feed(request: Uint8Array): Promise<Uint8Array> {
    return this.#door.feed(request);
  }

  close(): Promise<void> {
    return this.#door.close();
  }

  /** Channels that have signed a commitment, oldest first. */
  channels(): string[] {
    const named = this.#recorded.flatMap(({ channel, request }) =>
      channel !== null && request.name === 'vls_sign_remote_commitment_tx2' ? [channel] : [],
    );
    return [...new Set(named)];
  }

  /** The newest request of this kind. */
  last<N extends RequestName>(name: N, channel: string | null = null): MessageOf<N> | undefined {
    const found = this.#recorded.findLast(
      (one) => one.request.name === name && (channel === null || one.channel === channel),
    );
    return found?.request as MessageOf<N> | undefined;
  }
}
