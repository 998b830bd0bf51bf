/**
 * The status socket (descriptor 0): the one way an hsmd tells lightningd's log something. Never holds the signer up:
 * what lightningd does not read waits in a bounded queue, then chatter is dropped and counted; an end is flushed.
 */
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { LOG_TEXT_BYTES_MAX, statusText } from '@countersign/host';
import { encodeFrame } from '@countersign/transport';
import { encodeMessage, type Status } from '@countersign/wire';

/** Levels of CLN's common/status_levels.h that a daemon's text may have, least important first. */
export const STATUS_LEVELS = ['trace', 'debug', 'info', 'unusual', 'broken'] as const;
export type StatusLevel = (typeof STATUS_LEVELS)[number];
/** Who is to blame when the hsmd ends itself: the other reasons belong to other daemons. */
export type FailReason = 'masterIo' | 'internalError';

/** What CLN's daemons exit with after STATUS_FAIL (0xfff2): common/status.c, flush_and_exit. */
export const FAIL_EXIT_STATUS = 0x80 | (0xfff2 & 0xff);

export const FAIL_TEXT_BYTES_MAX = 16 * 1024;
/** lightningd logs the request as hex; its beginning is enough to know it by. */
export const BAD_REQUEST_BYTES_MAX = 4 * 1024;
const QUEUE_BYTES_MAX_DEFAULT = 1024 * 1024;
const FLUSH_WAIT_MS_DEFAULT = 2_000;
const FLUSH_PAUSE_MS = 2;
const RETRY_MS_MIN = 5;
const RETRY_MS_MAX = 100;

/** Where status bytes go, without ever waiting. */
export interface StatusSink {
  /** How many bytes were taken; 0 while full. Throws when the other side is gone. */
  write(bytes: Uint8Array): number;
}

export interface StatusChannelOptions {
  /** Text below this level is not sent; lightningd asks for trace with `--log-trace`. Default debug. */
  readonly levelMin?: StatusLevel;
  /** Bytes waiting for lightningd above which text is dropped; reports of bad requests get as much again. */
  readonly queueBytesMax?: number;
}

export class StatusChannel {
  readonly #sink: StatusSink;
  readonly #levelMin: number;
  readonly #queueBytesMax: number;
  readonly #queue: Uint8Array[] = [];
  #queueBytes = 0;
  #dropped = 0;
  #retryMs = RETRY_MS_MIN;
  #timer: NodeJS.Timeout | undefined;
  #state: 'open' | 'failing' | 'gone' = 'open';

  constructor(sink: StatusSink, options: StatusChannelOptions = {}) {
    this.#sink = sink;
    this.#levelMin = STATUS_LEVELS.indexOf(options.levelMin ?? 'debug');
    this.#queueBytesMax = options.queueBytesMax ?? QUEUE_BYTES_MAX_DEFAULT;
  }

  /** Must be lightningd's own version, or lightningd restarts itself; send nothing rather than a guess. */
  version(version: string): void {
    this.#send({ name: 'status_version', version: statusText(version, LOG_TEXT_BYTES_MAX) }, 'always');
  }

  /** A line for lightningd's log, under the peer's name if one is given (33 bytes). */
  log(level: StatusLevel, text: string, nodeId?: Uint8Array): void {
    if (STATUS_LEVELS.indexOf(level) < this.#levelMin) return;
    const entry = statusText(text, LOG_TEXT_BYTES_MAX);
    this.#send({ name: 'status_log', level, peer: nodeId, entry }, 'if-room');
  }

  /** A client (not lightningd itself) asked what it may not; the caller closes that client's socket. */
  clientBadRequest(nodeId: Uint8Array, description: string, request: Uint8Array): void {
    const msg = request.subarray(0, BAD_REQUEST_BYTES_MAX);
    this.#send(
      {
        name: 'hsmstatus_client_bad_request',
        id: nodeId,
        description: statusText(description, LOG_TEXT_BYTES_MAX),
        msg,
      },
      'if-much-room',
    );
  }

  /** The last message: waits until lightningd has it, but not for long. Returns what to exit with. */
  fail(reason: FailReason, text: string, waitMs = FLUSH_WAIT_MS_DEFAULT): number {
    this.#send(
      { name: 'status_fail', failreason: reason, desc: statusText(text, FAIL_TEXT_BYTES_MAX) },
      'always',
    );
    if (this.#state === 'open') this.#state = 'failing';
    this.flush(waitMs);
    return FAIL_EXIT_STATUS;
  }

  /** Write what waits, blocking for at most about `waitMs`. False when some of it could not be written. */
  flush(waitMs = FLUSH_WAIT_MS_DEFAULT): boolean {
    this.#drain();
    for (let waitedMs = 0; this.#queue.length > 0 && waitedMs < waitMs; waitedMs += FLUSH_PAUSE_MS) {
      sleepBlocking(FLUSH_PAUSE_MS);
      this.#drain();
    }
    return this.#queue.length === 0 && this.#state !== 'gone';
  }

  #send(message: Status, when: 'if-room' | 'if-much-room' | 'always'): void {
    if (this.#state !== 'open') return;
    const frame = encodeFrame(encodeMessage(message));
    const limit = when === 'if-room' ? this.#queueBytesMax : 2 * this.#queueBytesMax;
    if (when !== 'always' && this.#queueBytes + frame.length > limit) {
      this.#dropped += 1;
      return;
    }
    this.#enqueue(frame);
    this.#drain();
  }

  #enqueue(frame: Uint8Array): void {
    this.#queue.push(frame);
    this.#queueBytes += frame.length;
  }

  #drain(): void {
    try {
      while (this.#writeOne());
    } catch {
      // lightningd is gone; that it hung up on descriptor 3 is what ends the process.
      this.#state = 'gone';
      this.#queue.length = 0;
      this.#queueBytes = 0;
    }
    if (this.#queue.length > 0) this.#retryLater();
  }

  /** True when there was something to write and all of it was taken. */
  #writeOne(): boolean {
    if (this.#queue.length === 0 && this.#dropped > 0 && this.#state === 'open') {
      const entry = `${this.#dropped} status messages were dropped: lightningd did not read them`;
      this.#dropped = 0;
      this.#enqueue(
        encodeFrame(encodeMessage({ name: 'status_log', level: 'unusual', peer: undefined, entry })),
      );
    }
    const head = this.#queue[0];
    if (head === undefined) return false;
    const taken = this.#sink.write(head);
    this.#queueBytes -= taken;
    if (taken > 0) this.#retryMs = RETRY_MS_MIN;
    if (taken < head.length) {
      this.#queue[0] = head.subarray(taken);
      return false;
    }
    this.#queue.shift();
    return true;
  }

  #retryLater(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#drain();
    }, this.#retryMs);
    this.#timer.unref();
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS_MAX);
  }
}

/** The status channel of a process started by lightningd. Nothing else may use the descriptor, nor `process.stdin`. */
export function openStatusChannel(options: StatusChannelOptions = {}, descriptor = 0): StatusChannel {
  return new StatusChannel(descriptorSink(descriptor), options);
}

/** A socket, written directly: the kernel says at once how much it takes, so an end can be flushed synchronously. */
export function descriptorSink(descriptor: number): StatusSink & { close(): void } {
  // libuv makes the open file non-blocking and keeps the descriptor; nothing is read or written through it.
  const holder = new Socket({ fd: descriptor, readable: true, writable: true });
  holder.on('error', () => {});
  holder.unref();
  return {
    write: (bytes) => {
      try {
        if (holder.destroyed) throw new Error('the status socket is closed');
        return writeSync(descriptor, bytes);
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return 0;
        throw error;
      }
    },
    close: () => {
      holder.destroy();
    },
  };
}

function sleepBlocking(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
