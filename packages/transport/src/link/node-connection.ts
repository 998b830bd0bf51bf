/**
 * One connection of a signer, as the node side sees it: hello, then active or standby. What the frames mean for the link as a
 * whole is the link's business; here is what must be in order within a connection.
 */
import type { Duplex } from 'node:stream';
import { toHex } from '@countersign/bitcoin';
import type { LinkClock } from './clock.ts';
import { LinkError } from './error.ts';
import {
  type ByeReason,
  encodeLinkFrame,
  GREETING_BYTES_MAX,
  GREETINGS_MAX,
  LINK_VERSION,
  type LinkFrame,
} from './frames.ts';
import type { LinkLimits } from './limits.ts';
import type { Window, Wire } from './outbox.ts';
import type { LinkAnswer, LinkClient } from './protocol.ts';
import { LinkStream } from './stream.ts';

/** What a connection tells its link. */
export interface NodeConnectionHandler {
  /** It has said hello in a version both speak; it waits to be told its role. */
  hello(connection: NodeConnection): void;
  answered(connection: NodeConnection, id: number, answer: LinkAnswer): void;
  nextKey(connection: NodeConnection, pin: string): void;
  nextKeyKnown(connection: NodeConnection, pin: string): void;
  closed(connection: NodeConnection, reason: LinkError): void;
}

export interface NodeConnectionOptions {
  readonly socket: Duplex;
  /** The name under which its key is pinned, the key, and where it comes from. */
  readonly name: string;
  readonly pin: string | null;
  readonly address: string;
  readonly limits: LinkLimits;
  readonly clock: LinkClock;
}

interface Greeting {
  readonly resolve: (answer: LinkAnswer) => void;
  readonly reject: (error: LinkError) => void;
}

export class NodeConnection implements Wire {
  readonly name: string;
  readonly pin: string | null;
  readonly address: string;
  /** Of the signer's process, in hex; empty before its hello. */
  instance = '';
  window: Window = { requestsMax: 0, requestBytesMax: 0, feedsMax: 0, frameBytesMax: 0 };
  readonly sinceSeconds: number;
  readonly #frameBytesMax: number;
  readonly #stream: LinkStream;
  readonly #handler: NodeConnectionHandler;
  readonly #greetings = new Map<number, Greeting>();
  readonly #cancelDeadline: () => void;
  #state: 'new' | 'hello' | 'standby' | 'active' = 'new';
  #lastGreeting = 0;

  constructor(options: NodeConnectionOptions, handler: NodeConnectionHandler) {
    const { socket, name, pin, address, limits, clock } = options;
    this.name = name;
    this.pin = pin;
    this.address = address;
    this.sinceSeconds = Math.floor(clock.nowMs() / 1000);
    this.#frameBytesMax = limits.frameBytesMax;
    this.#handler = handler;
    this.#cancelDeadline = clock.after(limits.handshakeMs, () =>
      this.end(new LinkError('link-silent', 'it did not say hello in time')),
    );
    this.#stream = new LinkStream(socket, limits, clock, {
      frame: (frame) => this.#onFrame(frame),
      closed: (reason) => this.#onClosed(reason),
    });
  }

  get isOpen(): boolean {
    return this.#stream.isOpen;
  }

  send(frame: Buffer): void {
    this.#stream.send(frame);
  }

  /** Tell its role, once; `outstanding` is what the active one must not forget. */
  welcome(run: Uint8Array, isActive: boolean, outstanding: readonly number[]): void {
    this.#state = isActive ? 'active' : 'standby';
    const frameBytesMax = this.#frameBytesMax;
    const welcome = { version: LINK_VERSION, run, isActive, frameBytesMax, outstanding };
    this.send(encodeLinkFrame({ kind: 'welcome', ...welcome }));
  }

  /** A standby becomes the active one. */
  promote(outstanding: readonly number[]): void {
    this.#state = 'active';
    this.send(encodeLinkFrame({ kind: 'promote', outstanding }));
  }

  /** A request of the greeting. Rejects when the connection ends first. */
  greet(client: LinkClient, body: Uint8Array): Promise<LinkAnswer> {
    return new Promise((resolve, reject) => {
      if (!this.isOpen || this.#greetings.size >= GREETINGS_MAX) {
        reject(new LinkError('link-ended', 'the connection ended before its greeting'));
        return;
      }
      if (body.length > GREETING_BYTES_MAX) {
        reject(new LinkError('link-request-too-large', 'too long a greeting', { body_bytes: body.length }));
        return;
      }
      const id = ++this.#lastGreeting;
      this.#greetings.set(id, { resolve, reject });
      this.send(encodeLinkFrame({ kind: 'greeting', id, client, body }));
    });
  }

  /** Announce the next key of the node side, or acknowledge the signer's. */
  sayKey(kind: 'next-key' | 'next-key-known', pin: string): void {
    this.send(encodeLinkFrame({ kind, pin }));
  }

  bye(reason: ByeReason): void {
    this.#stream.bye(reason);
  }

  end(reason: LinkError): void {
    this.#stream.destroy(reason);
  }

  #onFrame(frame: LinkFrame): void {
    if (frame.kind === 'hello') {
      this.#onHello(frame);
      return;
    }
    if (this.#state === 'new') throw new LinkError('link-protocol', 'hello comes first');
    switch (frame.kind) {
      case 'answer':
        if (this.#state !== 'active') throw new LinkError('link-protocol', 'a standby has nothing to answer');
        this.#handler.answered(this, frame.id, frame.answer);
        return;
      case 'greeting-answer': {
        const greeting = this.#greetings.get(frame.id);
        if (greeting === undefined) throw new LinkError('link-protocol', 'an answer to no greeting');
        this.#greetings.delete(frame.id);
        greeting.resolve(frame.answer);
        return;
      }
      case 'next-key':
        this.#handler.nextKey(this, frame.pin);
        return;
      case 'next-key-known':
        this.#handler.nextKeyKnown(this, frame.pin);
        return;
      default:
        throw new LinkError('link-protocol', 'a frame that a signer does not send', { frame: frame.kind });
    }
  }

  #onHello(hello: Extract<LinkFrame, { kind: 'hello' }>): void {
    if (this.#state !== 'new') throw new LinkError('link-protocol', 'hello comes once');
    const { versionMin, versionMax, instance, requestsMax, requestBytesMax, feedsMax, frameBytesMax } = hello;
    if (versionMin > LINK_VERSION || versionMax < LINK_VERSION) {
      this.bye('version');
      return;
    }
    if (requestsMax === 0 || feedsMax === 0)
      throw new LinkError('link-protocol', 'a window that lets nothing in');
    this.#state = 'hello';
    this.#cancelDeadline();
    this.instance = toHex(instance);
    this.window = { requestsMax, requestBytesMax, feedsMax, frameBytesMax };
    this.#handler.hello(this);
  }

  #onClosed(reason: LinkError): void {
    this.#cancelDeadline();
    for (const { reject } of this.#greetings.values()) reject(reason);
    this.#greetings.clear();
    this.#handler.closed(this, reason);
  }
}
