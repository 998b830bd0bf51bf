/**
 * CLN's wirestring: text ended by a zero byte. Valid UTF-8, bounded, and without control characters, which CLN refuses
 * in the strings it reads.
 */
import { FormError } from '@countersign/bitcoin';
import type { Codec } from './codec.ts';

/** The longest text of any message, in bytes without the closing zero. */
export const WIRESTRING_BYTES_MAX = 65_535;

// `ignoreBOM` keeps a leading byte order mark in the text, so that it is written back.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

function checkText(bytes: Uint8Array, bytesMax: number): void {
  if (bytes.length > bytesMax) throw new FormError('text too long', { bytes: bytes.length, max: bytesMax });
  for (const byte of bytes) if (byte < 0x20) throw new FormError('control character in text', { byte });
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new FormError('text is not UTF-8', { bytes: bytes.length });
  }
}

function textCodec(bytesMax: number): Codec<string> {
  return {
    read(reader) {
      const at = reader.offset;
      const length = reader.bytes.subarray(at, at + bytesMax + 1).indexOf(0);
      if (length < 0) throw new FormError('text without end', { offset: at, max: bytesMax });
      const bytes = reader.view(length);
      checkText(bytes, bytesMax);
      reader.u8();
      return decodeUtf8(bytes);
    },
    write(writer, value) {
      if (typeof value !== 'string' || !value.isWellFormed()) throw new FormError('not a well-formed text');
      const bytes = encoder.encode(value);
      checkText(bytes, bytesMax);
      writer.put(bytes).u8(0);
    },
    describe: { kind: 'text', bytesMax },
    bytesMin: 1,
  };
}

export const wirestring: Codec<string> = textCodec(WIRESTRING_BYTES_MAX);

/** Text of at most `bytesMax` bytes of UTF-8. */
export const text = (bytesMax: number): Codec<string> => textCodec(bytesMax);
