/** Everything that a node asks its signer, as the one sees it who has taken the node over. */
import { toHex } from '@countersign/bitcoin';
import type { SyncDoor, SyncDoorClient, SyncDoorRequest } from '@countersign/transport';
import { decodeMessage, type MessageOf, type RequestName } from '@countersign/wire';

const KEPT_MAX = 20_000;

interface Recorded {
  /** Hex of LDK's channel_keys_id; null for the node's own requests. */
  readonly channel: string | null;
  /** As it went over the door: read when somebody asks. */
  readonly bytes: Uint8Array;
}

export class DoorRecorder implements SyncDoor {
  readonly #door: SyncDoor;
  readonly #recorded: Recorded[] = [];

  constructor(door: SyncDoor) {
    this.#door = door;
  }

  ask(client: SyncDoorClient, request: Uint8Array): Uint8Array {
    this.#record(client, request);
    return this.#door.ask(client, request);
  }

  askTogether(requests: readonly SyncDoorRequest[]): readonly Uint8Array[] {
    for (const { client, request } of requests) this.#record(client, request);
    const door = this.#door;
    return door.askTogether?.(requests) ?? requests.map(({ client, request }) => door.ask(client, request));
  }

  #record(client: SyncDoorClient, request: Uint8Array): void {
    const channel = client.peerId === null ? null : toHex(client.peerId.subarray(1));
    this.#recorded.push({ channel, bytes: request });
    if (this.#recorded.length > KEPT_MAX) this.#recorded.splice(0, KEPT_MAX / 2);
  }

  feed(request: Uint8Array): Promise<Uint8Array> {
    return this.#door.feed(request);
  }

  close(): Promise<void> {
    return this.#door.close();
  }

  /** Channels that have signed a commitment, oldest first. */
  channels(): string[] {
    const named = this.#recorded.flatMap(({ channel, bytes }) =>
      channel !== null && nameOf(bytes) === 'vls_sign_remote_commitment_tx2' ? [channel] : [],
    );
    return [...new Set(named)];
  }

  /** The newest request of this kind. */
  last<N extends RequestName>(name: N, channel: string | null = null): MessageOf<N> | undefined {
    const found = this.#recorded.findLast(
      (one) => (channel === null || one.channel === channel) && nameOf(one.bytes) === name,
    );
    const decoded = found === undefined ? undefined : decodeMessage(found.bytes, 'request');
    return decoded?.ok === true ? (decoded.message as MessageOf<N>) : undefined;
  }
}

function nameOf(bytes: Uint8Array): RequestName | null {
  const decoded = decodeMessage(bytes, 'request');
  return decoded.ok && decoded.message.name !== 'unknown' ? decoded.message.name : null;
}
