/**
 * The commitments LDK writes, read back. LDK's own bytes are read in the suite with whole nodes (`test/ldk`); here the form is written
 * by hand, field by field, and broken.
 */
import { ByteWriter, concat, FormError } from '@countersign/bitcoin';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  LDK_FIRST_INDEX,
  numberOf,
  readCommitment,
  readHolderCommitment,
} from '../src/signer/commitment-content.ts';

function bigSize(value: number): Uint8Array {
  const writer = new ByteWriter();
  if (value < 0xfd) writer.u8(value);
  else writer.u8(0xfd).u16be(value);
  return writer.finish();
}

type Fields = readonly (readonly [type: number, value: Uint8Array])[];

function stream(fields: Fields): Uint8Array {
  const body = concat(...fields.map(([type, value]) => concat(bigSize(type), bigSize(value.length), value)));
  return concat(bigSize(body.length), body);
}

const u64 = (value: bigint): Uint8Array => new ByteWriter().u64be(value).finish();
const u32 = (value: number): Uint8Array => new ByteWriter().u32be(value).finish();
const filled = (bytes: number, value: number): Uint8Array => new Uint8Array(bytes).fill(value);

const htlcFields = (offered: number, outputIndex: number): Fields => [
  [0, Uint8Array.of(offered)],
  [2, u64(1_234_000n)],
  [4, u32(777)],
  [6, filled(32, 6)],
  [8, u32(outputIndex)],
];

const keys = stream([
  [0, filled(33, 2)],
  [2, filled(33, 3)],
  [4, filled(33, 2)],
  [6, filled(33, 3)],
  [8, filled(33, 2)],
]);

function commitmentFields(htlcs: readonly Uint8Array[] = []): Fields {
  return [
    [0, u64(LDK_FIRST_INDEX - 5n)],
    [1, Uint8Array.of(0, 144)],
    [2, u64(600_000n)],
    [4, u64(0n)],
    [6, u32(1000)],
    [8, keys],
    [
      10,
      stream([
        [0, filled(90, 1)],
        [2, filled(32, 7)],
      ]),
    ],
    [12, concat(...htlcs)],
    [15, Uint8Array.of(0x40, 0x10, 0x00)],
  ];
}

const two = () => [stream(htlcFields(1, 2)), stream(htlcFields(0, 3))];
const holder = (signatures: Uint8Array): Uint8Array =>
  stream([
    [0, stream(commitmentFields(two()))],
    [2, filled(64, 9)],
    [4, Uint8Array.of(1)],
    [6, signatures],
  ]);

describe('a commitment', () => {
  it('has number, values, point and HTLCs', () => {
    expect(readCommitment(stream(commitmentFields(two())))).toEqual({
      number: 5n,
      toBroadcasterSat: 600_000n,
      toCountersignatorySat: 0n,
      feeratePerKw: 1000,
      perCommitmentPoint: filled(33, 2),
      txid: filled(32, 7),
      htlcs: [2, 3].map((outputIndex) => ({
        isOfferedByBroadcaster: outputIndex === 2,
        amountMsat: 1_234_000n,
        cltvExpiryBlocks: 777,
        paymentHash: filled(32, 6),
        outputIndex,
      })),
    });
  });

  it('of ours has the peer’s signatures, one for each HTLC', () => {
    const read = readHolderCommitment(holder(concat(filled(64, 1), filled(64, 2))));
    expect(read.counterpartySignature).toEqual(filled(64, 9));
    expect(read.counterpartyHtlcSignatures).toEqual([filled(64, 1), filled(64, 2)]);
    expect(() => readHolderCommitment(holder(filled(64, 1)))).toThrow(FormError);
  });

  it('counts up where LDK counts down', () => {
    expect([numberOf(LDK_FIRST_INDEX), numberOf(LDK_FIRST_INDEX - 1n)]).toEqual([0n, 1n]);
  });
});

describe('bytes that are none', () => {
  const without = (type: number): Fields => commitmentFields().filter(([one]) => one !== type);

  it.each([0, 2, 4, 6, 8, 10])('lack field %i', (type) => {
    expect(() => readCommitment(stream(without(type)))).toThrow(FormError);
  });

  it.each<[string, Uint8Array]>([
    ['an unknown even field', stream([...commitmentFields(), [16, Uint8Array.of(1)]])],
    ['fields out of order', stream([...commitmentFields().slice(1), [0, u64(LDK_FIRST_INDEX)]])],
    ['a field twice', stream([...commitmentFields().slice(0, 1), ...commitmentFields()])],
    ['a number beyond 48 bits', stream([[0, u64(1n << 48n)], ...without(0)])],
    ['bytes behind it', concat(stream(commitmentFields()), Uint8Array.of(0))],
    ['a length that is not the shortest', concat(Uint8Array.of(0xfd, 0, 1), Uint8Array.of(0))],
    ['an HTLC without an output', stream(commitmentFields([stream(htlcFields(1, 2).slice(0, 4))]))],
    ['an HTLC cut off', stream(commitmentFields([stream(htlcFields(1, 2)).slice(0, 20)]))],
    [
      'more HTLCs than fit',
      stream(commitmentFields(Array.from({ length: 967 }, () => stream(htlcFields(1, 2))))),
    ],
    ['nothing', new Uint8Array(0)],
  ])('have %s', (_, bytes) => {
    expect(() => readCommitment(bytes)).toThrow(FormError);
  });

  it('skip an unknown odd field', () => {
    expect(readCommitment(stream([...commitmentFields(), [17, Uint8Array.of(1)]])).number).toBe(5n);
  });

  it('never lead to anything but a FormError', () => {
    const whole = holder(concat(filled(64, 1), filled(64, 2)));
    const change = fc.record({ at: fc.nat(whole.length - 1), value: fc.nat(255) });
    const broken = fc
      .tuple(fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(whole.length))
      .map(([changes, length]) => {
        const bytes = whole.slice();
        for (const { at, value } of changes) bytes[at] = value;
        return length % 3 === 0 ? bytes.slice(0, length) : bytes;
      });
    fc.assert(
      fc.property(fc.oneof(broken, fc.uint8Array({ maxLength: 300 })), (bytes) => {
        try {
          readHolderCommitment(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(FormError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
