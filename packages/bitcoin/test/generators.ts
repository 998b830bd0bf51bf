/**
 * Random transactions and PSBT fields for the properties in this folder: every shape the parser accepts, from empty
 * witnesses to scripts past the one-byte length.
 */
import fc from 'fast-check';
import { type Sat, sat, type Transaction, type TxInput, type TxOutput } from '../src/index.ts';

export const bytes = (minLength: number, maxLength = minLength): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength, maxLength }).map((b) => Uint8Array.from(b));

export const hash32 = bytes(32);
export const u32 = fc.nat({ max: 0xffff_ffff });
/** At most a hundredth of the supply, so that sums stay within it. */
export const amount: fc.Arbitrary<Sat> = fc.bigInt({ min: 0n, max: 21_000_000_000_000n }).map(sat);
export const script = fc.oneof(
  { weight: 8, arbitrary: bytes(0, 40) },
  { weight: 1, arbitrary: bytes(250, 260) },
);

export const output: fc.Arbitrary<TxOutput> = fc.record({ value: amount, script });
const input: fc.Arbitrary<TxInput> = fc.record({
  txid: hash32,
  vout: u32,
  scriptSig: bytes(0, 20),
  sequence: u32,
  witness: fc.array(bytes(0, 80), { maxLength: 3 }),
});

export const transaction: fc.Arbitrary<Transaction> = fc.record({
  version: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
  inputs: fc.array(input, { minLength: 1, maxLength: 5 }),
  outputs: fc.array(output, { maxLength: 5 }),
  locktime: u32,
});

/** Flip, insert or delete single bytes. */
export const mutate = (original: Uint8Array): fc.Arbitrary<Uint8Array> =>
  fc
    .array(fc.record({ at: fc.nat({ max: original.length }), byte: fc.nat({ max: 255 }), kind: fc.nat(2) }), {
      minLength: 1,
      maxLength: 4,
    })
    .map((edits) => {
      const out = [...original];
      for (const { at, byte, kind } of edits)
        out.splice(at, kind === 2 ? 0 : 1, ...(kind === 1 ? [] : [byte]));
      return Uint8Array.from(out);
    });
