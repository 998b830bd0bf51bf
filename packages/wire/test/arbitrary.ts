/**
 * Arbitrary values of any codec, derived from its description, and the samples the hostile tests start from.
 */
import { createPsbt, type Psbt, sat, type Transaction, toHex } from '@countersign/bitcoin';
import fc from 'fast-check';
import { constant, MESSAGES, type Message, type MessageName, type Shape, struct } from '../src/index.ts';

const byteArray = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });

const someBytes = (lengthMax: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ maxLength: Math.min(lengthMax, 40) });

export const wireText: fc.Arbitrary<string> = fc
  .string({ unit: 'grapheme', maxLength: 12 })
  .filter((text) => ![...text].some((character) => character.codePointAt(0)! < 0x20));

const txInput = fc.record(
  {
    txid: byteArray(32),
    vout: fc.integer({ min: 0, max: 0xffff_ffff }),
    scriptSig: someBytes(10),
    sequence: fc.integer({ min: 0, max: 0xffff_ffff }),
    witness: fc.array(someBytes(20), { maxLength: 2 }),
  },
  { noNullPrototype: true },
);

export const transactionArbitrary: fc.Arbitrary<Transaction> = fc.record(
  {
    version: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
    inputs: fc.array(txInput, { minLength: 1, maxLength: 2 }),
    outputs: fc.array(
      fc.record(
        { value: fc.bigInt({ min: 0n, max: 1_000_000_000n }).map(sat), script: someBytes(30) },
        { noNullPrototype: true },
      ),
      { maxLength: 2 },
    ),
    locktime: fc.integer({ min: 0, max: 0xffff_ffff }),
  },
  { noNullPrototype: true },
);

/** A PSBT whose maps hold fields of an unknown type, in arbitrary order. */
export const psbtArbitrary: fc.Arbitrary<Psbt> = fc
  .tuple(transactionArbitrary, fc.uniqueArray(someBytes(8), { maxLength: 3, selector: toHex }))
  .map(([tx, keys]) => {
    const entries = keys.map((keyData) => ({ type: 0xe0, keyData, value: keyData }));
    const psbt = createPsbt(tx);
    return {
      ...psbt,
      inputs: psbt.inputs.map(() => entries),
      outputs: psbt.outputs.map(() => [...entries].reverse()),
    };
  });

/** A field of the kind each shape describes. `undefined` stands for an absent option. */
export function arbitraryOf(shape: Shape): fc.Arbitrary<unknown> {
  switch (shape.kind) {
    case 'uint':
      return shape.values === undefined
        ? fc.integer({ min: 0, max: 2 ** shape.bits - 1 })
        : fc.constantFrom(...shape.values);
    case 'u64':
      return fc.bigInt({ min: 0n, max: shape.max });
    case 'i64':
      return fc.bigInt({ min: shape.min, max: shape.max });
    case 'bool':
      return fc.boolean();
    case 'bytes': {
      const { length, firstByte } = shape;
      if (firstByte === undefined) return byteArray(length);
      return fc
        .tuple(fc.constantFrom(...firstByte), byteArray(length - 1))
        .map(([first, others]) => Uint8Array.of(first, ...others));
    }
    case 'octets':
      return someBytes(shape.lengthMax);
    case 'hex':
      return byteArray(shape.length).map(toHex);
    case 'rest':
      return someBytes(40);
    case 'text':
      return wireText.filter((text) => Buffer.byteLength(text) <= shape.bytesMax);
    case 'constant':
      return fc.constant(shape.value);
    case 'choice':
      return fc.constantFrom(...shape.values);
    case 'option':
      return fc.option(arbitraryOf(shape.of), { nil: undefined });
    case 'list':
      return fc.array(arbitraryOf(shape.of), { maxLength: Math.min(shape.countMax, 3) });
    case 'map':
      return fc
        .array(fc.tuple(arbitraryOf(shape.key), arbitraryOf(shape.value)), { maxLength: 3 })
        .map((pairs) => new Map(pairs));
    case 'struct':
      return fc.record(
        Object.fromEntries(shape.fields.map(({ name, shape: of }) => [name, arbitraryOf(of)])),
        {
          noNullPrototype: true,
        },
      );
    case 'tlv': {
      const known = Object.fromEntries(shape.records.map(({ name, shape: of }) => [name, arbitraryOf(of)]));
      const unknown = fc.uniqueArray(
        fc.record(
          { type: fc.bigInt({ min: 500n, max: 2n ** 63n }).map((n) => 2n * n - 1n), value: someBytes(9) },
          {
            noNullPrototype: true,
          },
        ),
        { minLength: 1, maxLength: 3, selector: ({ type }) => type },
      );
      const ascending = unknown.map((all) => all.toSorted((a, b) => (a.type < b.type ? -1 : 1)));
      return fc.record({ ...known, unknown: ascending }, { requiredKeys: [], noNullPrototype: true });
    }
    case 'variant':
      return fc.oneof(
        ...shape.cases.map(({ name, shape: of }) =>
          arbitraryOf(of).map((fields) => ({ [shape.tag]: name, ...(fields as object) })),
        ),
      );
    case 'versioned':
    case 'named':
      return arbitraryOf(shape.of);
    case 'transaction':
      return transactionArbitrary;
    case 'psbt':
      return psbtArbitrary;
  }
}

/** The shape of a whole message, its `name` included. */
export function messageShape(name: MessageName): Shape {
  return struct({ name: constant(name), ...MESSAGES[name].fields }).describe;
}

export function arbitraryMessage(name: MessageName): fc.Arbitrary<Message> {
  return arbitraryOf(messageShape(name)) as fc.Arbitrary<Message>;
}

/** How many parts of a value are there at all: options present, list items, TLV records. */
function fullness(value: unknown): number {
  if (value === undefined) return 0;
  if (value instanceof Uint8Array) return value.length > 0 ? 2 : 1;
  if (Array.isArray(value)) return value.length === 0 ? 0 : 1 + Math.max(...value.map(fullness));
  if (typeof value === 'object' && value !== null)
    return Object.values(value).reduce((sum: number, part: unknown) => sum + fullness(part), 0);
  return 1;
}

/** The richest of some samples, the same on every run. */
export function sampleOf(name: MessageName): Message {
  const samples = fc.sample(arbitraryMessage(name), { numRuns: 40, seed: 7 });
  return samples.reduce((best, one) => (fullness(one) > fullness(best) ? one : best));
}
