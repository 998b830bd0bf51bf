/**
 * Frames as Core Lightning writes them on every socket (wire/wire_io.c): u32 big-endian length, then that many bytes.
 * A length above the limit is refused before a byte is allocated; any chunking of a stream gives the same frames.
 */
import { FrameError } from './error.ts';

export const FRAME_HEADER_BYTES = 4;
/** Far above the largest request we know, far below the 64 MiB at which Core Lightning itself gives up. */
export const FRAME_BYTES_MAX_DEFAULT = 4 * 1024 * 1024;
/** What is set aside when a frame is announced; more only as its bytes really arrive. */
const PARTIAL_BYTES_INITIAL = 4096;

export interface FrameDecoderOptions {
  /** Longest body accepted, in bytes. */
  readonly frameBytesMax?: number;
}

const NOTHING = new Uint8Array(0);

/**
 * Push chunks in, take bodies out. A body that lies within one chunk is a view of that chunk (no copy), so a chunk
 * must not be reused; a body spread over chunks is assembled once. Memory held is at most the last chunk plus
 * twice the bytes received of the frame under way. After a `FrameError` the decoder is dead.
 */
export class FrameDecoder {
  readonly frameBytesMax: number;
  #chunk: Uint8Array = NOTHING;
  #at = 0;
  /** A header or body that began in an earlier chunk. */
  #partial: Uint8Array | undefined;
  #partialLength = 0;
  /** Length of the body under way; undefined while its header is incomplete. */
  #bodyLength: number | undefined;
  #onOversized: ((announcedBytes: number) => void) | undefined;
  /** What is still to come, and to be dropped, of a frame beyond the limit. */
  #skipBytes = 0;

  constructor(options: FrameDecoderOptions = {}) {
    this.frameBytesMax = options.frameBytesMax ?? FRAME_BYTES_MAX_DEFAULT;
  }

  /**
   * Report a frame beyond the limit when it is announced and drop its bytes as they arrive, instead of dying of it: the
   * stream stays in step, and whoever sent it can be answered.
   */
  skipOversized(report: (announcedBytes: number) => void): void {
    this.#onOversized = report;
  }

  /** Bytes received that belong to no body taken yet. */
  get pendingBytes(): number {
    return (
      this.#chunk.length -
      this.#at +
      this.#partialLength +
      (this.#bodyLength === undefined ? 0 : FRAME_HEADER_BYTES)
    );
  }

  /** Hand in what arrived. Whatever `next` has not taken yet is kept in front of it. */
  push(chunk: Uint8Array): void {
    const left = this.#chunk.length - this.#at;
    if (left === 0) {
      this.#chunk = chunk;
    } else {
      const joined = new Uint8Array(left + chunk.length);
      joined.set(this.#chunk.subarray(this.#at));
      joined.set(chunk, left);
      this.#chunk = joined;
    }
    this.#at = 0;
  }

  /** The next whole body, or undefined until more is pushed. Throws `FrameError` on a length above the limit. */
  next(): Uint8Array | undefined {
    if (!this.#skip()) return undefined;
    if (this.#bodyLength === undefined) {
      const header = this.#collect(FRAME_HEADER_BYTES);
      if (header === undefined) return undefined;
      const length = ((header[0]! << 24) | (header[1]! << 16) | (header[2]! << 8) | header[3]!) >>> 0;
      if (length > this.frameBytesMax && this.#onOversized !== undefined) {
        this.#skipBytes = length;
        this.#onOversized(length);
        return this.next();
      }
      if (length > this.frameBytesMax) {
        throw new FrameError('frame-too-large', 'a frame longer than the limit was announced', {
          announced_bytes: length,
          limit_bytes: this.frameBytesMax,
        });
      }
      this.#bodyLength = length;
    }
    const body = this.#collect(this.#bodyLength);
    if (body !== undefined) this.#bodyLength = undefined;
    return body;
  }

  /** Drops what has come of an oversized frame; false while more of it is to come. */
  #skip(): boolean {
    const count = Math.min(this.#skipBytes, this.#chunk.length - this.#at);
    this.#skipBytes -= count;
    this.#advance(this.#at + count);
    return this.#skipBytes === 0;
  }

  /** Call at the end of the stream, with every frame taken: throws `FrameError` when it ended inside one. */
  end(): void {
    if (this.pendingBytes !== 0 || this.#skipBytes > 0) {
      throw new FrameError('frame-truncated', 'the stream ended inside a frame', {
        pending_bytes: this.pendingBytes,
      });
    }
  }

  /** `length` bytes in one piece: a view when the chunk has them all, else gathered over chunks. */
  #collect(length: number): Uint8Array | undefined {
    const left = this.#chunk.length - this.#at;
    const missing = length - this.#partialLength;
    if (left < missing) {
      this.#keep(length, left);
      return undefined;
    }
    const end = this.#at + missing;
    if (this.#partial === undefined) {
      const view = this.#chunk.subarray(this.#at, end);
      this.#advance(end);
      return view;
    }
    this.#keep(length, missing);
    const whole = this.#partial.subarray(0, length);
    this.#partial = undefined;
    this.#partialLength = 0;
    return whole;
  }

  /** Move `count` bytes of the chunk into the partial frame, growing it by doubling up to `length`. */
  #keep(length: number, count: number): void {
    if (count === 0) return;
    const needed = this.#partialLength + count;
    if (this.#partial === undefined || this.#partial.length < needed) {
      const roomBytes = Math.max(needed, 2 * (this.#partial?.length ?? 0), PARTIAL_BYTES_INITIAL);
      const grown = new Uint8Array(Math.min(length, roomBytes));
      if (this.#partial !== undefined) grown.set(this.#partial.subarray(0, this.#partialLength));
      this.#partial = grown;
    }
    this.#partial.set(this.#chunk.subarray(this.#at, this.#at + count), this.#partialLength);
    this.#partialLength = needed;
    this.#advance(this.#at + count);
  }

  /** Let go of the chunk once it is used up, so that it is not kept alive by an idle connection. */
  #advance(to: number): void {
    if (to === this.#chunk.length) {
      this.#chunk = NOTHING;
      this.#at = 0;
    } else {
      this.#at = to;
    }
  }
}

/** The 4 bytes that precede a body of this length. */
export function frameHeader(bodyBytes: number, frameBytesMax = FRAME_BYTES_MAX_DEFAULT): Uint8Array {
  if (bodyBytes > frameBytesMax) {
    throw new FrameError('frame-too-large', 'a frame longer than the limit cannot be sent', {
      body_bytes: bodyBytes,
      limit_bytes: frameBytesMax,
    });
  }
  return Uint8Array.of(bodyBytes >>> 24, bodyBytes >>> 16, bodyBytes >>> 8, bodyBytes);
}

/** One frame in one piece: header and a copy of the body. */
export function encodeFrame(body: Uint8Array, frameBytesMax = FRAME_BYTES_MAX_DEFAULT): Uint8Array {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + body.length);
  frame.set(frameHeader(body.length, frameBytesMax));
  frame.set(body, FRAME_HEADER_BYTES);
  return frame;
}
