import { isDeepStrictEqual } from 'node:util';
import { ByteReader, ByteWriter, FormError, fromHex, toHex } from '@countersign/bitcoin';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as w from '../src/index.ts';
import { arbitraryOf, wireText } from './arbitrary.ts';

function encode<T>(codec: w.Codec<T>, value: T): string {
  return toHex(w.encodeValue(codec, value, 100_000));
}

function decode<T>(codec: w.Reads<T>, hex: string): T {
  const reader = new ByteReader(fromHex(hex));
  const value = codec.read(reader);
  reader.end();
  return value;
}

/** Reads the hex to the value and writes it back. */
function expectBoth<T>(codec: w.Codec<T>, hex: string, value: T): void {
  expect(decode(codec, hex)).toStrictEqual(value);
  expect(encode(codec, value)).toBe(hex);
}

const refuses = <T>(codec: w.Reads<T>, hex: string): void =>
  expect(() => decode(codec, hex)).toThrow(FormError);

describe('numbers', () => {
  test('are big-endian unless said otherwise', () => {
    expectBoth(w.u8, 'ff', 255);
    expectBoth(w.u16, '0102', 0x0102);
    expectBoth(w.u32, '01020304', 0x01020304);
    expectBoth(w.u32le, '04030201', 0x01020304);
    expectBoth(w.u64, 'ffffffffffffffff', 2n ** 64n - 1n);
    expectBoth(w.i64(-5n, 5n), 'fffffffffffffffb', -5n);
  });

  test('out of range are not written', () => {
    for (const value of [-1, 256, 1.5, Number.NaN]) expect(() => encode(w.u8, value)).toThrow(FormError);
    for (const value of [-1, 65_536]) expect(() => encode(w.u16, value)).toThrow(FormError);
    for (const value of [-1, 2 ** 32]) expect(() => encode(w.u32, value)).toThrow(FormError);
    for (const value of [-1, 2 ** 32]) expect(() => encode(w.u32le, value)).toThrow(FormError);
    for (const value of [-1n, 2n ** 64n]) expect(() => encode(w.u64, value)).toThrow(FormError);
    for (const value of [-6n, 6n]) expect(() => encode(w.i64(-5n, 5n), value)).toThrow(FormError);
  });

  test('bool is 0 or 1', () => {
    expectBoth(w.bool, '00', false);
    expectBoth(w.bool, '01', true);
    for (const hex of ['02', 'ff', '']) refuses(w.bool, hex);
    expect(() => encode(w.bool, 1 as unknown as boolean)).toThrow(FormError);
  });

  test('amounts end at 21 million coins', () => {
    expectBoth(w.amountSat, '000775f05a074000', 2_100_000_000_000_000n as w.ValueOf<typeof w.amountSat>);
    refuses(w.amountSat, '000775f05a074001');
    expect(decode(w.amountMsat, '1d24b2dfac520000')).toBe(2_100_000_000_000_000_000n);
    refuses(w.amountMsat, '1d24b2dfac520001');
    expect(() => encode(w.amountSat, -1n as w.ValueOf<typeof w.amountSat>)).toThrow(FormError);
  });

  test('CLN’s wrapped push value of a splice is negative', () => {
    expectBoth(w.pushValue, 'fffffffffffe62b7', -105_801n);
    refuses(w.pushValue, '8000000000000000');
  });
});

describe('bytes', () => {
  test('keys begin with 02 or 03', () => {
    const tail = '11'.repeat(32);
    for (const first of ['02', '03']) expect(toHex(decode(w.pubkey, first + tail))).toBe(first + tail);
    for (const first of ['00', '01', '04', 'ff']) refuses(w.nodeId, first + tail);
    refuses(w.pubkey, '02');
  });

  test('are copies, not views of the frame', () => {
    const frame = fromHex('0002aabb');
    const value = w.octets.read(new ByteReader(frame));
    frame.fill(0);
    expect(toHex(value)).toBe('aabb');
  });

  test('with a length end there', () => {
    expectBoth(w.octets, '0002aabb', Uint8Array.of(0xaa, 0xbb));
    expectBoth(w.largeOctets(2), '00000002aabb', Uint8Array.of(0xaa, 0xbb));
    refuses(w.largeOctets(1), '00000002aabb');
    refuses(w.octets, '0003aabb');
    expect(() => encode(w.largeOctets(1), new Uint8Array(2))).toThrow(FormError);
    expect(() => encode(w.octets, 'ab' as unknown as Uint8Array)).toThrow(FormError);
  });

  test('signatures know two sighash bytes and four recovery ids', () => {
    const signature = '07'.repeat(64);
    for (const byte of ['01', '83'])
      expect(encode(w.bitcoinSignature, decode(w.bitcoinSignature, signature + byte))).toBe(signature + byte);
    for (const byte of ['00', '02', '03', '81', 'ff']) refuses(w.bitcoinSignature, signature + byte);
    expect(decode(w.recoverableSignature, `${signature}03`).recoveryId).toBe(3);
    refuses(w.recoverableSignature, `${signature}04`);
  });

  test('feature bits count from the end (BOLT 9)', () => {
    const features = fromHex('401000');
    expect(w.featureBits(features)).toEqual([12, 22]);
    expect(w.hasFeature(features, 12)).toBe(true);
    expect(w.hasFeature(features, 13)).toBe(false);
    expect(w.hasFeature(features, 1000)).toBe(false);
  });
});

describe('containers', () => {
  test('option', () => {
    expectBoth(w.option(w.u16), '00', undefined);
    expectBoth(w.option(w.u16), '01abcd', 0xabcd);
    refuses(w.option(w.u16), '02abcd');
  });

  test('a count beyond the bytes left is refused before an item is read', () => {
    let reads = 0;
    const counting: w.Codec<number> = {
      ...w.u16,
      read(reader) {
        reads++;
        return w.u16.read(reader);
      },
    };
    expect(decode(w.array(counting), '000200010002')).toEqual([1, 2]);
    expect(reads).toBe(2);
    refuses(w.array(counting), '000300010002');
    refuses(w.list(counting), 'ffffffff00010002');
    refuses(w.list(counting, 1), '0000000200010002');
    expect(reads).toBe(2);
    expect(() => encode(w.list(w.u8, 1), [1, 2])).toThrow(FormError);
  });

  test('a list of nothing is a mistake of ours', () => {
    expect(() => w.array(w.struct({}))).toThrow('at least one byte');
    expect(() => w.map(w.constant('a'), w.constant('b'))).toThrow('at least one byte');
  });

  test('struct keeps the order of its keys and names the field that fails', () => {
    const codec = w.struct({ b: w.u8, a: w.struct({ c: w.bool }) });
    expectBoth(codec, '0501', { b: 5, a: { c: true } });
    expect(codec.bytesMin).toBe(2);
    expect(() => decode(codec, '0502')).toThrow(
      expect.objectContaining({ facts: { value: 2, field: 'a.c' } }),
    );
    expect(() => encode(codec, { b: 256, a: { c: true } })).toThrow(
      expect.objectContaining({ facts: { value: 256, max: 255, field: 'b' } }),
    );
  });
});

describe('wirestring', () => {
  test('is UTF-8 ended by zero', () => {
    expectBoth(w.wirestring, '68c3a900', 'hé');
    expectBoth(w.wirestring, '00', '');
    // A byte order mark is text like any other.
    expectBoth(w.wirestring, 'efbbbf6100', '\ufeffa');
  });

  test.each([
    ['without end', '6162'],
    ['overlong', 'c08000'],
    ['surrogate', 'eda08000'],
    ['cut sequence', 'e28200'],
    ['control character', '610a00'],
  ])('%s is refused', (_, hex) => refuses(w.wirestring, hex));

  test('is bounded', () => {
    expectBoth(w.text(2), '616200', 'ab');
    refuses(w.text(2), '61626300');
    expect(() => encode(w.text(2), 'abc')).toThrow(FormError);
    expect(() => encode(w.wirestring, 'a\0b')).toThrow(FormError);
    expect(() => encode(w.wirestring, '\ud800')).toThrow(FormError);
  });

  test('any text comes back', () => {
    fc.assert(fc.property(wireText, (text) => decode(w.wirestring, encode(w.wirestring, text)) === text));
  });
});

describe('BOLT 1 BigSize', () => {
  const bigsize: w.Reads<bigint> = w.bigsize;

  test.each([
    ['00', 0n],
    ['fc', 252n],
    ['fd00fd', 253n],
    ['fdffff', 65_535n],
    ['fe00010000', 65_536n],
    ['feffffffff', 4_294_967_295n],
    ['ff0000000100000000', 4_294_967_296n],
    ['ffffffffffffffffff', 18_446_744_073_709_551_615n],
  ])('%s', (hex, value) => {
    expect(decode(bigsize, hex)).toBe(value);
    const writer = new ByteWriter(16);
    w.bigsize.write(writer, value);
    expect(toHex(writer.finish())).toBe(hex);
  });

  test.each([
    'fd00fc',
    'fe0000ffff',
    'ff00000000ffffffff',
    'fd00',
    'feffff',
    'ffffffffff',
    'fd',
    'fe',
    'ff',
    '',
  ])('%s is refused', (hex) => refuses(bigsize, hex));

  test('has no negative numbers', () => {
    expect(() => w.bigsize.write(new ByteWriter(16), -1n)).toThrow(FormError);
    expect(() => w.bigsize.write(new ByteWriter(16), 2n ** 64n)).toThrow(FormError);
  });
});

describe('BOLT 1 TLV stream', () => {
  const tlvs = w.tlvStream({ b: [4, w.u16], a: [1, w.bool] });

  test('known records, in ascending order', () => {
    expectBoth(tlvs, '', {});
    expectBoth(tlvs, '01010104020102', { a: true, b: 0x0102 });
  });

  test('unknown odd records are kept', () => {
    expectBoth(tlvs, '0101010302aabb04020102fd03e900', {
      a: true,
      b: 0x0102,
      unknown: [
        { type: 3n, value: Uint8Array.of(0xaa, 0xbb) },
        { type: 1001n, value: new Uint8Array(0) },
      ],
    });
  });

  test.each([
    ['unknown even type', '0200'],
    ['wrong order', '04020102010101'],
    ['same type twice', '010101010101'],
    ['unknown type twice', '03000300'],
    ['longer than the bytes left', '030201'],
    ['length beyond everything', '03ffffffffffffffffff'],
    ['known value too short', '040101'],
    ['known value too long', '01020101'],
    ['known value malformed', '010102'],
    ['type without a length', '01'],
    ['type not in its shortest form', 'fd00010101'],
    ['length not in its shortest form', '01fd000101'],
  ])('%s is refused', (_, hex) => refuses(tlvs, hex));

  test('the writer keeps the same rules', () => {
    const value = new Uint8Array(0);
    expect(() => encode(tlvs, { unknown: [{ type: 2n, value }] })).toThrow('unknown odd');
    expect(() => encode(tlvs, { unknown: [{ type: 1n, value }] })).toThrow('unknown odd');
    expect(() =>
      encode(tlvs, {
        unknown: [
          { type: 3n, value },
          { type: 3n, value },
        ],
      }),
    ).toThrow('twice');
  });

  test('types and names are unique', () => {
    expect(() => w.tlvStream({ a: [1, w.u8], b: [1, w.u8] })).toThrow('unique');
    expect(() => w.tlvStream({ unknown: [1, w.u8] })).toThrow('unique');
  });
});

describe('records', () => {
  const side = w.choice({ local: 0, remote: 1 }, 'side');
  const shape = w.variant('kind', {
    open: [1, { number: w.u64, owner: side }],
    closed: [2, { at: w.u32 }],
  });

  test('choice', () => {
    expectBoth(side, '01', 'remote');
    refuses(side, '02');
    expect(() => encode(side, 'toString' as 'local')).toThrow(FormError);
  });

  test('variant', () => {
    expectBoth(shape, '0200000007', { kind: 'closed', at: 7 });
    refuses(shape, '0300000007');
    expect(() => encode(shape, { kind: 'toString' } as unknown as w.ValueOf<typeof shape>)).toThrow(
      FormError,
    );
    expect(() => w.variant('kind', { a: [1, {}], b: [1, {}] })).toThrow('unique');
    expect(shape.bytesMin).toBe(5);
  });

  test('map has one encoding', () => {
    const codec = w.map(w.hexBytes(1), w.u8);
    expectBoth(
      codec,
      '0000000201020a03',
      new Map([
        ['01', 2],
        ['0a', 3],
      ]),
    );
    expect(
      encode(
        codec,
        new Map([
          ['0a', 3],
          ['01', 2],
        ]),
      ),
    ).toBe('0000000201020a03');
    refuses(codec, '000000020a030102');
    refuses(codec, '0000000201020103');
    refuses(codec, 'ffffffff0102');
  });

  test('hex text is lower case and of its length', () => {
    expectBoth(w.hexBytes(2), 'abcd', 'abcd');
    for (const value of ['ABCD', 'ab', 'abcdef', 'zzzz'])
      expect(() => encode(w.hexBytes(2), value)).toThrow(FormError);
  });

  test('mapped', () => {
    const even = w.mapped(
      w.u8,
      (n) => n * 2,
      (n: number) => n / 2,
    );
    expectBoth(even, '04', 8);
  });

  test('an older version is upgraded, a newer one refused', () => {
    const codec = w.versioned(2, w.struct({ count: w.u16 }), {
      1: w.upgrade(w.struct({ count: w.u8 }), ({ count }) => ({ count })),
    });
    expectBoth(codec, '020007', { count: 7 });
    expect(decode(codec, '0107')).toEqual({ count: 7 });
    for (const hex of ['030007', '000007', 'ff0007']) refuses(codec, hex);
  });

  test('any record comes back equal', () => {
    const codec = w.versioned(
      1,
      w.struct({
        states: w.map(w.hexBytes(4), shape),
        sizes: w.list(w.u64),
        note: w.option(w.text(40)),
        proof: w.largeOctets(100),
        end: w.rest,
      }),
    );
    const arbitrary = arbitraryOf(codec.describe) as fc.Arbitrary<w.ValueOf<typeof codec>>;
    fc.assert(
      fc.property(arbitrary, (value) => isDeepStrictEqual(decode(codec, encode(codec, value)), value)),
    );
  });
});
