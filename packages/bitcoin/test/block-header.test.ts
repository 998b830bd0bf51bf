/** Compact targets, work and headers: vectors of Bitcoin Core (arith_uint256_tests, pow_tests), and properties. */
import {
  blockHash,
  compactOfTarget,
  FormError,
  fromHex,
  meetsTarget,
  parseBlockHeader,
  targetBytes,
  targetOfCompact,
  toHex,
  txidToHex,
  workOfTarget,
} from '@countersign/bitcoin';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const GENESIS = fromHex(
  '0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c',
);

describe('a block header', () => {
  it('is parsed and hashed (genesis of mainnet)', () => {
    const header = parseBlockHeader(GENESIS);
    expect(header.version).toBe(1);
    expect(header.timeSeconds).toBe(1_231_006_505);
    expect(header.bits).toBe(0x1d00ffff);
    expect(header.nonce).toBe(2_083_236_893);
    expect(toHex(header.previous)).toBe('00'.repeat(32));
    expect(txidToHex(header.merkleRoot)).toBe(
      '4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b',
    );
    expect(txidToHex(blockHash(GENESIS))).toBe(
      '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f',
    );
  });

  it('is its own copy', () => {
    const bytes = Buffer.from(GENESIS);
    const header = parseBlockHeader(bytes);
    bytes.fill(7);
    expect(header.merkleRoot[0]).toBe(0x3b);
  });

  it.each([0, 79, 81])('of %i bytes is refused', (length) => {
    expect(() => parseBlockHeader(new Uint8Array(length))).toThrow(FormError);
  });
});

describe('a compact target', () => {
  it.each([
    [0x00000000, 0n, 0],
    [0x00123456, 0n, 0],
    [0x01003456, 0n, 0],
    [0x02000056, 0n, 0],
    [0x03000000, 0n, 0],
    [0x04000000, 0n, 0],
    [0x00923456, 0n, 0],
    [0x01803456, 0n, 0],
    [0x02800056, 0n, 0],
    [0x03800000, 0n, 0],
    [0x04800000, 0n, 0],
    [0x01123456, 0x12n, 0x01120000],
    [0x02123456, 0x1234n, 0x02123400],
    [0x03123456, 0x123456n, 0x03123456],
    [0x04123456, 0x12345600n, 0x04123456],
    [0x05009234, 0x92340000n, 0x05009234],
    [0x20123456, 0x123456n << 232n, 0x20123456],
  ])('%s is the number Bitcoin Core reads', (bits, target, canonical) => {
    expect(targetOfCompact(bits)).toBe(target);
    expect(compactOfTarget(target)).toBe(canonical);
  });

  it('that is negative or too large is none', () => {
    for (const bits of [0x01fedcba, 0x04923456, 0xff123456, 0x23000001, 0x22000100, 0x21010000, 0xff7fffff])
      expect(targetOfCompact(bits), bits.toString(16)).toBeNull();
    // The largest of each size that is one.
    expect(targetOfCompact(0x220000ff)).toBe(0xffn << 248n);
    expect(targetOfCompact(0x2100ffff)).toBe(0xffffn << 240n);
    expect(targetOfCompact(0x207fffff)).toBe(0x7fffffn << 232n);
  });

  it('holds the 23 highest bits of any target', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: (1n << 256n) - 1n }), (target) => {
        const bits = compactOfTarget(target);
        const back = targetOfCompact(bits)!;
        expect(back).toBeLessThanOrEqual(target);
        expect(target - back).toBeLessThan((target >> 15n) + 1n);
        expect(compactOfTarget(back)).toBe(bits);
      }),
    );
  });
});

describe('work', () => {
  it('of difficulty one is 2^32 and a bit more, as Bitcoin Core counts it', () => {
    expect(workOfTarget(targetOfCompact(0x1d00ffff)!)).toBe(0x100010001n);
    expect(workOfTarget(targetOfCompact(0x207fffff)!)).toBe(2n);
  });

  it('is proven by hashes up to the target, and by none above it', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: (1n << 256n) - 1n }),
        fc.bigInt({ min: 0n, max: (1n << 256n) - 1n }),
        (hash, target) => {
          expect(meetsTarget(targetBytes(hash), targetBytes(target))).toBe(hash <= target);
          expect(meetsTarget(targetBytes(hash), targetBytes(hash))).toBe(true);
        },
      ),
    );
  });
});
