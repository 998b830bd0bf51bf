/**
 * A connection between two nodes of this process: real Noise, bytes in two queues. What a node sends inside a callback waits in
 * the queue until `deliver` hands it on, so that no node is ever entered from another's callback.
 */
import {
  Option_SocketAddressZ,
  Result_boolPeerHandleErrorZ_OK,
  Result_CVec_u8ZPeerHandleErrorZ_OK,
  Result_NonePeerHandleErrorZ_OK,
  SocketDescriptor,
} from 'lightningdevkit';
import type { LightningNode } from '../node/lightning-node.ts';

interface End {
  readonly node: LightningNode;
  readonly socket: SocketDescriptor;
  /** What the other end sent and this one has not read. */
  readonly inbox: Uint8Array[];
}

let sockets = 1n;

export class Wire {
  readonly #ends: readonly [End, End];
  #isOpen = true;
  /** While true, nothing is delivered: the network is slow. */
  isStalled = false;

  constructor(caller: LightningNode, called: LightningNode) {
    const inboxes: [Uint8Array[], Uint8Array[]] = [[], []];
    const socket = (at: 0 | 1): SocketDescriptor => {
      const id = sockets++;
      return SocketDescriptor.new_impl({
        send_data: (data) => {
          if (this.#isOpen) inboxes[at === 0 ? 1 : 0].push(data.slice());
          return data.length;
        },
        disconnect_socket: () => {
          this.#isOpen = false;
        },
        eq: (other) => other.hash() === id,
        hash: () => id,
      });
    };
    this.#ends = [
      { node: caller, socket: socket(0), inbox: inboxes[0] },
      { node: called, socket: socket(1), inbox: inboxes[1] },
    ];
    const none = Option_SocketAddressZ.constructor_none();
    if (
      !(
        called.peers.new_inbound_connection(this.#ends[1].socket, none) instanceof
        Result_NonePeerHandleErrorZ_OK
      )
    )
      throw new Error('the connection was not taken');
    const first = caller.peers.new_outbound_connection(called.nodeId, this.#ends[0].socket, none);
    if (!(first instanceof Result_CVec_u8ZPeerHandleErrorZ_OK))
      throw new Error('the connection was not begun');
    inboxes[1].push(first.res);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  joins(node: LightningNode): boolean {
    return this.#ends.some((end) => end.node === node);
  }

  /** One piece each way; false when there was none. */
  deliver(): boolean {
    if (!this.#isOpen || this.isStalled) return false;
    let moved = false;
    for (const { node, socket, inbox } of this.#ends) {
      const bytes = inbox.shift();
      if (bytes === undefined || !this.#isOpen) continue;
      moved = true;
      if (!(node.peers.read_event(socket, bytes) instanceof Result_boolPeerHandleErrorZ_OK)) this.cut();
    }
    return moved;
  }

  /** Both ends learn of it; what was under way is lost. */
  cut(): void {
    this.#isOpen = false;
    for (const { node, socket } of this.#ends) node.peers.socket_disconnected(socket);
  }

  /** One node is gone without a word. */
  cutFor(survivor: LightningNode): void {
    this.#isOpen = false;
    for (const { node, socket } of this.#ends) if (node === survivor) node.peers.socket_disconnected(socket);
  }
}
