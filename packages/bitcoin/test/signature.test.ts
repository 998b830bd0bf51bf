import { secp256k1 as noble } from '@noble/curves/secp256k1.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CURVE_ORDER,
  concat,
  decodeDer,
  decodeScriptSignature,
  encodeDer,
  encodeScriptSignature,
  FormError,
  fromHex,
  hasLowR,
  hasLowS,
  toHex,
} from '../src/index.ts';
import { bytes, hash32, mutate } from './generators.ts';

/** Scalars with leading zeros are common in DER's corner cases, so they are drawn often. */
const scalar = fc
  .tuple(hash32, fc.nat({ max: 31 }), fc.boolean())
  .map(([b, zeros, whole]) => (whole ? b : b.map((v, i) => (i < zeros ? 0 : v))))
  .filter((b) => b.some((v) => v !== 0) && Buffer.compare(b, CURVE_ORDER) < 0);
const compact = fc.tuple(scalar, scalar).map(([r, s]) => concat(r, s));

describe('DER (BIP 66)', () => {
  it('equals noble both ways', () => {
    fc.assert(
      fc.property(compact, (signature) => {
        const der = encodeDer(signature);
        expect(der).toEqual(noble.Signature.fromBytes(signature, 'compact').toBytes('der'));
        expect(decodeDer(der)).toEqual(signature);
      }),
    );
  });

  it('carries the sighash byte behind it', () => {
    fc.assert(
      fc.property(compact, fc.nat({ max: 255 }), (signature, sighashType) => {
        const whole = encodeScriptSignature(signature, sighashType);
        expect(decodeScriptSignature(whole)).toEqual({ signature, sighashType });
      }),
    );
    expect(() => decodeScriptSignature(new Uint8Array(0))).toThrow(FormError);
  });

  const good = '3006020101020102';
  it.each([
    ['a wrong tag', '3106020101020102'],
    ['a wrong length', '3007020101020102'],
    ['a length in two bytes', '308106020101020102'],
    ['a byte left over', `${good}00`],
    ['a byte left over inside', '300702010102010200'],
    ['r zero', '3006020100020102'],
    ['s zero', '3006020101020100'],
    ['r negative', '3006020181020102'],
    ['r padded', '300702020001020102'],
    ['r empty', '30050200020102'],
    ['a wrong inner tag', '3006030101020102'],
    ['r past the end', '3006027f01020102'],
    ['r of 34 bytes', `3027022200${'ff'.repeat(33)}020101`],
    ['r of 33 bytes without the zero', `3026022101${'ff'.repeat(32)}020101`],
    ['r equal to n', `302602210${'0'}${toHex(CURVE_ORDER)}020101`],
  ])('refuses %s', (_, hex) => {
    expect(toHex(encodeDer(decodeDer(fromHex(good))))).toBe(good);
    expect(() => decodeDer(fromHex(hex))).toThrow(FormError);
  });

  it('cut anywhere, or mutated, never decodes to something else', () => {
    const der = encodeDer(concat(new Uint8Array(32).fill(0x91), new Uint8Array(32).fill(0x12)));
    for (let length = 0; length < der.length; length++) {
      expect(() => decodeDer(der.slice(0, length))).toThrow(FormError);
    }
    fc.assert(
      fc.property(fc.oneof(mutate(der), bytes(0, 80)), (junk) => {
        let signature: Uint8Array;
        try {
          signature = decodeDer(junk);
        } catch (error) {
          expect(error).toBeInstanceOf(FormError);
          return;
        }
        expect(encodeDer(signature)).toEqual(junk);
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses to encode what is not a signature', () => {
    for (const bad of [new Uint8Array(64), new Uint8Array(63).fill(1), new Uint8Array(64).fill(0xff)]) {
      expect(() => encodeDer(bad)).toThrow(FormError);
    }
  });
});

describe('low R and low S', () => {
  it('turn where DER grows a byte, and at half the order', () => {
    const one = fromHex('01'.padStart(64, '0'));
    expect(hasLowR(concat(new Uint8Array(32).fill(0x7f), one))).toBe(true);
    expect(hasLowR(concat(new Uint8Array(32).fill(0x80), one))).toBe(false);
    const half = fromHex('7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0');
    expect(hasLowS(concat(one, half))).toBe(true);
    expect(
      hasLowS(
        concat(
          one,
          half.map((v, i) => (i === 31 ? v + 1 : v)),
        ),
      ),
    ).toBe(false);
    expect(hasLowS(half)).toBe(false);
    expect(hasLowR(new Uint8Array(0))).toBe(false);
  });
});
