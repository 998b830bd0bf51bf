import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { ripemd160 as nobleRipemd160 } from '@noble/hashes/legacy.js';
import { sha256 as nobleSha256, sha512 as nobleSha512 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  concat,
  FormError,
  fromHex,
  hash160,
  hash256,
  hkdfSha256,
  hmacSha256,
  hmacSha512,
  publicSha256,
  ripemd160,
  sha256,
  sha512,
  taggedHash,
  toHex,
} from '../src/index.ts';
import { bytes } from './generators.ts';

/** Together below and above what is put together in one place. */
const parts = fc.array(fc.oneof(bytes(0, 70), bytes(500, 600)), { maxLength: 4 });
const text = (value: string) => new TextEncoder().encode(value);

describe('hashes', () => {
  it('FIPS 180-4 and the RIPEMD-160 paper: "abc"', () => {
    expect(toHex(sha256(text('abc')))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
    expect(toHex(ripemd160(text('abc')))).toBe('8eb208f7e05d987a9b044a8e98c6b087f15a0bfc');
    expect(toHex(sha256())).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });

  it('equal noble for any parts', () => {
    fc.assert(
      fc.property(parts, (p) => {
        const all = concat(...p);
        expect(sha256(...p)).toEqual(nobleSha256(all));
        expect(publicSha256(...p)).toEqual(nobleSha256(all));
        expect(sha512(...p)).toEqual(nobleSha512(all));
        expect(hash256(...p)).toEqual(nobleSha256(nobleSha256(all)));
        expect(ripemd160(...p)).toEqual(nobleRipemd160(all));
        expect(hash160(...p)).toEqual(nobleRipemd160(nobleSha256(all)));
      }),
    );
  });

  it('return plain arrays and leave the input alone', () => {
    const input = Uint8Array.of(1, 2, 3);
    for (const out of [
      sha256(input),
      publicSha256(input),
      hash160(input),
      hmacSha256(input, input),
      hmacSha512(input),
    ]) {
      expect(Object.getPrototypeOf(out)).toBe(Uint8Array.prototype);
      expect(out.buffer.byteLength).toBe(out.length);
    }
    expect(input).toEqual(Uint8Array.of(1, 2, 3));
  });
});

describe('HMAC (RFC 2104)', () => {
  it('RFC 4231 test cases 2 and 6', () => {
    expect(toHex(hmacSha256(text('Jefe'), text('what do ya want for nothing?')))).toBe(
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    );
    const longKey = new Uint8Array(131).fill(0xaa);
    const data = text('Test Using Larger Than Block-Size Key - Hash Key First');
    expect(toHex(hmacSha256(longKey, data))).toBe(
      '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
    );
    expect(longKey.every((byte) => byte === 0xaa)).toBe(true);
  });

  it('equals noble for keys below, at and above the block size', () => {
    for (const length of [0, 1, 63, 64, 65, 127, 128, 129]) {
      const key = new Uint8Array(length).fill(0xa5);
      expect(hmacSha256(key, key)).toEqual(hmac(nobleSha256, key, key));
      expect(hmacSha512(key, key)).toEqual(hmac(nobleSha512, key, key));
    }
    fc.assert(
      fc.property(bytes(0, 140), parts, (key, p) => {
        expect(hmacSha256(key, ...p)).toEqual(hmac(nobleSha256, key, concat(...p)));
        expect(hmacSha512(key, ...p)).toEqual(hmac(nobleSha512, key, concat(...p)));
      }),
    );
  });
});

describe('HKDF-SHA-256 (RFC 5869)', () => {
  it('appendix A.1', () => {
    const out = hkdfSha256(
      new Uint8Array(22).fill(0x0b),
      fromHex('000102030405060708090a0b0c'),
      fromHex('f0f1f2f3f4f5f6f7f8f9'),
      42,
    );
    expect(toHex(out)).toBe(
      '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    );
  });

  it('equals noble for any length', () => {
    fc.assert(
      fc.property(
        bytes(1, 70),
        bytes(0, 70),
        bytes(0, 40),
        fc.nat({ max: 200 }),
        (ikm, salt, info, length) => {
          expect(hkdfSha256(ikm, salt, info, length)).toEqual(hkdf(nobleSha256, ikm, salt, info, length));
        },
      ),
    );
  });

  it('refuses lengths RFC 5869 has no output for', () => {
    const none = new Uint8Array(0);
    expect(hkdfSha256(none, none, none, 8160)).toHaveLength(8160);
    for (const length of [-1, 8161, 1.5, Number.NaN]) {
      expect(() => hkdfSha256(none, none, none, length)).toThrow(FormError);
    }
  });
});

describe('BIP 340 tagged hash', () => {
  it('is SHA-256 with the tag hash twice in front, for text and bytes alike', () => {
    fc.assert(
      fc.property(fc.constantFrom('TapTweak', 'BIP0340/aux', 'Größe'), parts, (tag, p) => {
        const tagHash = nobleSha256(text(tag));
        const expected = nobleSha256(concat(tagHash, tagHash, ...p));
        expect(taggedHash(tag, ...p)).toEqual(expected);
        expect(taggedHash(text(tag), ...p)).toEqual(expected);
      }),
    );
  });
});
