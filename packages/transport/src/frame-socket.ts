/**
 * A stream socket as frames: requests are handed over one by one, replies leave in the order they were sent.
 * Everything is bounded: the frame, the requests being answered, the bytes that wait for a peer that does not read.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { FrameError } from './error.ts';
import {
  encodeFrame,
  FRAME_BYTES_MAX_DEFAULT,
  FRAME_HEADER_BYTES,
  FrameDecoder,
  frameHeader,
} from './frames.ts';

export interface FrameSocketOptions {
  /** Longest body in either direction, in bytes. Default 4 MiB. */
  readonly frameBytesMax?: number;
  /** Requests handed over and not settled; no further one is handed over, nor read for long. Default 1. */
  readonly requestsOutstandingMax?: number;
  /** Bytes waiting to be written above which no further request is handed over. Default 1 MiB. */
  readonly sendQueuePauseBytes?: number;
  /** Bytes waiting to be written above which the connection is given up. Default 16 MiB. */
  readonly sendQueueBytesMax?: number;
}

/** How a connection ended: the peer hung up between frames, we closed it, or something broke. */
export type ConnectionEnd =
  | { readonly how: 'hung-up' }
  | { readonly how: 'closed' }
  | { readonly how: 'failed'; readonly error: Error };

export interface FrameHandler {
  /** One request. The returned promise settles when it has been answered; a rejection ends the connection. */
  frame(body: Uint8Array): void | Promise<void>;
  /**
   * A frame beyond the limit was announced: its bytes will be dropped, and it can be answered. Without this handler the
   * connection is given up (`frame-too-large`).
   */
  oversized?(announcedBytes: number): void;
  /** The peer will send nothing more; requests under way may still be answered. */
  hungUp?(): void;
  /** Called once, last, when the descriptor is closed. After a hang-up every request has settled by then. */
  closed(end: ConnectionEnd): void;
}

interface Outgoing {
  readonly body: Uint8Array;
  readonly barrier: Barrier | undefined;
}

interface Barrier {
  readonly action: () => void | Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

const SEND_QUEUE_PAUSE_BYTES_DEFAULT = 1024 * 1024;
const SEND_QUEUE_BYTES_MAX_DEFAULT = 16 * 1024 * 1024;
/** Up to here one copy of the body is cheaper than a second buffer in the write. */
const COPY_BYTES_MAX = 16 * 1024;
export const CLOSE_WAIT_MS_DEFAULT = 2_000;

export class FrameSocket {
  /** The descriptor, when the socket was made from one: for passing descriptors along. Owned by this object. */
  readonly descriptor: number | undefined;
  readonly #socket: Duplex;
  readonly #decoder: FrameDecoder;
  readonly #requestsOutstandingMax: number;
  readonly #sendQueuePauseBytes: number;
  readonly #sendQueueBytesMax: number;
  readonly #queue: Outgoing[] = [];
  #handler: FrameHandler | undefined;
  #end: ConnectionEnd | undefined;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #hungUp = false;
  #outstanding = 0;
  #sendBytes = 0;
  #dispatching = false;
  #paused = false;
  /** A frame sent with `sendThen` is on its way or its action is running: later frames wait. */
  #barrier: Barrier | undefined;
  #closing: Promise<void> | undefined;
  #idle: (() => void) | undefined;
  readonly #abort = new AbortController();

  /** `socket` must have no other reader; give `allowHalfOpen` so that a hang-up does not cut off replies. */
  constructor(socket: Duplex, options: FrameSocketOptions = {}, descriptor?: number) {
    this.#socket = socket;
    this.descriptor = descriptor;
    this.#decoder = new FrameDecoder({ frameBytesMax: options.frameBytesMax ?? FRAME_BYTES_MAX_DEFAULT });
    this.#requestsOutstandingMax = options.requestsOutstandingMax ?? 1;
    this.#sendQueuePauseBytes = options.sendQueuePauseBytes ?? SEND_QUEUE_PAUSE_BYTES_DEFAULT;
    this.#sendQueueBytesMax = options.sendQueueBytesMax ?? SEND_QUEUE_BYTES_MAX_DEFAULT;
    socket.on('error', (error: Error) => this.destroy(error));
    socket.on('close', () => this.#onClose());
  }

  /** Take over a descriptor of a connected stream socket. It becomes non-blocking, on the open file itself. */
  static fromDescriptor(descriptor: number, options: FrameSocketOptions = {}): FrameSocket {
    const socket = new Socket({ fd: descriptor, readable: true, writable: true, allowHalfOpen: true });
    return new FrameSocket(socket, options, descriptor);
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Aborted the moment the connection is given up: from then on its descriptor must not be used. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Bytes of frames handed to `send` that the kernel has not taken yet. */
  get sendQueueBytes(): number {
    return this.#sendBytes;
  }

  /** Begin to read. Once only. */
  start(handler: FrameHandler): void {
    if (this.#handler !== undefined) throw new TypeError('the frame socket is already started');
    this.#handler = handler;
    if (handler.oversized !== undefined) {
      this.#decoder.skipOversized((announcedBytes) => handler.oversized?.(announcedBytes));
    }
    if (this.#state === 'closed') {
      handler.closed(this.#end ?? { how: 'closed' });
      return;
    }
    this.#socket.on('data', (chunk: Uint8Array) => this.#onData(chunk));
    this.#socket.on('end', () => this.#onHangUp());
  }

  /** The requests as a loop; leaving the loop closes the connection, a failure of it is thrown. */
  async *frames(): AsyncGenerator<Uint8Array, void, undefined> {
    const waiting: { body: Uint8Array; settle: () => void }[] = [];
    let end: ConnectionEnd | undefined;
    let wake: () => void = () => {};
    this.start({
      frame: (body) =>
        new Promise<void>((settle) => {
          waiting.push({ body, settle });
          wake();
        }),
      closed: (how) => {
        end = how;
        wake();
      },
    });
    try {
      for (;;) {
        const next = waiting.shift();
        if (next !== undefined) {
          yield next.body;
          next.settle();
        } else if (end !== undefined) {
          if (end.how === 'failed') throw end.error;
          return;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      this.destroy();
    }
  }

  /**
   * Queue a frame. The body must stay unchanged until it is written. False when the connection is already closing
   * (the frame is dropped: a client may leave without waiting for its reply), or gives up because its queue is full.
   * Throws `FrameError` when the body is above the limit.
   */
  send(body: Uint8Array): boolean {
    return this.#enqueue({ body, barrier: undefined });
  }

  /**
   * Send a frame and run `action` once the kernel has taken all of it; frames sent later wait until the action is
   * done. This is how a descriptor follows its reply. Rejects when the action does, or when the connection ends
   * before the action is done.
   */
  sendThen(body: Uint8Array, action: () => void | Promise<void>): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const barrier = { action, resolve, reject };
      if (!this.#enqueue({ body, barrier })) reject(gone());
    });
  }

  /** Read no further, let queued frames leave for at most `waitMs`, then close. Resolves when closed. */
  close(waitMs = CLOSE_WAIT_MS_DEFAULT): Promise<void> {
    this.#closing ??= this.#closeGently(waitMs);
    return this.#closing;
  }

  async #closeGently(waitMs: number): Promise<void> {
    if (this.#state === 'closed') return;
    const closed = new Promise<void>((resolve) => this.#socket.once('close', () => resolve()));
    if (this.#state === 'open') {
      this.#state = 'closing';
      this.#end ??= { how: 'closed' };
      this.#socket.pause();
      if (!this.#isIdle()) await this.#becomesIdle(waitMs);
    }
    this.destroy();
    await closed;
  }

  #isIdle(): boolean {
    return this.#sendBytes === 0 && this.#barrier === undefined;
  }

  #becomesIdle(waitMs: number): Promise<void> {
    return new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.#idle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Close at once; queued frames are lost. With an error, that is what the handler learns as the reason. */
  destroy(error?: Error): void {
    if (this.#abort.signal.aborted) return;
    this.#end ??= error === undefined ? { how: 'closed' } : { how: 'failed', error };
    this.#state = 'closing';
    this.#abort.abort();
    this.#socket.destroy();
  }

  #onData(chunk: Uint8Array): void {
    if (this.#state !== 'open') return;
    this.#decoder.push(chunk);
    this.#dispatch();
    // A peer that waits for its reply sends nothing, so reading is only stopped when it ran ahead of the limit.
    if (this.#state === 'open' && !this.#mayHandOver() && !this.#paused) {
      this.#paused = true;
      this.#socket.pause();
    }
  }

  #mayHandOver(): boolean {
    return this.#outstanding < this.#requestsOutstandingMax && this.#sendBytes <= this.#sendQueuePauseBytes;
  }

  /** Hand over whole frames while the limits allow. Not re-entered from a handler that answers at once. */
  #dispatch(): void {
    if (this.#dispatching || this.#state !== 'open' || this.#handler === undefined) return;
    this.#dispatching = true;
    try {
      while (this.#state === 'open' && this.#mayHandOver()) {
        const body = this.#decoder.next();
        if (body === undefined) {
          this.#allTaken();
          break;
        }
        this.#handOver(this.#handler, body);
      }
    } catch (error) {
      this.destroy(asError(error));
    } finally {
      this.#dispatching = false;
    }
  }

  #handOver(handler: FrameHandler, body: Uint8Array): void {
    this.#outstanding += 1;
    const answered = handler.frame(body);
    if (answered === undefined) {
      this.#outstanding -= 1;
      return;
    }
    answered.then(
      () => {
        this.#outstanding -= 1;
        this.#dispatch();
      },
      (error: unknown) => {
        this.#outstanding -= 1;
        this.destroy(asError(error));
      },
    );
  }

  /** Every whole frame received has been handed over: read on, or finish after a hang-up. */
  #allTaken(): void {
    if (this.#paused) {
      this.#paused = false;
      this.#socket.resume();
    }
    if (!this.#hungUp || this.#outstanding > 0) return;
    this.#decoder.end();
    this.#end ??= { how: 'hung-up' };
    void this.close();
  }

  #onHangUp(): void {
    this.#hungUp = true;
    if (this.#state !== 'open') return;
    this.#handler?.hungUp?.();
    this.#dispatch();
  }

  #enqueue(item: Outgoing): boolean {
    if (this.#state !== 'open') return false;
    const waiting = this.#sendBytes + item.body.length;
    if (waiting > this.#sendQueueBytesMax) {
      this.destroy(
        new FrameError('send-queue-full', 'the peer does not read what it is sent', {
          waiting_bytes: waiting,
          limit_bytes: this.#sendQueueBytesMax,
        }),
      );
      return false;
    }
    frameHeader(item.body.length, this.#decoder.frameBytesMax);
    this.#sendBytes += FRAME_HEADER_BYTES + item.body.length;
    this.#queue.push(item);
    this.#pump();
    return true;
  }

  #pump(): void {
    while (this.#barrier === undefined && this.#state !== 'closed') {
      const item = this.#queue.shift();
      if (item === undefined) return;
      this.#barrier = item.barrier;
      this.#write(item.body, (error) => this.#written(item, error));
    }
  }

  #write(body: Uint8Array, taken: (error?: Error | null) => void): void {
    const frameBytesMax = this.#decoder.frameBytesMax;
    if (body.length <= COPY_BYTES_MAX) {
      this.#socket.write(encodeFrame(body, frameBytesMax), taken);
      return;
    }
    this.#socket.cork();
    this.#socket.write(frameHeader(body.length, frameBytesMax));
    this.#socket.write(body, taken);
    this.#socket.uncork();
  }

  #written(item: Outgoing, error: Error | null | undefined): void {
    // An error also reaches the 'error' listener, which ends the connection and with it every barrier.
    if ((error !== null && error !== undefined) || this.#socket.destroyed) return;
    this.#sendBytes -= FRAME_HEADER_BYTES + item.body.length;
    if (item.barrier !== undefined) void this.#runBarrier(item.barrier);
    if (this.#isIdle()) this.#idle?.();
    this.#dispatch();
  }

  async #runBarrier(barrier: Barrier): Promise<void> {
    try {
      await barrier.action();
      barrier.resolve();
    } catch (error) {
      barrier.reject(asError(error));
    }
    this.#barrier = undefined;
    this.#pump();
    if (this.#isIdle()) this.#idle?.();
  }

  #onClose(): void {
    this.#state = 'closed';
    this.#end ??= { how: 'closed' };
    this.#abort.abort();
    this.#sendBytes = 0;
    this.#idle?.();
    this.#barrier?.reject(gone());
    for (const item of this.#queue.splice(0)) item.barrier?.reject(gone());
    this.#handler?.closed(this.#end);
  }
}

function gone(): FrameError {
  return new FrameError('connection-closed', 'the connection ended first');
}

function asError(value: unknown): Error {
  return value instanceof Error ? value : new Error('a handler failed without an error', { cause: value });
}
