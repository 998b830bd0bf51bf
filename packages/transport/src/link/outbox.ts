/**
 * The node side's half of "once in effect": every request of a run has a number, is sent again on each new connection until
 * its answer is here, and its promise settles once. Requests leave in the order they were asked, within the window
 * that the signer gave; feeders have a small window of their own, and clients pass those who wait for it.
 */
import type { LinkClock } from './clock.ts';
import { LinkError } from './error.ts';
import {
  type Asker,
  encodeLinkFrame,
  type LinkFrame,
  OUTSTANDING_MAX,
  REQUEST_OVERHEAD_BYTES,
} from './frames.ts';
import type { LinkLimits } from './limits.ts';
import type { LinkAnswer } from './protocol.ts';

/** Where frames of one connection go. */
export interface Wire {
  send(frame: Buffer): void;
}

/** What the signer's hello gave. */
export type Window = Pick<LinkLimits, 'requestsMax' | 'requestBytesMax' | 'feedsMax' | 'frameBytesMax'>;

interface Entry {
  /** 0 until it is sent for the first time. */
  id: number;
  /** When it was asked, among all. */
  readonly turn: number;
  readonly message:
    | { readonly kind: 'request'; readonly asker: Asker; readonly body: Uint8Array }
    | { readonly kind: 'feed-end'; readonly session: number };
  readonly bytes: number;
  readonly isFeed: boolean;
  readonly resolve: (answer: LinkAnswer) => void;
  readonly reject: (error: LinkError) => void;
}

/** As many are acknowledged together at the latest. */
const ACKS_MAX = 64;
/** Up to here, one copy is cheaper than a second write. */
const JOIN_BYTES_MAX = 16 * 1024;

export class Outbox {
  readonly #limits: LinkLimits;
  readonly #clock: LinkClock;
  /** Sent, without an answer; in the order of their numbers. */
  readonly #sent = new Map<number, Entry>();
  /** Of them, what the present connection has not seen yet. */
  #toResend: Entry[] = [];
  readonly #clients: Entry[] = [];
  readonly #feeds: Entry[] = [];
  /** Sessions of feeders whose end the signer has to hear. */
  readonly #feedersTold = new Set<number>();
  #wire: Wire | null = null;
  #window: Window;
  #lastId = 0;
  #turns = 0;
  #onWire = 0;
  #onWireBytes = 0;
  #onWireFeeds = 0;
  #queueBytes = 0;
  #acks: number[] = [];
  #cancelAck: (() => void) | null = null;
  #isClosed = false;

  constructor(limits: LinkLimits, clock: LinkClock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#window = limits;
  }

  /** Requests without an answer, sent or not. */
  get size(): number {
    return this.#sent.size + this.#clients.length + this.#feeds.length;
  }

  ask(asker: Asker, body: Uint8Array): Promise<LinkAnswer> {
    return this.#add({ kind: 'request', asker, body }, body.length, asker.kind === 'feed');
  }

  /**
   * What the feeder said and is still here is for nobody any more: while the signer is away feeders come and go, and must not fill
   * the queue. Its end is told where the signer has heard of it, whatever waits.
   */
  endFeed(session: number): void {
    const isOfIt = ({ message }: Entry): boolean =>
      message.kind === 'request' && message.asker.kind === 'feed' && message.asker.session === session;
    for (const entry of this.#feeds.filter(isOfIt)) {
      this.#takeOut(this.#feeds, entry);
      entry.reject(new LinkError('link-ended', 'the feeder left'));
    }
    if (!this.#feedersTold.delete(session) || this.#isClosed) return;
    this.#enqueue({ kind: 'feed-end', session }, REQUEST_OVERHEAD_BYTES, true).catch(() => {});
  }

  #add(message: Entry['message'], bodyBytes: number, isFeed: boolean): Promise<LinkAnswer> {
    const bytes = bodyBytes + REQUEST_OVERHEAD_BYTES;
    if (this.#isClosed) return Promise.reject(closed());
    if (bytes > this.#window.frameBytesMax) return Promise.reject(tooLarge(bytes));
    const { queueMax, queueBytesMax } = this.#limits;
    const waiting = this.#clients.length + this.#feeds.length;
    if (waiting >= queueMax || (waiting > 0 && this.#queueBytes + bytes > queueBytesMax))
      return Promise.reject(
        new LinkError('link-queue-full', 'too much waits for the signer already', { waiting }),
      );
    return this.#enqueue(message, bytes, isFeed);
  }

  #enqueue(message: Entry['message'], bytes: number, isFeed: boolean): Promise<LinkAnswer> {
    return new Promise((resolve, reject) => {
      (isFeed ? this.#feeds : this.#clients).push({
        id: 0,
        turn: ++this.#turns,
        message,
        bytes,
        isFeed,
        resolve,
        reject,
      });
      this.#queueBytes += bytes;
      this.#pump();
    });
  }

  /** The numbers that the signer must not forget. */
  outstanding(): readonly number[] {
    return [...this.#sent.keys()];
  }

  /** A connection that has been greeted: what is without an answer goes out again, then what waits. */
  attach(wire: Wire, window: Window): void {
    this.detach();
    const { requestsMax, requestBytesMax, feedsMax, frameBytesMax } = this.#limits;
    this.#window = {
      requestsMax: Math.min(requestsMax, window.requestsMax, OUTSTANDING_MAX),
      requestBytesMax: Math.min(requestBytesMax, window.requestBytesMax),
      feedsMax: Math.min(feedsMax, window.feedsMax),
      frameBytesMax: Math.min(frameBytesMax, window.frameBytesMax),
    };
    this.#refuseTooLarge();
    this.#wire = wire;
    this.#toResend = [...this.#sent.values()];
    this.#pump();
  }

  /** A signer that takes less than the one before would hang up at such a request, each time it came again. */
  #refuseTooLarge(): void {
    const isTooLarge = ({ bytes }: Entry): boolean => bytes > this.#window.frameBytesMax;
    for (const queue of [this.#clients, this.#feeds]) {
      for (const entry of queue.filter(isTooLarge)) {
        this.#takeOut(queue, entry);
        entry.reject(tooLarge(entry.bytes));
      }
    }
    for (const entry of [...this.#sent.values()].filter(isTooLarge)) {
      this.#sent.delete(entry.id);
      entry.reject(tooLarge(entry.bytes));
    }
  }

  #takeOut(queue: Entry[], entry: Entry): void {
    queue.splice(queue.indexOf(entry), 1);
    this.#queueBytes -= entry.bytes;
  }

  /** The connection is gone. What was to be acknowledged is, by the next welcome. */
  detach(): void {
    this.#wire = null;
    this.#onWire = 0;
    this.#onWireBytes = 0;
    this.#onWireFeeds = 0;
    this.#toResend = [];
    this.#acks = [];
    this.#cancelAck?.();
    this.#cancelAck = null;
  }

  /** Throws `link-protocol` for an answer nobody waits for on this connection. */
  answered(id: number, answer: LinkAnswer): void {
    const entry = this.#sent.get(id);
    if (entry === undefined || this.#toResend.includes(entry))
      throw new LinkError('link-protocol', 'an answer that nobody waits for', { id });
    this.#sent.delete(id);
    this.#onWire--;
    this.#onWireBytes -= entry.bytes;
    if (entry.isFeed) this.#onWireFeeds--;
    this.#acks.push(id);
    entry.resolve(answer);
    this.#pump();
    if (this.#acks.length >= ACKS_MAX) this.#flushAcks();
    else if (this.#acks.length > 0)
      this.#cancelAck ??= this.#clock.after(this.#limits.ackMs, () => this.#flushAcks());
  }

  /** Nothing is sent or answered any more. */
  close(): void {
    this.#isClosed = true;
    this.detach();
    const all = [...this.#sent.values(), ...this.#clients.splice(0), ...this.#feeds.splice(0)];
    this.#sent.clear();
    for (const { reject } of all) reject(closed());
  }

  #pump(): void {
    const wire = this.#wire;
    if (wire === null) return;
    for (let entry = this.#next(); entry !== undefined; entry = this.#next()) {
      if (entry.id === 0) {
        entry.id = ++this.#lastId;
        this.#sent.set(entry.id, entry);
        this.#queueBytes -= entry.bytes;
        const { message } = entry;
        if (message.kind === 'request' && message.asker.kind === 'feed')
          this.#feedersTold.add(message.asker.session);
      }
      this.#onWire++;
      this.#onWireBytes += entry.bytes;
      if (entry.isFeed) this.#onWireFeeds++;
      this.#send(wire, encodeLinkFrame({ ...entry.message, id: entry.id } satisfies LinkFrame));
    }
  }

  /** The next that the window has room for, taken out of its queue. */
  #next(): Entry | undefined {
    const [resent] = this.#toResend;
    if (resent !== undefined) return this.#fits(resent) ? this.#toResend.shift() : undefined;
    const [client] = this.#clients;
    const [feed] = this.#feeds;
    const isFirst = client === undefined || (feed !== undefined && feed.turn < client.turn);
    // A preimage that came before a request is there before it; blocks that wait for room hold nobody up.
    if (feed !== undefined && isFirst && this.#fits(feed)) return this.#feeds.shift();
    return client !== undefined && this.#fits(client) ? this.#clients.shift() : undefined;
  }

  #fits(entry: Entry): boolean {
    const { requestsMax, requestBytesMax, feedsMax } = this.#window;
    if (this.#onWire === 0) return true;
    if (entry.isFeed && this.#onWireFeeds >= feedsMax) return false;
    return this.#onWire < requestsMax && this.#onWireBytes + entry.bytes <= requestBytesMax;
  }

  /** With what is to be acknowledged in front: the signer's window is free again before the request arrives. */
  #send(wire: Wire, frame: Buffer): void {
    if (this.#acks.length > 0 && frame.length <= JOIN_BYTES_MAX) {
      wire.send(Buffer.concat([this.#takeAcks(), frame]));
      return;
    }
    this.#flushAcks();
    wire.send(frame);
  }

  #flushAcks(): void {
    if (this.#acks.length > 0) this.#wire?.send(this.#takeAcks());
  }

  #takeAcks(): Buffer {
    const ids = this.#acks;
    this.#acks = [];
    this.#cancelAck?.();
    this.#cancelAck = null;
    return encodeLinkFrame({ kind: 'ack', ids });
  }
}

function tooLarge(bytes: number): LinkError {
  return new LinkError('link-request-too-large', 'no frame that the signer takes holds so long a request', {
    frame_bytes: bytes,
  });
}

function closed(): LinkError {
  return new LinkError('link-closed', 'the link to the signer was closed');
}
