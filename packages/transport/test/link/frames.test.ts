import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LinkError } from '../../src/link/error.ts';
import {
  BYE,
  type ByeReason,
  decodeLinkFrame,
  encodeLinkFrame,
  type LinkFrame,
} from '../../src/link/frames.ts';
import type { LinkAnswer, LinkClient } from '../../src/link/protocol.ts';
import { decodeRefusal, encodeRefusal } from '../../src/link/refusal-text.ts';

const exactly = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const id = fc.maxSafeNat();
const ids = fc.array(id, { maxLength: 100 });
const body = fc.uint8Array({ maxLength: 3_000 });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const client: fc.Arbitrary<LinkClient> = fc.record({
  peerId: fc.option(exactly(33)),
  dbid: u64,
  permissions: u64,
});
const fact = fc.oneof(
  fc.string(),
  fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }),
  fc.boolean(),
  fc.double(),
);
const name = fc.string({ maxLength: 60 }).filter((one) => one !== '__proto__');
const refusal = fc.record({
  code: name,
  tag: name,
  request: name,
  channel: fc.option(name),
  text: fc.string({ unit: 'grapheme', maxLength: 300 }),
  temporary: fc.boolean(),
  auditId: fc.option(fc.maxSafeNat()),
  facts: fc.dictionary(name, fact, { maxKeys: 8, noNullPrototype: true }),
});
const answer: fc.Arbitrary<LinkAnswer> = fc.oneof(
  fc.record({ kind: fc.constant('reply' as const), body }),
  fc.record({ kind: fc.constant('refused' as const), refusal }),
);
const pin = exactly(32).map((one) => Buffer.from(one).toString('hex'));

const frame: fc.Arbitrary<LinkFrame> = fc.oneof(
  fc.record({
    kind: fc.constant('hello' as const),
    versionMin: fc.nat(65_535),
    versionMax: fc.nat(65_535),
    instance: exactly(16),
    requestsMax: u32,
    requestBytesMax: u32,
    feedsMax: u32,
    frameBytesMax: u32,
  }),
  fc.record({
    kind: fc.constant('welcome' as const),
    version: fc.nat(65_535),
    run: exactly(16),
    isActive: fc.boolean(),
    frameBytesMax: u32,
    outstanding: ids,
  }),
  fc.record({ kind: fc.constant('promote' as const), outstanding: ids }),
  fc.record({
    kind: fc.constant('request' as const),
    id,
    asker: fc.oneof(
      fc.record({ kind: fc.constant('client' as const), client }),
      fc.record({ kind: fc.constant('feed' as const), session: u32 }),
    ),
    body,
  }),
  fc.record({ kind: fc.constant('feed-end' as const), id, session: u32 }),
  fc.record({ kind: fc.constantFrom('answer' as const, 'greeting-answer' as const), id, answer }),
  fc.record({ kind: fc.constant('ack' as const), ids }),
  fc.record({ kind: fc.constant('greeting' as const), id, client, body }),
  fc.record({ kind: fc.constantFrom('ping' as const, 'pong' as const), nonce: u32 }),
  fc.record({ kind: fc.constantFrom('next-key' as const, 'next-key-known' as const), pin }),
  fc.record({
    kind: fc.constant('bye' as const),
    reason: fc.constantFrom(...(Object.keys(BYE) as ByeReason[])),
  }),
);

describe('frames of the link', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(frame, (value) => {
        const bytes = encodeLinkFrame(value);
        expect(bytes.readUInt32BE(0)).toBe(bytes.length - 4);
        expect(decodeLinkFrame(Uint8Array.from(bytes.subarray(4)))).toEqual(value);
      }),
      { numRuns: 1_000 },
    );
  });

  it('are never something else than a frame or a LinkError', () => {
    const check = (bytes: Uint8Array): void => {
      try {
        decodeLinkFrame(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(LinkError);
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), check), { numRuns: 2_000 });
    fc.assert(
      fc.property(frame, fc.nat(), fc.nat(255), (value, at, byte) => {
        const bytes = Uint8Array.from(encodeLinkFrame(value).subarray(4));
        bytes[at % bytes.length] = byte;
        check(bytes);
      }),
      { numRuns: 2_000 },
    );
  });

  it('have no byte too many or too few', () => {
    fc.assert(
      fc.property(frame, (value) => {
        const isOpenEnded = 'body' in value || 'answer' in value;
        const bytes = Uint8Array.from(encodeLinkFrame(value).subarray(4));
        if (!isOpenEnded) {
          expect(() => decodeLinkFrame(Uint8Array.from([...bytes, 0]))).toThrow(/too long/);
          expect(() => decodeLinkFrame(bytes.subarray(0, -1))).toThrow(LinkError);
        }
      }),
    );
    expect(() => decodeLinkFrame(new Uint8Array(0))).toThrow(/too short/);
  });

  it.each([
    ['no known kind', [99], /no known kind/],
    ['neither yes nor no', [2, 0, 1, ...Array<number>(16).fill(0), 2, 0, 0], /neither yes nor no/],
    ['a number nobody gives', [5, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0], /beyond any/],
    ['an unknown asker', [4, 0, 0, 0, 0, 0, 0, 0, 1, 7], /nobody asks/],
    ['an unknown answer', [6, 0, 0, 0, 0, 0, 0, 0, 1, 7], /no known kind/],
    ['a feeder that greets', [8, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 1], /greets nobody/],
    ['a list beyond its limit', [7, 0xff, 0xff], /beyond its limit/],
    ['an end without reason', [14, 99], /without a known reason/],
  ] as const)('are refused: %s', (_name, bytes, message) => {
    expect(() => decodeLinkFrame(Uint8Array.from(bytes))).toThrow(message);
  });
});

describe('a refusal as text', () => {
  const plain = {
    code: 'policy',
    tag: 'policy-x',
    request: 'hsmd_x',
    channel: null,
    text: 'no',
    temporary: false,
    auditId: null,
    facts: {},
  };

  it('is cut to what fits', () => {
    const long = decodeRefusal(
      encodeRefusal({ ...plain, text: 'x'.repeat(100_000), facts: { a: 'y'.repeat(100_000) } }),
    );
    expect(long.text).toHaveLength(4_000);
    expect(long.facts).toEqual({ a: 'y'.repeat(4_000) });
    const many = Object.fromEntries(
      Array.from({ length: 100 }, (_, index) => [`f${index}`, '€'.repeat(4_000)]),
    );
    expect(decodeRefusal(encodeRefusal({ ...plain, facts: many })).facts).toEqual({});
  });

  it.each([0, -0, -1, 0.1, 2 ** 53, 1e21, Number.MIN_VALUE, Number.NEGATIVE_INFINITY, Number.NaN])(
    'keeps the number %d as it is',
    (value) => {
      expect(decodeRefusal(encodeRefusal({ ...plain, facts: { value } })).facts).toEqual({ value });
    },
  );

  const fields = { ...plain, facts: [] };
  it.each([
    ['no JSON', '{'],
    ['nothing', 'null'],
    ['a text that is none', JSON.stringify({ ...fields, tag: 5 })],
    ['a flag that is none', JSON.stringify({ ...fields, temporary: 1 })],
    ['a number that is none', JSON.stringify({ ...fields, auditId: -1 })],
    ['facts that are none', JSON.stringify({ ...fields, facts: {} })],
    ['a fact that is none', JSON.stringify({ ...fields, facts: [['x', 's']] })],
    ['a fact of no type', JSON.stringify({ ...fields, facts: [['x', 'z', '1']] })],
    ['a number of letters', JSON.stringify({ ...fields, facts: [['x', 'i', '0x10']] })],
    ['a fact that is no number', JSON.stringify({ ...fields, facts: [['x', 'n', 'many']] })],
    ['a number in another form', JSON.stringify({ ...fields, facts: [['x', 'n', '0x10']] })],
    ['a fact neither yes nor no', JSON.stringify({ ...fields, facts: [['x', 'b', 'maybe']] })],
    ['too much', JSON.stringify({ ...fields, text: 'x'.repeat(70_000) })],
    ['a name too long', JSON.stringify({ ...fields, tag: 'x'.repeat(300) })],
  ])('is not read when it is %s', (_name, words) => {
    expect(() => decodeRefusal(new TextEncoder().encode(words))).toThrow(/cannot be read/);
  });
});
