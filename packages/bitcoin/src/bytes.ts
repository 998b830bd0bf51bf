/**
 * Bounds-checked reading and writing of bytes. Every length is checked against what is left before anything is
 * allocated, so a hostile length field costs nothing.
 */
import { FormError } from './error.ts';

export class ByteReader {
  readonly bytes: Uint8Array;
  #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    // A Node Buffer's `slice` shares memory, so a value taken from one would change when its frame is reused.
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
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
    return this.#view.getUint16(this.#take(2, what));
  }
  u32be(what = 'u32'): number {
    return this.#view.getUint32(this.#take(4, what));
  }
  u64be(what = 'u64'): bigint {
    return this.#view.getBigUint64(this.#take(8, what));
  }
  u16le(what = 'u16le'): number {
    return this.#view.getUint16(this.#take(2, what), true);
  }
  u32le(what = 'u32le'): number {
    return this.#view.getUint32(this.#take(4, what), true);
  }
  i32le(what = 'i32le'): number {
    return this.#view.getInt32(this.#take(4, what), true);
  }
  u64le(what = 'u64le'): bigint {
    return this.#view.getBigUint64(this.#take(8, what), true);
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

/** Grows by doubling up to `limit` bytes; beyond it `FormError`. */
export class ByteWriter {
  #buffer: Uint8Array;
  #view: DataView;
  #length = 0;
  readonly #limit: number;

  constructor(sizeHint = 256, limit = 64 * 1024 * 1024) {
    this.#buffer = new Uint8Array(sizeHint);
    this.#view = new DataView(this.#buffer.buffer);
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
    if (end > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(end, this.#buffer.length * 2));
      grown.set(this.#buffer.subarray(0, at));
      this.#buffer = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#length = end;
    return at;
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
  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.#buffer.slice(0, this.#length);
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
  for (const byte of bytes) text += HEX[byte];
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
