/**
 * The carrier between two processes: a pair of FIFOs, for this user only, without names as soon as both ends have them. The caller
 * waits with poll(2), which keeps its time; the other end reads and writes as with any pipe.
 *
 * A frame: u32 bytes behind it, u32 number, bytes.
 */
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { nativeSockets, POLL_IN, POLL_OUT } from '../native-sockets.ts';
import type { Answering, AnsweringEnd, BlockingCaller, Exchange } from './carrier.ts';
import { placeBytes } from './messages.ts';

const HEADER_BYTES = 8;
const NUMBER_MAX = 0x7fff_ffff;

const ACCESS = {
  read: constants.O_RDONLY,
  write: constants.O_WRONLY,
  /** A reader that is a writer too never sees an end, so that it may come before the writer. */
  keep: constants.O_RDWR,
};

/** Opens without waiting for the other end. Throws what the system says. */
export function openFifo(path: string, side: keyof typeof ACCESS): number {
  return openSync(path, ACCESS[side] | constants.O_NONBLOCK);
}

interface Deadline {
  leftMs(): number;
}

export class FifoCaller implements BlockingCaller {
  readonly #requests: number;
  readonly #replies: number;
  readonly #frameBytesMax: number;
  readonly #monotonicMs: () => number;
  #number = 0;
  /** Why nothing goes any more. */
  #gone: string | null = null;

  /** Both descriptors are its own from now on, and non-blocking. */
  constructor(requests: number, replies: number, frameBytesMax: number, monotonicMs: () => number) {
    this.#requests = requests;
    this.#replies = replies;
    this.#frameBytesMax = frameBytesMax;
    this.#monotonicMs = monotonicMs;
  }

  exchange(head: Uint8Array, body: Uint8Array, timeoutMs: number): Exchange {
    if (this.#gone !== null) return { kind: 'gone', why: this.#gone };
    this.#number = this.#number === NUMBER_MAX ? 1 : this.#number + 1;
    const endMs = this.#monotonicMs() + timeoutMs;
    const deadline = { leftMs: () => Math.max(0, endMs - this.#monotonicMs()) };
    const frame = Buffer.allocUnsafe(HEADER_BYTES + head.length + body.length);
    frame.writeUInt32BE(head.length + body.length, 0);
    frame.writeUInt32BE(this.#number, 4);
    frame.set(head, HEADER_BYTES);
    frame.set(body, HEADER_BYTES + head.length);
    // Half a frame cannot be taken back: an end that reads so little is not to be talked to any more.
    if (!this.#write(frame, deadline)) return this.#lose('the bridge does not read');
    return this.#await(deadline);
  }

  end(): void {
    if (this.#gone !== null) return;
    this.#lose('the bridge was closed');
  }

  #await(deadline: Deadline): Exchange {
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    for (;;) {
      const began = this.#read(header, deadline);
      if (began === 0) return { kind: 'silent' };
      if (began < HEADER_BYTES) return this.#lose('the bridge ended');
      const bytes = header.readUInt32BE(0);
      if (bytes > this.#frameBytesMax) return this.#lose('the bridge announced a frame beyond the limit');
      const body = new Uint8Array(bytes);
      if (this.#read(body, deadline) < bytes) return this.#lose('the bridge ended in a frame');
      // Another number: the late answer of a request that was given up.
      if (header.readUInt32BE(4) === this.#number) return { kind: 'reply', body };
    }
  }

  /** False when it did not go in time, or nobody is there. */
  #write(frame: Uint8Array, deadline: Deadline): boolean {
    for (let at = 0; at < frame.length; ) {
      const written = attempt(() => writeSync(this.#requests, frame, at));
      if (written === 'gone') return false;
      if (written === 'later' && !isReady(this.#requests, POLL_OUT, deadline)) return false;
      if (typeof written === 'number') at += written;
    }
    return true;
  }

  /** Bytes read before the time was over or the other end closed; -1 when it closed before the first. */
  #read(into: Uint8Array, deadline: Deadline): number {
    let at = 0;
    while (at < into.length) {
      if (!isReady(this.#replies, POLL_IN, deadline)) return at;
      const count = attempt(() => readSync(this.#replies, into, at, into.length - at, null));
      if (count === 'gone' || count === 0) return at === 0 ? -1 : at;
      if (typeof count === 'number') at += count;
    }
    return at;
  }

  #lose(why: string): Exchange {
    this.#gone = why;
    closeSync(this.#requests);
    closeSync(this.#replies);
    return { kind: 'gone', why };
  }
}

/** False when it was not within the time. */
function isReady(descriptor: number, events: number, deadline: Deadline): boolean {
  for (;;) {
    const polled = nativeSockets().poll(descriptor, events, Math.ceil(deadline.leftMs()));
    if (polled.ok || polled.errno !== 'EINTR') return polled.ok && polled.value > 0;
  }
}

function attempt(call: () => number): number | 'later' | 'gone' {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    if (error.code === 'EAGAIN') return 'later';
    if (error.code === 'EPIPE') return 'gone';
    throw error;
  }
}

export class FifoEnd implements AnsweringEnd {
  readonly #requests: Socket;
  readonly #replies: Socket;
  readonly #answering: Answering;
  readonly #onBug: (error: unknown) => void;
  readonly #frameBytesMax: number;
  #pending: Buffer = Buffer.alloc(0);
  #newest = 0;

  /** The caller has its end of the replies open, and opens its end of the requests then. Throws what the system says. */
  constructor(
    paths: { readonly requests: string; readonly replies: string },
    messageBytesMax: number,
    answering: Answering,
    onBug: (error: unknown) => void,
  ) {
    this.#answering = answering;
    this.#onBug = onBug;
    this.#frameBytesMax = placeBytes(messageBytesMax);
    this.#requests = new Socket({ fd: openFifo(paths.requests, 'keep'), readable: true, writable: false });
    this.#replies = new Socket({ fd: openFifo(paths.replies, 'write'), readable: false, writable: true });
    for (const socket of [this.#requests, this.#replies]) socket.on('error', () => this.end());
    this.#requests.on('data', (chunk: Buffer) => this.#onData(chunk));
  }

  end(): void {
    this.#requests.destroy();
    this.#replies.destroy();
  }

  #onData(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= HEADER_BYTES) {
      const bytes = this.#pending.readUInt32BE(0);
      if (bytes > this.#frameBytesMax) {
        this.end();
        return;
      }
      if (this.#pending.length < HEADER_BYTES + bytes) return;
      const number = this.#pending.readUInt32BE(4);
      const request = Uint8Array.from(this.#pending.subarray(HEADER_BYTES, HEADER_BYTES + bytes));
      this.#pending = this.#pending.subarray(HEADER_BYTES + bytes);
      this.#newest = number;
      this.#answer(number, request).catch(this.#onBug);
    }
  }

  async #answer(number: number, request: Uint8Array): Promise<void> {
    const answer = await this.#answering(request);
    // Nobody waits for it any more.
    if (number !== this.#newest || this.#replies.destroyed) return;
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    header.writeUInt32BE(answer.length, 0);
    header.writeUInt32BE(number, 4);
    this.#replies.write(Buffer.concat([header, answer]));
  }
}
