/**
 * A value encoded on its own, with room estimated from the value first, so that the bytes are allocated once however
 * large it is.
 */
import { ByteWriter } from '@countersign/bitcoin';
import type { Codec } from './codec.ts';

/** More than any number, count, length, tag or version byte takes. */
const PART_BYTES = 9;
/** A character of UTF-16 takes at most three bytes of UTF-8. */
const CHARACTER_BYTES = 3;

/** At least as many bytes as any codec of this package writes for the value. */
function roomFor(value: unknown): number {
  if (typeof value === 'string') return PART_BYTES + CHARACTER_BYTES * value.length;
  if (typeof value !== 'object' || value === null) return PART_BYTES;
  // Bytes in a PSBT or a TLV stream stand behind a type and a length.
  if (value instanceof Uint8Array) return 2 * PART_BYTES + value.length;
  let room = 2 * PART_BYTES;
  if (Array.isArray(value)) {
    for (const item of value) room += roomFor(item);
  } else if (value instanceof Map) {
    for (const [key, item] of value) room += roomFor(key) + roomFor(item);
  } else {
    for (const item of Object.values(value)) room += roomFor(item);
  }
  return room;
}

/** A writer with room for `value`, refusing to grow beyond `bytesMax`. */
export function writerFor(value: unknown, bytesMax: number): ByteWriter {
  return new ByteWriter(Math.min(roomFor(value), bytesMax), bytesMax);
}

/** Throws `FormError` when the value has no encoding or needs more than `bytesMax` bytes. */
export function encodeValue<T>(codec: Codec<T>, value: T, bytesMax: number): Uint8Array {
  const writer = writerFor(value, bytesMax);
  codec.write(writer, value);
  return writer.finish();
}
