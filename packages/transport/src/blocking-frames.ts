/**
 * Frames on a blocking descriptor, one at a time, the way lightningd itself talks to its hsmd. For whoever plays
 * lightningd or a subdaemon and must receive descriptors in between, which a socket read by libuv would lose.
 */
import { readSync, writeSync } from 'node:fs';
import { FrameError } from './error.ts';
import { encodeFrame, FRAME_BYTES_MAX_DEFAULT, FRAME_HEADER_BYTES } from './frames.ts';

/** Write one frame; returns when the kernel has it all. */
export function writeFrameBlocking(
  descriptor: number,
  body: Uint8Array,
  frameBytesMax = FRAME_BYTES_MAX_DEFAULT,
): void {
  const frame = encodeFrame(body, frameBytesMax);
  let written = 0;
  while (written < frame.length) written += writeSync(descriptor, frame, written);
}

/** Read exactly one frame, not a byte more; undefined when the peer hung up before it. */
export function readFrameBlocking(
  descriptor: number,
  frameBytesMax = FRAME_BYTES_MAX_DEFAULT,
): Uint8Array | undefined {
  const header = new Uint8Array(FRAME_HEADER_BYTES);
  const headerBytes = readFully(descriptor, header);
  if (headerBytes === 0) return undefined;
  if (headerBytes < header.length) throw truncated(headerBytes);
  const length = new DataView(header.buffer).getUint32(0);
  if (length > frameBytesMax) {
    throw new FrameError('frame-too-large', 'a frame longer than the limit was announced', {
      announced_bytes: length,
      limit_bytes: frameBytesMax,
    });
  }
  const body = new Uint8Array(length);
  const bodyBytes = readFully(descriptor, body);
  if (bodyBytes < length) throw truncated(header.length + bodyBytes);
  return body;
}

/** How much of `into` was filled before the stream ended. A reset by the peer is an end too. */
function readFully(descriptor: number, into: Uint8Array): number {
  let filled = 0;
  while (filled < into.length) {
    const count = readOnce(descriptor, into, filled);
    if (count === 0) break;
    filled += count;
  }
  return filled;
}

function readOnce(descriptor: number, into: Uint8Array, at: number): number {
  try {
    return readSync(descriptor, into, at, into.length - at, null);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ECONNRESET') return 0;
    throw error;
  }
}

function truncated(pendingBytes: number): FrameError {
  return new FrameError('frame-truncated', 'the stream ended inside a frame', {
    pending_bytes: pendingBytes,
  });
}
