/**
 * One connection as frames: decoded, bounded, watched for signs of life. It does not know what the frames mean, only that a
 * side which is silent for too long, does not read, or sends what is no frame is not to be talked to any more.
 */
import type { Duplex } from 'node:stream';
import { FrameError } from '../error.ts';
import { FrameDecoder } from '../frames.ts';
import { every, type LinkClock } from './clock.ts';
import { LinkError } from './error.ts';
import { type ByeReason, decodeLinkFrame, encodeLinkFrame, type LinkFrame } from './frames.ts';
import type { LinkLimits } from './limits.ts';

export interface StreamHandler {
  /** All but ping, pong and bye. What it throws ends the connection. */
  frame(frame: LinkFrame): void;
  /** Once, last. */
  closed(reason: LinkError): void;
}

/** How long a last word may take to leave. */
const BYE_MS = 500;
/** Who does not read needs no signs of life. */
const PONG_QUEUE_BYTES_MAX = 64 * 1024;

export class LinkStream {
  readonly #socket: Duplex;
  readonly #limits: LinkLimits;
  readonly #clock: LinkClock;
  readonly #handler: StreamHandler;
  readonly #decoder: FrameDecoder;
  readonly #endTicks: () => void;
  #isOpen = true;
  #heardMs: number;
  #sentMs: number;
  #tickedMs: number;
  #pings = 0;

  /** `socket` is authenticated, has no other reader, and nothing of it was read. */
  constructor(socket: Duplex, limits: LinkLimits, clock: LinkClock, handler: StreamHandler) {
    this.#socket = socket;
    this.#limits = limits;
    this.#clock = clock;
    this.#handler = handler;
    this.#decoder = new FrameDecoder({ frameBytesMax: limits.frameBytesMax });
    this.#heardMs = clock.monotonicMs();
    this.#sentMs = this.#heardMs;
    this.#tickedMs = this.#heardMs;
    this.#endTicks = every(clock, limits.pingMs, () => this.#tick());
    socket.on('error', (cause: Error) => this.destroy(ended('broken', cause)));
    socket.on('close', () => this.#onClose());
    socket.on('end', () => this.destroy(ended('hung up')));
    socket.on('data', (chunk: Uint8Array) => this.#onData(chunk));
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** A whole frame. Dropped when the connection is over already: what matters is sent again on the next. */
  send(frame: Buffer): void {
    if (!this.#isOpen) return;
    const waiting = this.#socket.writableLength + frame.length;
    if (waiting > this.#limits.sendBytesMax) {
      this.destroy(
        new LinkError('link-not-read', 'the other side does not read', {
          waiting_bytes: waiting,
          limit_bytes: this.#limits.sendBytesMax,
        }),
      );
      return;
    }
    this.#socket.write(frame);
    this.#sentMs = this.#clock.monotonicMs();
  }

  /** Say why, then close. */
  bye(reason: ByeReason): void {
    if (!this.#isOpen) return;
    this.send(encodeLinkFrame({ kind: 'bye', reason }));
    this.#over(ended(reason));
    this.#socket.end();
    const cancel = this.#clock.after(BYE_MS, () => this.#socket.destroy());
    this.#socket.once('close', cancel);
  }

  /** Close at once; what was not written is lost. */
  destroy(reason: LinkError): void {
    this.#over(reason);
    this.#socket.destroy();
  }

  #over(reason: LinkError): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#endTicks();
    this.#handler.closed(reason);
  }

  #onClose(): void {
    this.#over(ended('broken'));
  }

  #onData(chunk: Uint8Array): void {
    if (!this.#isOpen) return;
    this.#heardMs = this.#clock.monotonicMs();
    try {
      this.#decoder.push(chunk);
      for (let body = this.#decoder.next(); body !== undefined; body = this.#decoder.next()) {
        this.#onFrame(decodeLinkFrame(body));
        if (!this.#isOpen) return;
      }
    } catch (error) {
      this.destroy(error instanceof LinkError ? error : notAFrame(error));
      // Anything else than bad bytes is a bug of ours, and must not look like one of theirs.
      if (!(error instanceof LinkError) && !(error instanceof FrameError)) throw error;
    }
  }

  #onFrame(frame: LinkFrame): void {
    switch (frame.kind) {
      case 'ping':
        if (this.#socket.writableLength <= PONG_QUEUE_BYTES_MAX)
          this.send(encodeLinkFrame({ kind: 'pong', nonce: frame.nonce }));
        return;
      case 'pong':
        return;
      case 'bye':
        this.destroy(ended(frame.reason));
        return;
      default:
        this.#handler.frame(frame);
    }
  }

  /** A process that slept itself has not heard anything either: it listens first, and judges at the next tick. */
  #tick(): void {
    const now = this.#clock.monotonicMs();
    const slept = now - this.#tickedMs > 2 * this.#limits.pingMs;
    this.#tickedMs = now;
    const silentMs = now - this.#heardMs;
    if (!slept && silentMs > this.#limits.silenceMs) {
      this.destroy(
        new LinkError('link-silent', 'nothing was heard for too long', { silent_ms: Math.round(silentMs) }),
      );
      return;
    }
    // Who only listens, to a long frame on a slow line, is heard no more than one who is gone.
    if (Math.max(silentMs, now - this.#sentMs) >= this.#limits.pingMs / 2) {
      this.#pings = (this.#pings + 1) >>> 0;
      this.send(encodeLinkFrame({ kind: 'ping', nonce: this.#pings }));
    }
  }
}

function notAFrame(cause: unknown): LinkError {
  return new LinkError('link-protocol', 'no frame of a link', {}, { cause });
}

/** Where the reason's name does not say what the operator has to know. */
const WORDS: Readonly<Partial<Record<ByeReason | 'broken' | 'hung up', string>>> = {
  taken: 'another process with this key is connected there, and answers; each signer needs a key of its own',
};

function ended(reason: ByeReason | 'broken' | 'hung up', cause?: Error): LinkError {
  return new LinkError(
    'link-ended',
    `the connection ended: ${WORDS[reason] ?? reason}`,
    { reason },
    { cause },
  );
}
