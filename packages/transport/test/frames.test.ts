import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFrame, FRAME_BYTES_MAX_DEFAULT, FrameDecoder, FrameError } from '../src/index.ts';

function cut(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  const edges = [0, ...at, bytes.length];
  return edges.slice(1).map((end, i) => bytes.slice(edges[i]!, end));
}

function join(frames: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(frames.flatMap((frame) => [...frame]));
}

function takeAll(decoder: FrameDecoder): Uint8Array[] {
  const bodies: Uint8Array[] = [];
  for (let body = decoder.next(); body !== undefined; body = decoder.next()) bodies.push(body);
  return bodies;
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return error instanceof FrameError ? error.code : `not a FrameError: ${String(error)}`;
  }
  return 'nothing thrown';
}

const bodies = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 });

describe('FrameDecoder', () => {
  it('drops frames beyond the limit and stays in step, for every chunking, when told to', () => {
    const LIMIT = 100;
    fc.assert(
      fc.property(bodies, fc.array(fc.nat(), { maxLength: 40 }), (sent, cuts) => {
        const decoder = new FrameDecoder({ frameBytesMax: LIMIT });
        const events: number[] = [];
        decoder.skipOversized((announcedBytes) => events.push(announcedBytes));
        for (const chunk of cut(join(sent.map((body) => encodeFrame(body))), cuts)) {
          decoder.push(chunk);
          for (const body of takeAll(decoder)) events.push(body.length);
        }
        decoder.end();
        expect(events).toEqual(sent.map((body) => body.length));
      }),
    );
  });

  it('holds nothing of a frame it drops, and knows a stream that ends inside one', () => {
    const decoder = new FrameDecoder({ frameBytesMax: 10 });
    const announced: number[] = [];
    decoder.skipOversized((bytes) => announced.push(bytes));
    decoder.push(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1, 2, 3));
    expect(decoder.next()).toBeUndefined();
    expect(announced).toEqual([0xffff_ffff]);
    expect(decoder.pendingBytes).toBe(0);
    expect(codeOf(() => decoder.end())).toBe('frame-truncated');
  });

  it('gives the same bodies for every chunking', () => {
    fc.assert(
      fc.property(bodies, fc.array(fc.nat(), { maxLength: 40 }), (sent, cuts) => {
        const decoder = new FrameDecoder();
        const got: Uint8Array[] = [];
        for (const chunk of cut(join(sent.map((body) => encodeFrame(body))), cuts)) {
          decoder.push(chunk);
          got.push(...takeAll(decoder));
        }
        decoder.end();
        expect(got).toEqual(sent);
      }),
    );
  });

  it('gives the same bodies when chunks are pushed faster than bodies are taken', () => {
    fc.assert(
      fc.property(bodies, fc.array(fc.nat(), { maxLength: 40 }), fc.array(fc.nat(3)), (sent, cuts, takes) => {
        const decoder = new FrameDecoder();
        const got: Uint8Array[] = [];
        cut(join(sent.map((body) => encodeFrame(body))), cuts).forEach((chunk, i) => {
          decoder.push(chunk);
          for (let left = takes[i] ?? 0; left > 0; left -= 1) {
            const body = decoder.next();
            if (body !== undefined) got.push(body);
          }
        });
        got.push(...takeAll(decoder));
        decoder.end();
        expect(got).toEqual(sent);
      }),
    );
  });

  it('reports a stream cut at any byte inside a frame', () => {
    const whole = encodeFrame(Uint8Array.of(1, 2, 3, 4, 5));
    for (let length = 1; length < whole.length; length += 1) {
      for (const step of [1, length]) {
        const decoder = new FrameDecoder();
        for (let at = 0; at < length; at += step) {
          decoder.push(whole.slice(at, at + step));
          expect(decoder.next()).toBeUndefined();
        }
        expect(decoder.pendingBytes).toBe(length);
        expect(codeOf(() => decoder.end())).toBe('frame-truncated');
      }
    }
  });

  it('accepts a body of exactly the limit and refuses one byte more by its header alone', () => {
    const decoder = new FrameDecoder({ frameBytesMax: 10 });
    decoder.push(encodeFrame(new Uint8Array(10)));
    expect(decoder.next()).toHaveLength(10);
    decoder.push(Uint8Array.of(0, 0, 0, 11));
    expect(codeOf(() => decoder.next())).toBe('frame-too-large');
  });

  it('reads the length as unsigned', () => {
    const decoder = new FrameDecoder();
    decoder.push(Uint8Array.of(0xff, 0xff, 0xff, 0xff));
    expect(codeOf(() => decoder.next())).toBe('frame-too-large');
  });

  it('does not set memory aside for an announcement', () => {
    const before = process.memoryUsage().arrayBuffers;
    const decoders = Array.from({ length: 200 }, () => {
      const decoder = new FrameDecoder();
      decoder.push(Uint8Array.of(0, 0x40, 0, 0, 7));
      expect(decoder.next()).toBeUndefined();
      return decoder;
    });
    expect(decoders[0]?.pendingBytes).toBe(5);
    const grownBytes = process.memoryUsage().arrayBuffers - before;
    expect(grownBytes).toBeLessThan(8 * FRAME_BYTES_MAX_DEFAULT);
  });

  it('does not copy a body that lies within one chunk', () => {
    const chunk = encodeFrame(Uint8Array.of(9, 8, 7));
    const decoder = new FrameDecoder();
    decoder.push(chunk);
    expect(decoder.next()?.buffer).toBe(chunk.buffer);
  });

  it('assembles a body of the limit from single bytes in time proportional to its length', () => {
    const body = new Uint8Array(256 * 1024).map((_, i) => i);
    const frame = encodeFrame(body);
    const decoder = new FrameDecoder();
    let got: Uint8Array | undefined;
    for (let at = 0; at < frame.length; at += 1) {
      decoder.push(frame.subarray(at, at + 1));
      got = decoder.next();
    }
    expect(got).toEqual(body);
  });
});

describe('encodeFrame', () => {
  it('writes the length big-endian before the body', () => {
    expect([...encodeFrame(Uint8Array.of(0, 109))]).toEqual([0, 0, 0, 2, 0, 109]);
    expect([...encodeFrame(new Uint8Array(0x010203)).subarray(0, 4)]).toEqual([0, 1, 2, 3]);
  });

  it('refuses a body above the limit', () => {
    expect(codeOf(() => encodeFrame(new Uint8Array(11), 10))).toBe('frame-too-large');
  });
});
