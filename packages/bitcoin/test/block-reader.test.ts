/**
 * Whole blocks: real ones against bitcoinjs-lib, every cut into pieces, every single byte changed, and what a block may
 * not be.
 */
import { readFileSync } from 'node:fs';
import {
  BLOCK_WEIGHT_MAX,
  BlockReader,
  type BlockTransaction,
  concat,
  equalBytes,
  FormError,
  fromHex,
  type ProvenBlock,
  parseTransaction,
  readBlock,
  serializeTransaction,
  toHex,
  txid,
  txidFromHex,
  txidToHex,
  weight,
  wtxid,
} from '@countersign/bitcoin';
import * as bitcoinjs from 'bitcoinjs-lib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

interface Vector {
  readonly name: string;
  readonly hash: string;
  readonly heightBlocks: number;
  readonly block: string;
}
const VECTORS = (
  JSON.parse(readFileSync(new URL('./vectors/blocks.json', import.meta.url), 'utf8')) as {
    readonly blocks: readonly Vector[];
  }
).blocks;

function inPieces(raw: Uint8Array, sizes: readonly number[]): [ProvenBlock, BlockTransaction[]] {
  const seen: BlockTransaction[] = [];
  const reader = new BlockReader((one) => seen.push(one));
  for (let at = 0, i = 0; at < raw.length; i++) {
    const size = sizes[i % sizes.length]!;
    reader.push(raw.slice(at, at + size));
    at += size;
  }
  return [reader.finish(), seen];
}

const transactionsOf = (raw: Uint8Array): BlockTransaction[] => inPieces(raw, [raw.length])[1];
const changed = (raw: Uint8Array, at: number, to: (byte: number) => number): Uint8Array => {
  const copy = raw.slice();
  copy[at] = to(copy[at]!);
  return copy;
};

describe.each(VECTORS)('the real block $name', (VECTOR) => {
  const RAW = fromHex(VECTOR.block);
  const HASH = txidFromHex(VECTOR.hash);

  it('has the hash, height, weight and transactions that bitcoinjs-lib reads', () => {
    const theirs = bitcoinjs.Block.fromBuffer(Buffer.from(RAW));
    const [block, seen] = inPieces(RAW, [RAW.length]);
    expect(txidToHex(block.hash)).toBe(VECTOR.hash);
    expect(block.coinbaseHeightBlocks).toBe(VECTOR.heightBlocks);
    expect(block.weight).toBe(theirs.weight());
    expect(block.transactionCount).toBe(theirs.transactions?.length);
    expect(seen.map(({ txidHex }) => txidHex)).toEqual(theirs.transactions?.map((one) => one.getId()));
    expect(seen.slice(1).map((one) => toHex(one.wtxid))).toEqual(
      theirs.transactions?.slice(1).map((one) => toHex(one.getHash(true))),
    );
    expect(seen.map((one) => one.isCoinbase)).toEqual(seen.map((_, i) => i === 0));
    expect(seen.some(({ hasWitness }) => hasWitness)).toBe(true);
  });

  it('has transactions that are those of the strict parser, field by field', () => {
    for (const one of transactionsOf(RAW)) {
      const parsed = parseTransaction(one.bytes);
      expect(one.version).toBe(parsed.version);
      expect(one.locktime).toBe(parsed.locktime);
      expect(one.weight).toBe(weight(parsed));
      expect(toHex(one.txid)).toBe(toHex(txid(parsed)));
      expect(toHex(one.wtxid)).toBe(toHex(wtxid(parsed)));
      expect(one.txidHex).toBe(txidToHex(txid(parsed)));
      expect(toHex(serializeTransaction(one))).toBe(toHex(one.bytes));
      expect(one.inputs.map(({ sequence, vout }) => [sequence, vout])).toEqual(
        parsed.inputs.map(({ sequence, vout }) => [sequence, vout]),
      );
      expect(one.outputs.map(({ value }) => value)).toEqual(parsed.outputs.map(({ value }) => value));
    }
  });

  it('is the same from pieces of any size', () => {
    const whole = inPieces(RAW, [RAW.length])[1].map(({ bytes }) => toHex(bytes));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 9 }), (sizes) => {
        const [block, seen] = inPieces(RAW, sizes);
        expect(toHex(block.hash)).toBe(toHex(HASH));
        expect(seen.map(({ bytes }) => toHex(bytes))).toEqual(whole);
      }),
    );
    expect(inPieces(RAW, [1])[1].map(({ bytes }) => toHex(bytes))).toEqual(whole);
    expect(inPieces(RAW, [80, 1, 1])[0].transactionCount).toBe(whole.length);
  });

  it('is refused or another block when any single byte of it is another', () => {
    for (let at = 0; at < RAW.length; at++) {
      for (const to of [
        (byte: number) => byte ^ 1,
        (byte: number) => byte ^ 0x80,
        (byte: number) => byte + 1,
      ]) {
        try {
          const block = readBlock(changed(RAW, at, to));
          expect(at, 'outside of the header').toBeLessThan(80);
          expect(equalBytes(block.hash, HASH)).toBe(false);
        } catch (error) {
          if (!(error instanceof FormError)) throw error;
        }
      }
    }
  });

  it('is refused with bytes missing, added or moved, and never by anything but a FormError', () => {
    const length = RAW.length;
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: length }),
        fc.integer({ min: 0, max: 40 }),
        fc.uint8Array({ maxLength: 40 }),
        (at, without, added) => {
          const other = concat(RAW.subarray(0, at), added, RAW.subarray(at + without));
          if (equalBytes(other, RAW)) return;
          try {
            expect(equalBytes(readBlock(other).hash, HASH)).toBe(false);
          } catch (error) {
            if (!(error instanceof FormError)) throw error;
          }
        },
      ),
      { numRuns: 1000 },
    );
    for (const end of [0, 1, 79, 80, 81, 100, length - 1])
      expect(() => readBlock(RAW.subarray(0, end)), `${end} bytes`).toThrow(FormError);
    expect(() => readBlock(concat(RAW, Uint8Array.of(0)))).toThrow('trailing bytes');
  });

  it('that ended badly is not read further', () => {
    const reader = new BlockReader(() => {});
    expect(() => reader.push(changed(RAW, 80, () => 0))).toThrow('without transactions');
    expect(() => reader.push(RAW)).toThrow('done');
    expect(() => reader.finish()).toThrow('done');
  });

  it('takes what a caller throws to the caller', () => {
    const reader = new BlockReader(() => {
      throw new RangeError('mine');
    });
    expect(() => reader.push(RAW)).toThrow(RangeError);
  });
});

describe('a block that never was', () => {
  const RAW = fromHex(VECTORS[0]!.block);
  const header = RAW.slice(0, 80);
  const [coinbase, second] = transactionsOf(RAW).map(({ bytes }) => bytes.slice());

  it.each([
    ['no transactions', [Uint8Array.of(0)], 'without transactions'],
    ['more transactions than fit', [Uint8Array.of(0xfd, 0xff, 0xff)], 'too large'],
    ['a count that is not minimal', [Uint8Array.of(0xfd, 1, 0)], 'not minimal'],
    ['no coinbase', [Uint8Array.of(1), second!], 'no coinbase'],
    ['two coinbases', [Uint8Array.of(2), coinbase!, coinbase!], 'beside the coinbase'],
    ['another root', [Uint8Array.of(1), coinbase!], 'merkle root'],
    ['fewer transactions than announced', [Uint8Array.of(3), coinbase!], 'ends early'],
  ])('with %s', (_, rest, message) => {
    expect(() => readBlock(concat(header, ...rest))).toThrow(message);
  });

  it.each([
    ['no inputs', '01000000000000000000', 'without inputs'],
    ['no inputs, marked', `0100000000010001${'00'.repeat(9)}00000000`, 'without inputs'],
    [
      'no outputs',
      `01000000${'01'}${'00'.repeat(32)}ffffffff${'0251ff'}${'ffffffff'}${'00'}${'00000000'}`,
      'without outputs',
    ],
    [
      'more money than there is',
      `01000000${'01'}${'00'.repeat(32)}ffffffff${'0251ff'}${'ffffffff'}${'01'}${'0140075af0750700'}00${'00000000'}`,
      'supply',
    ],
    [
      'more money than there is, in sum',
      `01000000${'01'}${'00'.repeat(32)}ffffffff${'0251ff'}${'ffffffff'}${'02'}${'0040075af0750700'}00${'0100000000000000'}00${'00000000'}`,
      'supply',
    ],
    [
      'a script of impossible length',
      `01000000${'01'}${'00'.repeat(32)}ffffffff${'feffffff7f'}`,
      'too large',
    ],
    [
      'a script of more bytes than a number holds',
      `01000000${'01'}${'00'.repeat(32)}ffffffff${'ff'.repeat(9)}`,
      'too large',
    ],
    [
      'a coinbase script of one byte',
      `01000000${'01'}${'00'.repeat(32)}ffffffff${'0151'}${'ffffffff'}${'01'}${'00'.repeat(8)}00${'00000000'}`,
      'impossible length',
    ],
    [
      'a marker without a witness',
      `01000000${'0001'}${'01'}${'00'.repeat(32)}ffffffff${'025151'}${'ffffffff'}${'01'}${'00'.repeat(8)}00${'00'}${'00000000'}`,
      'without a witness',
    ],
  ])('with a transaction of %s', (_, transaction, message) => {
    expect(() => readBlock(concat(header, Uint8Array.of(1), fromHex(transaction)))).toThrow(message);
  });

  it('of more bytes than any weight admits', () => {
    const reader = new BlockReader(() => {});
    reader.push(header);
    const piece = new Uint8Array(BLOCK_WEIGHT_MAX);
    expect(() => reader.push(piece)).toThrow('block too large');
  });
});
