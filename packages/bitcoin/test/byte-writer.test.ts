import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { ByteReader, ByteWriter, FormError, InvariantError } from '../src/index.ts';

/** Each write: method name, value, and how to read it back. */
const write = fc.oneof(
  fc.record({ as: fc.constant('u8' as const), value: fc.integer({ min: 0, max: 0xff }) }),
  fc.record({ as: fc.constant('u16be' as const), value: fc.integer({ min: 0, max: 0xffff }) }),
  fc.record({ as: fc.constant('u32be' as const), value: fc.integer({ min: 0, max: 0xffff_ffff }) }),
  fc.record({ as: fc.constant('u16le' as const), value: fc.integer({ min: 0, max: 0xffff }) }),
  fc.record({ as: fc.constant('u32le' as const), value: fc.integer({ min: 0, max: 0xffff_ffff }) }),
  fc.record({ as: fc.constant('u64be' as const), value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
  fc.record({ as: fc.constant('u64le' as const), value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
  fc.record({ as: fc.constant('put' as const), value: fc.uint8Array({ maxLength: 600 }) }),
);

describe('ByteReader', () => {
  test('what is taken from a Node Buffer is a copy: reusing the frame changes nothing', () => {
    const frame = Buffer.from([1, 2, 3, 4]);
    const taken = new ByteReader(frame).take(4);
    frame.fill(0);
    expect([...taken]).toEqual([1, 2, 3, 4]);
    expect(taken.constructor).toBe(Uint8Array);
  });
});

describe('ByteWriter', () => {
  test('what is written is read back, however small the buffer began', () => {
    fc.assert(
      fc.property(fc.array(write, { maxLength: 40 }), fc.integer({ min: 1, max: 64 }), (writes, sizeHint) => {
        const writer = new ByteWriter(sizeHint);
        for (const { as, value } of writes) (writer[as] as (v: unknown) => unknown).call(writer, value);
        const reader = new ByteReader(writer.finish());
        for (const { as, value } of writes) {
          if (as === 'put') expect(reader.take(value.length)).toEqual(value);
          else expect(reader[as]()).toBe(value);
        }
        reader.end();
      }),
    );
  });

  test('is finished once, and nothing can be written any more', () => {
    const writer = new ByteWriter().u16be(7);
    expect(writer.finish()).toEqual(Uint8Array.of(0, 7));
    expect(() => writer.u8(1)).toThrow(InvariantError);
    expect(() => writer.finish()).toThrow(InvariantError);
  });

  test('shares no bytes with another one, whatever is under way, finished or given up', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ bytes: fc.uint8Array({ maxLength: 6000 }), isFinished: fc.boolean() }), {
          maxLength: 24,
        }),
        (all) => {
          const writers = all.map(({ bytes }) => new ByteWriter(16).put(bytes));
          const written = writers.map((writer, i) => (all[i]!.isFinished ? writer.finish() : null));
          const more = all.map(({ bytes }) => new ByteWriter(16).u8(1).put(bytes));
          for (const [i, { bytes }] of all.entries()) {
            expect(written[i] ?? writers[i]!.finish()).toEqual(bytes);
            expect(more[i]!.finish()).toEqual(Uint8Array.of(1, ...bytes));
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  test('leaves nothing of what was written where the next one writes', () => {
    const lent: Uint8Array[] = [];
    const from = Uint8Array.prototype.slice;
    const spied = vi.spyOn(Uint8Array.prototype, 'slice').mockImplementation(function (
      this: Uint8Array,
      ...range
    ) {
      lent.push(this);
      return from.apply(this, range);
    });
    new ByteWriter(16).put(new Uint8Array(100).fill(7)).finish();
    spied.mockRestore();
    expect(lent).toHaveLength(1);
    expect(lent[0]!.every((byte) => byte === 0)).toBe(true);
  });

  test('refuses to grow past its limit and keeps what it had', () => {
    const writer = new ByteWriter(1, 4).u16be(7);
    expect(() => writer.put(new Uint8Array(3))).toThrow(FormError);
    expect(writer.finish()).toEqual(Uint8Array.of(0, 7));
  });
});
