/**
 * One `SignerStream` as the node side holds it: requests go out while the signer reads, responses come in, and it ends once. It
 * ends for good only with its connection, which it has to itself.
 */
import { Metadata, type ServerDuplexStream, type status } from '@grpc/grpc-js';
import type { LinkClock } from '../link/clock.ts';
import type { SignerRequest, SignerResponse } from './messages.ts';

/** How long a stream that was told to end may take, before its connection is cut. */
export const END_GRACE_MS = 1_000;

export interface StreamEvents {
  response(response: SignerResponse): void;
  /** There is room again after `send` said that there is none. */
  drained(): void;
  ended(why: string): void;
}

export interface StreamPeer {
  /** As the kernel tells it. */
  readonly address: string;
  /** Of its key; null without TLS. */
  readonly pin: string | null;
  /** Cuts the connection. */
  readonly cut: () => void;
}

type Call = ServerDuplexStream<SignerResponse, SignerRequest>;

export class SignerStream {
  readonly peer: StreamPeer;
  readonly #call: Call;
  readonly #clock: LinkClock;
  #events: StreamEvents | null = null;
  #hasEnded = false;

  constructor(call: Call, peer: StreamPeer, clock: LinkClock) {
    this.#call = call;
    this.peer = peer;
    this.#clock = clock;
  }

  /** Begin to read. Once only. */
  start(events: StreamEvents): void {
    this.#events = events;
    const call = this.#call;
    call.on('data', (response: SignerResponse) => {
      if (!this.#hasEnded) events.response(response);
    });
    call.on('drain', () => {
      if (!this.#hasEnded) events.drained();
    });
    call.on('end', () => this.#end('the signer ended the stream'));
    call.on('cancelled', () => this.#end('the connection is gone'));
    call.on('error', () => this.#end('the stream failed'));
    call.on('close', () => this.#end('the stream was closed'));
    // The signer waits for the head of the answer before it believes in the stream; the first request may be long in coming.
    call.sendMetadata(new Metadata());
  }

  /** False: no further one before `drained`. */
  send(request: SignerRequest): boolean {
    return this.#hasEnded ? false : this.#call.write(request);
  }

  /** Tell the signer why, then cut the connection whether it listens or not. */
  refuse(code: status, details: string): void {
    this.#call.emit('error', { code, details, name: 'refused', message: details });
    this.#end(details);
  }

  #end(why: string): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    if (this.#call.writable) this.#call.end();
    this.#clock.after(END_GRACE_MS, this.peer.cut);
    this.#events?.ended(why);
  }
}
