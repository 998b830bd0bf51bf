/**
 * The two kinds of sockets a player holds: the request socket of lightningd, from which descriptors are received, and
 * the sockets handed out for subdaemons. One request at a time on each; the end of the hsmd is an answer, not an error.
 */
import { read, write } from 'node:fs';
import {
  closeDescriptor,
  encodeFrame,
  FRAME_BYTES_MAX_DEFAULT,
  FRAME_HEADER_BYTES,
  FrameError,
  FrameSocket,
  receiveDescriptor,
} from '@countersign/transport';
import type { Answer } from './compare.ts';

export interface Link {
  readonly isOpen: boolean;
  /** Send one frame and wait for the answer, or for the end of the connection. */
  request(body: Uint8Array): Promise<Answer>;
  close(): void;
}

function isHangUp(error: NodeJS.ErrnoException): boolean {
  return error.code === 'EPIPE' || error.code === 'ECONNRESET';
}

/** Read into `into` from `at` on: the count, 0 at the end of the stream. Runs on a thread, the socket stays blocking. */
function readSome(descriptor: number, into: Uint8Array, at: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(descriptor, into, at, into.length - at, null, (error, count) => {
      if (error === null) resolve(count);
      else if (isHangUp(error)) resolve(0);
      else reject(error);
    });
  });
}

async function readFully(descriptor: number, length: number): Promise<Uint8Array | undefined> {
  const into = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const count = await readSome(descriptor, into, at);
    if (count === 0) return undefined;
    at += count;
  }
  return into;
}

function writeSome(descriptor: number, bytes: Uint8Array, at: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    write(descriptor, bytes, at, bytes.length - at, null, (error, count) => {
      if (error === null) resolve(count);
      else if (isHangUp(error)) resolve(undefined);
      else reject(error);
    });
  });
}

/**
 * lightningd's end of descriptor 3, or any other blocking descriptor. Read frame by frame and not a byte further, because the byte that carries a
 * descriptor must be read by `recvmsg`.
 */
export class BlockingLink implements Link {
  readonly #descriptor: number;
  #open = true;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  async request(body: Uint8Array): Promise<Answer> {
    if (!(await this.send(body))) return { kind: 'closed' };
    return this.receive();
  }

  /** Send one frame without waiting for an answer. False when the other side is gone. */
  send(body: Uint8Array): Promise<boolean> {
    return this.sendRaw(encodeFrame(body));
  }

  /** Send bytes as they are, framed or not. False when the other side is gone. */
  async sendRaw(bytes: Uint8Array): Promise<boolean> {
    for (let at = 0; at < bytes.length; ) {
      const count = await writeSome(this.#descriptor, bytes, at);
      if (count === undefined) return false;
      at += count;
    }
    return true;
  }

  /** The next frame without sending anything; 'closed' at the end. */
  async receive(): Promise<Answer> {
    const header = await readFully(this.#descriptor, FRAME_HEADER_BYTES);
    if (header === undefined) return { kind: 'closed' };
    const length = new DataView(header.buffer).getUint32(0);
    if (length > FRAME_BYTES_MAX_DEFAULT) {
      throw new FrameError('frame-too-large', 'the hsmd announced a reply longer than the limit', {
        announced_bytes: length,
        limit_bytes: FRAME_BYTES_MAX_DEFAULT,
      });
    }
    const body = await readFully(this.#descriptor, length);
    return body === undefined ? { kind: 'closed' } : { kind: 'reply', body };
  }

  /** The descriptor that follows a reply to CLIENT_HSMFD; undefined when the hsmd ended instead. */
  receiveDescriptor(): number | undefined {
    return receiveDescriptor(this.#descriptor);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeDescriptor(this.#descriptor);
  }
}

/** A subdaemon's end of a descriptor the hsmd handed out. */
export class ClientLink implements Link {
  readonly #socket: FrameSocket;
  readonly #arrived: Uint8Array[] = [];
  #waiting: ((answer: Answer) => void) | undefined;
  #closed = false;
  readonly whenClosed: Promise<void>;

  constructor(descriptor: number) {
    this.#socket = FrameSocket.fromDescriptor(descriptor);
    this.whenClosed = new Promise((resolve) => {
      this.#socket.start({
        frame: (body) => this.#onFrame(body),
        closed: () => {
          this.#closed = true;
          this.#settle({ kind: 'closed' });
          resolve();
        },
      });
    });
  }

  get isOpen(): boolean {
    return !this.#closed;
  }

  request(body: Uint8Array): Promise<Answer> {
    if (!this.#socket.send(body)) return Promise.resolve({ kind: 'closed' });
    return this.#receive();
  }

  #receive(): Promise<Answer> {
    const body = this.#arrived.shift();
    if (body !== undefined) return Promise.resolve({ kind: 'reply', body });
    if (this.#closed) return Promise.resolve({ kind: 'closed' });
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #onFrame(body: Uint8Array): void {
    if (this.#waiting === undefined) this.#arrived.push(body);
    else this.#settle({ kind: 'reply', body });
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.(answer);
  }
}
