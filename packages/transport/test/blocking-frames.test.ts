import { writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { closeDescriptor, readFrameBlocking, socketPair, writeFrameBlocking } from '../src/index.ts';

describe('blocking frames', () => {
  it('reads exactly one frame and leaves the next byte', () => {
    const [a, b] = socketPair();
    writeFrameBlocking(a, Uint8Array.of(1));
    writeFrameBlocking(a, Uint8Array.of(2, 2));
    expect([...(readFrameBlocking(b) ?? [])]).toEqual([1]);
    expect([...(readFrameBlocking(b) ?? [])]).toEqual([2, 2]);
    closeDescriptor(a);
    expect(readFrameBlocking(b)).toBeUndefined();
    closeDescriptor(b);
  });

  it.each([[[0, 0]], [[0, 0, 0, 3, 1]]])('tells a stream cut inside a frame: %j', (bytes) => {
    const [a, b] = socketPair();
    writeSync(a, Uint8Array.from(bytes));
    closeDescriptor(a);
    expect(() => readFrameBlocking(b)).toThrow(/ended inside a frame/);
    closeDescriptor(b);
  });

  it('refuses a frame above the limit in both directions', () => {
    const [a, b] = socketPair();
    expect(() => writeFrameBlocking(a, new Uint8Array(9), 8)).toThrow(/longer than the limit/);
    writeFrameBlocking(a, new Uint8Array(9), 9);
    expect(() => readFrameBlocking(b, 8)).toThrow(/longer than the limit/);
    closeDescriptor(a);
    closeDescriptor(b);
  });
});
