/**
 * One connection to the node side, as the signer sees it: it says hello, learns its role, and takes requests in the order that
 * the protocol has.
 */
import type { Duplex } from 'node:stream';
import type { LinkClock } from './clock.ts';
import { LinkError } from './error.ts';
import {
  type ByeReason,
  encodeLinkFrame,
  FRAME_BYTES_MIN,
  GREETING_BYTES_MAX,
  LINK_VERSION,
  type LinkFrame,
} from './frames.ts';
import { owned } from './ledger.ts';
import type { LinkLimits } from './limits.ts';
import type { Wire } from './outbox.ts';
import type { LinkAnswer, LinkClient } from './protocol.ts';
import { LinkStream } from './stream.ts';

/** What a connection tells its link. What these throw ends the connection. */
export interface SignerConnectionHandler {
  /** This signer is the one that is asked. */
  active(connection: SignerConnection, run: Uint8Array, outstanding: readonly number[]): void;
  standby(connection: SignerConnection): void;
  request(frame: Extract<LinkFrame, { kind: 'request' | 'feed-end' }>): void;
  ack(ids: readonly number[]): void;
  greeting(
    connection: SignerConnection,
    greeting: { readonly id: number; readonly client: LinkClient; readonly body: Uint8Array },
  ): void;
  nextKey(connection: SignerConnection, pin: string): void;
  nextKeyKnown(connection: SignerConnection, pin: string): void;
  closed(connection: SignerConnection, reason: LinkError): void;
}

export interface SignerConnectionOptions {
  readonly socket: Duplex;
  /** The name under which the node is pinned, and its key; null on a Unix socket. */
  readonly name: string;
  readonly pin: string | null;
  /** Of this process. */
  readonly instance: Uint8Array;
  readonly limits: LinkLimits;
  readonly clock: LinkClock;
}

export class SignerConnection implements Wire {
  readonly name: string;
  readonly pin: string | null;
  readonly #stream: LinkStream;
  readonly #handler: SignerConnectionHandler;
  readonly #cancelDeadline: () => void;
  #state: 'new' | 'standby' | 'active' = 'new';
  #run = new Uint8Array(0);
  #frameBytesMax = 0;

  constructor(options: SignerConnectionOptions, handler: SignerConnectionHandler) {
    const { socket, name, pin, instance, limits, clock } = options;
    this.name = name;
    this.pin = pin;
    this.#handler = handler;
    this.#cancelDeadline = clock.after(limits.handshakeMs, () =>
      this.#stream.destroy(new LinkError('link-silent', 'the node did not say its welcome in time')),
    );
    this.#stream = new LinkStream(socket, limits, clock, {
      frame: (frame) => this.#onFrame(frame),
      closed: (reason) => this.#onClosed(reason),
    });
    const { requestsMax, requestBytesMax, feedsMax, frameBytesMax } = limits;
    const hello = { instance, requestsMax, requestBytesMax, feedsMax, frameBytesMax };
    this.send(
      encodeLinkFrame({ kind: 'hello', versionMin: LINK_VERSION, versionMax: LINK_VERSION, ...hello }),
    );
  }

  /** The longest frame that the node side takes, as its welcome says. */
  get frameBytesMax(): number {
    return this.#frameBytesMax;
  }

  send(frame: Buffer): void {
    this.#stream.send(frame);
  }

  sayKey(kind: 'next-key' | 'next-key-known', pin: string): void {
    this.send(encodeLinkFrame({ kind, pin }));
  }

  answerGreeting(id: number, answer: LinkAnswer): void {
    this.send(encodeLinkFrame({ kind: 'greeting-answer', id, answer }));
  }

  bye(reason: ByeReason): void {
    this.#stream.bye(reason);
  }

  #onFrame(frame: LinkFrame): void {
    switch (frame.kind) {
      case 'welcome':
        this.#onWelcome(frame);
        return;
      case 'promote':
        if (this.#state !== 'standby') throw new LinkError('link-protocol', 'only a standby is promoted');
        this.#begin(frame.outstanding);
        return;
      case 'next-key':
        this.#handler.nextKey(this, frame.pin);
        return;
      case 'next-key-known':
        this.#handler.nextKeyKnown(this, frame.pin);
        return;
      default:
        this.#onRequest(frame);
    }
  }

  #onWelcome(welcome: Extract<LinkFrame, { kind: 'welcome' }>): void {
    const { version, run, isActive, frameBytesMax, outstanding } = welcome;
    if (this.#state !== 'new') throw new LinkError('link-protocol', 'a welcome comes once');
    if (version !== LINK_VERSION)
      throw new LinkError('link-version', 'a version nobody offered', { version });
    this.#cancelDeadline();
    if (frameBytesMax < FRAME_BYTES_MIN)
      throw new LinkError('link-protocol', 'a node side that takes no answer', { frameBytesMax });
    this.#run = Uint8Array.from(run);
    this.#frameBytesMax = frameBytesMax;
    if (isActive) {
      this.#begin(outstanding);
      return;
    }
    this.#state = 'standby';
    this.#handler.standby(this);
  }

  #begin(outstanding: readonly number[]): void {
    this.#state = 'active';
    this.#handler.active(this, this.#run, outstanding);
  }

  #onRequest(frame: LinkFrame): void {
    if (this.#state !== 'active')
      throw new LinkError('link-protocol', 'nobody asks here yet', { frame: frame.kind });
    switch (frame.kind) {
      case 'request':
      case 'feed-end':
        this.#handler.request(frame);
        return;
      case 'ack':
        this.#handler.ack(frame.ids);
        return;
      case 'greeting': {
        const { id, client, body } = frame;
        if (body.length > GREETING_BYTES_MAX)
          throw new LinkError('link-protocol', 'too long a greeting', { body_bytes: body.length });
        this.#handler.greeting(this, { id, client, body: owned(body) });
        return;
      }
      default:
        throw new LinkError('link-protocol', 'a frame that a node side does not send', { frame: frame.kind });
    }
  }

  #onClosed(reason: LinkError): void {
    this.#cancelDeadline();
    this.#handler.closed(this, reason);
  }
}
