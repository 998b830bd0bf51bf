/**
 * Bounds-checked reading and writing of bytes. Every length is checked against what is left before anything is
 * allocated, so a hostile length field costs nothing.
 */
import { FormError, invariant } from './error.ts';

/** No subclass, whose methods may do other things. */
const isPlain = (bytes: Uint8Array): boolean => Object.getPrototypeOf(bytes) === Uint8Array.prototype;

export class ByteReader {
  readonly bytes: Uint8Array;
  /** Made when it is needed: most readers are of a few bytes. */
  #view: DataView | undefined;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    // A Node Buffer's `slice` shares memory, so a value taken from one would change when its frame is reused.
    this.bytes = isPlain(bytes) ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get #words(): DataView {
    this.#view ??= new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    return this.#view;
  }

  get offset(): number {
    return this.#offset;
  }
  get remaining(): number {
    return this.bytes.length - this.#offset;
  }

  /** Advance past `length` bytes and return where they began; `FormError` when fewer are left. */
  #take(length: number, what: string): number {
    if (length > this.remaining) {
      throw new FormError(`truncated: ${what}`, {
        offset: this.#offset,
        needed: length,
        left: this.remaining,
      });
    }
    const at = this.#offset;
    this.#offset += length;
    return at;
  }

  u8(what = 'u8'): number {
    return this.bytes[this.#take(1, what)]!;
  }
  u16be(what = 'u16'): number {
    const at = this.#take(2, what);
    return (this.bytes[at]! << 8) | this.bytes[at + 1]!;
  }
  u32be(what = 'u32'): number {
    const at = this.#take(4, what);
    const { bytes } = this;
    return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
  }
  u64be(what = 'u64'): bigint {
    return this.#words.getBigUint64(this.#take(8, what));
  }
  u16le(what = 'u16le'): number {
    const at = this.#take(2, what);
    return this.bytes[at]! | (this.bytes[at + 1]! << 8);
  }
  u32le(what = 'u32le'): number {
    return this.i32le(what) >>> 0;
  }
  i32le(what = 'i32le'): number {
    const at = this.#take(4, what);
    const { bytes } = this;
    return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  }
  u64le(what = 'u64le'): bigint {
    return this.#words.getBigUint64(this.#take(8, what), true);
  }

  /** A copy of the next `length` bytes: the caller may keep it after the frame is reused. */
  take(length: number, what = 'bytes'): Uint8Array {
    const at = this.#take(length, what);
    return this.bytes.slice(at, at + length);
  }
  /** A view of the next `length` bytes, no copy: only for use within the frame's life. */
  view(length: number, what = 'bytes'): Uint8Array {
    const at = this.#take(length, what);
    return this.bytes.subarray(at, at + length);
  }
  rest(): Uint8Array {
    return this.take(this.remaining, 'rest');
  }
  /** `FormError` when bytes are left over. */
  end(what = 'value'): void {
    if (this.remaining !== 0) {
      throw new FormError(`trailing bytes after ${what}`, { offset: this.#offset, left: this.remaining });
    }
  }
}

/** Where a writer writes. */
interface Room {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

const roomOf = (length: number): Room => {
  const bytes = new Uint8Array(length);
  return { bytes, view: new DataView(bytes.buffer) };
};

/** What writers begin with comes from here, and comes back wiped: nobody else ever holds it. */
const ROOM_BYTES = 4096;
const ROOMS_MAX = 8;
const rooms: Room[] = [];
const NO_ROOM = new Uint8Array(0);

/** Grows by doubling up to `limit` bytes; beyond it `FormError`. */
export class ByteWriter {
  #buffer: Uint8Array;
  #view: DataView;
  /** Lent, until it has grown beyond it or is finished. */
  #room: Room | null;
  #length = 0;
  #isFinished = false;
  readonly #limit: number;

  constructor(sizeHint = 256, limit = 64 * 1024 * 1024) {
    const isLent = sizeHint <= ROOM_BYTES;
    const room = (isLent ? rooms.pop() : undefined) ?? roomOf(isLent ? ROOM_BYTES : sizeHint);
    this.#room = isLent ? room : null;
    this.#buffer = room.bytes;
    this.#view = room.view;
    this.#limit = limit;
  }

  get length(): number {
    return this.#length;
  }

  /** May replace the buffer: read `#view` and `#buffer` only after it. */
  #reserve(length: number): number {
    const at = this.#length;
    const end = at + length;
    if (end > this.#limit)
      throw new FormError('value too large to encode', { bytes: end, limit: this.#limit });
    if (end > this.#buffer.length) this.#grow(end);
    this.#length = end;
    return at;
  }

  #grow(bytesMin: number): void {
    invariant(!this.#isFinished, 'a writer was finished');
    const grown = roomOf(Math.max(bytesMin, this.#buffer.length * 2));
    grown.bytes.set(this.#buffer.subarray(0, this.#length));
    this.#giveBack();
    this.#buffer = grown.bytes;
    this.#view = grown.view;
  }

  u8(value: number): this {
    const at = this.#reserve(1);
    this.#view.setUint8(at, value);
    return this;
  }
  u16be(value: number): this {
    const at = this.#reserve(2);
    this.#view.setUint16(at, value);
    return this;
  }
  u32be(value: number): this {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value);
    return this;
  }
  u64be(value: bigint): this {
    const at = this.#reserve(8);
    this.#view.setBigUint64(at, value);
    return this;
  }
  u16le(value: number): this {
    const at = this.#reserve(2);
    this.#view.setUint16(at, value, true);
    return this;
  }
  u32le(value: number): this {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, true);
    return this;
  }
  i32le(value: number): this {
    const at = this.#reserve(4);
    this.#view.setInt32(at, value, true);
    return this;
  }
  u64le(value: bigint): this {
    const at = this.#reserve(8);
    this.#view.setBigUint64(at, value, true);
    return this;
  }
  put(bytes: Uint8Array): this {
    const at = this.#reserve(bytes.length);
    this.#buffer.set(bytes, at);
    return this;
  }
  /** What was written, once: nothing can be written any more. */
  finish(): Uint8Array {
    invariant(!this.#isFinished, 'a writer was finished');
    this.#isFinished = true;
    const written = this.#buffer.slice(0, this.#length);
    this.#giveBack();
    this.#buffer = NO_ROOM;
    return written;
  }

  #giveBack(): void {
    const room = this.#room;
    if (room === null) return;
    this.#room = null;
    room.bytes.fill(0, 0, this.#length);
    if (rooms.length < ROOMS_MAX) rooms.push(room);
  }
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Not constant-time: for public values only. Secrets compare through `Secret.equals`. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Lexicographic, shorter first on a tie: the order BIP 69 and BOLT 3 use for scripts. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i++) text += HEX[bytes[i]!]!;
  return text;
}

/** Strict: even length, hex digits only. Throws `FormError`. */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text))
    throw new FormError('not a hex string', { length: text.length });
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}
