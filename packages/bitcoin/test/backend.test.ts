import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { secp256k1 as noble, schnorr } from '@noble/curves/secp256k1.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CountersignError,
  CURVE_ORDER,
  concat,
  FormError,
  fromHex,
  loadSecp256k1,
  openSecp256k1,
  sha256,
  toHex,
} from '../src/index.ts';
import { bytes, hash32 } from './generators.ts';

const curve = loadSecp256k1();
const { Point } = noble;
const order = Point.CURVE().n;
const zero = new Uint8Array(32);
const ones = new Uint8Array(32).fill(0xff);
const privateKey = hash32.filter((key) => noble.utils.isValidSecretKey(key));
const number = (b: Uint8Array) => BigInt(`0x${toHex(b)}`);
const scalar = (n: bigint) => fromHex((((n % order) + order) % order).toString(16).padStart(64, '0'));
const runs = { numRuns: 25 };

describe('loading', () => {
  it('asks for the native bindings, never for the package that falls back to JavaScript', () => {
    const real = createRequire(import.meta.url);
    const asked: string[] = [];
    openSecp256k1((name) => {
      asked.push(name);
      return real(name);
    });
    expect(asked).toEqual(['secp256k1/bindings', 'tiny-secp256k1']);
  });

  it.each(['secp256k1/bindings', 'tiny-secp256k1'])('refuses to start without %s', (missing) => {
    const real = createRequire(import.meta.url);
    const open = () =>
      openSecp256k1((name) => {
        if (name === missing) throw new Error('No native build was found');
        return real(name);
      });
    expect(open).toThrow(CountersignError);
    expect(open).toThrow(/install it for this platform/);
    expect(open).toThrow(expect.objectContaining({ code: 'crypto-unavailable' }));
  });

  it('loads once', () => {
    expect(loadSecp256k1()).toBe(curve);
    expect(Object.isFrozen(curve)).toBe(true);
  });
});

describe('ECDSA', () => {
  it('RFC 6979 with and without extra entropy, as noble signs', () => {
    const options = { prehash: false, lowS: true } as const;
    fc.assert(
      fc.property(hash32, privateKey, hash32, (hash, key, extraEntropy) => {
        expect(curve.signEcdsa(hash, key)).toEqual(
          noble.sign(hash, key, { ...options, extraEntropy: false }),
        );
        for (const extra of [extraEntropy, zero]) {
          const expected = noble.sign(hash, key, { ...options, extraEntropy: extra });
          expect(curve.signEcdsa(hash, key, extra)).toEqual(expected);
        }
      }),
      runs,
    );
  });

  it('32 zero bytes of extra entropy are not the same as none', () => {
    const key = sha256(Uint8Array.of(1));
    expect(curve.signEcdsa(zero, key, zero)).not.toEqual(curve.signEcdsa(zero, key));
  });

  it('recovers to the signing key', () => {
    fc.assert(
      fc.property(hash32, privateKey, (hash, key) => {
        const { signature, recoveryId } = curve.signEcdsaRecoverable(hash, key);
        expect(signature).toEqual(curve.signEcdsa(hash, key));
        const point = noble.Signature.fromBytes(signature, 'compact')
          .addRecoveryBit(recoveryId)
          .recoverPublicKey(hash);
        expect(point.toBytes(true)).toEqual(curve.publicKey(key));
      }),
      runs,
    );
  });

  it('recovers the signing key from low-S and high-S, and nothing from what is no signature', () => {
    fc.assert(
      fc.property(hash32, privateKey, (hash, key) => {
        const { signature, recoveryId } = curve.signEcdsaRecoverable(hash, key);
        expect(curve.recoverEcdsa(hash, signature, recoveryId)).toEqual(curve.publicKey(key));
        const highS = concat(signature.subarray(0, 32), scalar(-number(signature.subarray(32))));
        expect(curve.recoverEcdsa(hash, highS, recoveryId ^ 1)).toEqual(curve.publicKey(key));
        expect(curve.recoverEcdsa(hash, signature, recoveryId ^ 1)).not.toEqual(curve.publicKey(key));
      }),
      runs,
    );
    const { signature } = curve.signEcdsaRecoverable(zero, sha256(Uint8Array.of(1)));
    expect(curve.recoverEcdsa(zero, signature, 4)).toBeNull();
    expect(curve.recoverEcdsa(zero, new Uint8Array(64), 0)).toBeNull();
    expect(curve.recoverEcdsa(zero, new Uint8Array(64).fill(0xff), 0)).toBeNull();
  });

  it('verifies its own, and nothing changed by one bit', () => {
    fc.assert(
      fc.property(hash32, privateKey, fc.nat({ max: 511 }), (hash, key, bit) => {
        const publicKey = curve.publicKey(key);
        const signature = curve.signEcdsa(hash, key);
        expect(curve.verifyEcdsa(hash, signature, publicKey)).toBe(true);
        const flip = (b: Uint8Array) =>
          b.map((v, i) => (i === (bit >> 3) % b.length ? v ^ (1 << (bit & 7)) : v));
        expect(curve.verifyEcdsa(flip(hash), signature, publicKey)).toBe(false);
        expect(curve.verifyEcdsa(hash, flip(signature), publicKey)).toBe(false);
        expect(curve.verifyEcdsa(hash, signature, flip(publicKey))).toBe(false);
      }),
      runs,
    );
  });

  it('is false for high S, zero, and values past the order', () => {
    const key = sha256(Uint8Array.of(2));
    const publicKey = curve.publicKey(key);
    const signature = curve.signEcdsa(zero, key);
    const highS = concat(signature.slice(0, 32), scalar(-number(signature.slice(32))));
    expect(curve.verifyEcdsa(zero, highS, publicKey)).toBe(false);
    expect(curve.verifyEcdsa(zero, new Uint8Array(64), publicKey)).toBe(false);
    expect(curve.verifyEcdsa(zero, new Uint8Array(64).fill(0xff), publicKey)).toBe(false);
    expect(curve.verifyEcdsa(zero, signature, new Uint8Array(33))).toBe(false);
  });
});

describe('keys', () => {
  it('accepts exactly 1 … n−1', () => {
    expect(curve.isPrivateKey(zero)).toBe(false);
    expect(curve.isPrivateKey(CURVE_ORDER)).toBe(false);
    expect(curve.isPrivateKey(ones)).toBe(false);
    expect(curve.isPrivateKey(scalar(1n))).toBe(true);
    expect(curve.isPrivateKey(scalar(-1n))).toBe(true);
    expect(curve.isPrivateKey(new Uint8Array(31).fill(1))).toBe(false);
  });

  it('accepts exactly the compressed points noble accepts', () => {
    const candidate = fc
      .tuple(fc.constantFrom(0, 2, 3, 4, 6), hash32)
      .map(([p, x]) => concat(Uint8Array.of(p), x));
    fc.assert(
      fc.property(candidate, (key) => {
        const valid = (key[0] === 2 || key[0] === 3) && noble.utils.isValidPublicKey(key, true);
        expect(curve.isPublicKey(key)).toBe(valid);
      }),
    );
    const uncompressed = Point.BASE.toBytes(false);
    expect(curve.isPublicKey(uncompressed)).toBe(false);
  });

  it('public keys, ECDH and tweaks equal noble', () => {
    fc.assert(
      fc.property(privateKey, privateKey, (key, tweak) => {
        const point = Point.BASE.multiply(number(key));
        const publicKey = curve.publicKey(key);
        expect(publicKey).toEqual(point.toBytes(true));
        expect(curve.ecdh(publicKey, tweak)).toEqual(sha256(noble.getSharedSecret(tweak, publicKey, true)));
        expect(curve.privateKeyTweakAdd(key, tweak)).toEqual(scalar(number(key) + number(tweak)));
        expect(curve.privateKeyTweakMul(key, tweak)).toEqual(scalar(number(key) * number(tweak)));
        expect(curve.privateKeyNegate(key)).toEqual(scalar(-number(key)));
        const other = Point.BASE.multiply(number(tweak));
        expect(curve.publicKeyTweakAdd(publicKey, tweak)).toEqual(point.add(other).toBytes(true));
        expect(curve.publicKeyTweakMul(publicKey, tweak)).toEqual(
          point.multiply(number(tweak)).toBytes(true),
        );
        const sum = point.add(other).add(point).toBytes(true);
        expect(curve.publicKeyCombine([publicKey, other.toBytes(true), publicKey])).toEqual(sum);
      }),
      runs,
    );
  });

  it('never writes to its input', () => {
    const key = sha256(Uint8Array.of(3));
    const copy = Uint8Array.from(key);
    curve.privateKeyTweakAdd(key, copy);
    curve.privateKeyTweakMul(key, copy);
    curve.privateKeyNegate(key);
    expect(() => curve.privateKeyTweakAdd(key, curve.privateKeyNegate(key))).toThrow(FormError);
    expect(key).toEqual(copy);
  });
});

describe('refusals', () => {
  const key = sha256(Uint8Array.of(4));
  const point = curve.publicKey(key);
  const negative = curve.privateKeyNegate(key);
  const notOnCurve = concat(Uint8Array.of(2), new Uint8Array(32).fill(0xff));
  const short = new Uint8Array(31).fill(1);
  it.each<[string, () => unknown]>([
    ['public key of zero', () => curve.publicKey(zero)],
    ['public key of n', () => curve.publicKey(CURVE_ORDER)],
    ['public key of 31 bytes', () => curve.publicKey(short)],
    ['sign a short hash', () => curve.signEcdsa(short, key)],
    ['sign with zero', () => curve.signEcdsa(zero, zero)],
    ['sign with short entropy', () => curve.signEcdsa(zero, key, short)],
    ['sign recoverable with n', () => curve.signEcdsaRecoverable(zero, CURVE_ORDER)],
    ['sign recoverable a short hash', () => curve.signEcdsaRecoverable(short, key)],
    ['recover from a short hash', () => curve.recoverEcdsa(short, new Uint8Array(64), 0)],
    ['recover from a short signature', () => curve.recoverEcdsa(zero, new Uint8Array(63), 0)],
    ['verify a short hash', () => curve.verifyEcdsa(short, new Uint8Array(64), point)],
    ['verify a short signature', () => curve.verifyEcdsa(zero, new Uint8Array(63), point)],
    ['verify with 65 bytes of key', () => curve.verifyEcdsa(zero, new Uint8Array(64), new Uint8Array(65))],
    ['ECDH with no point', () => curve.ecdh(notOnCurve, key)],
    ['ECDH with zero', () => curve.ecdh(point, zero)],
    ['private tweak to zero', () => curve.privateKeyTweakAdd(key, negative)],
    ['private tweak by n', () => curve.privateKeyTweakAdd(key, CURVE_ORDER)],
    ['private tweak of 31 bytes', () => curve.privateKeyTweakAdd(key, short)],
    ['private multiply by zero', () => curve.privateKeyTweakMul(key, zero)],
    ['private multiply of zero', () => curve.privateKeyTweakMul(zero, key)],
    ['private multiply by 31 bytes', () => curve.privateKeyTweakMul(key, short)],
    ['negate zero', () => curve.privateKeyNegate(zero)],
    ['public tweak to infinity', () => curve.publicKeyTweakAdd(point, negative)],
    ['public tweak by n', () => curve.publicKeyTweakAdd(point, CURVE_ORDER)],
    ['public tweak of no point', () => curve.publicKeyTweakAdd(notOnCurve, key)],
    ['public tweak of 31 bytes', () => curve.publicKeyTweakAdd(point, short)],
    ['public multiply by zero', () => curve.publicKeyTweakMul(point, zero)],
    ['public multiply by 31 bytes', () => curve.publicKeyTweakMul(point, short)],
    ['combine to infinity', () => curve.publicKeyCombine([point, curve.publicKey(negative)])],
    ['combine nothing', () => curve.publicKeyCombine([])],
    ['combine no point', () => curve.publicKeyCombine([point, notOnCurve])],
    ['Schnorr with zero', () => curve.signSchnorr(zero, zero, zero)],
    ['Schnorr of a short hash', () => curve.signSchnorr(short, key, zero)],
    ['Schnorr with short aux', () => curve.signSchnorr(zero, key, short)],
    ['verify Schnorr of a short hash', () => curve.verifySchnorr(short, new Uint8Array(64), zero)],
    ['verify a short Schnorr', () => curve.verifySchnorr(zero, new Uint8Array(63), zero)],
    ['verify Schnorr with 33 bytes', () => curve.verifySchnorr(zero, new Uint8Array(64), point)],
  ])('%s', (_, action) => {
    expect(action).toThrow(FormError);
  });

  it('says nothing about the key', () => {
    const message = (() => {
      try {
        curve.publicKey(CURVE_ORDER);
        return '';
      } catch (error) {
        return error instanceof CountersignError
          ? JSON.stringify([error.message, error.facts, error.stack])
          : '';
      }
    })();
    expect(message).toContain('out of range');
    expect(message.toLowerCase()).not.toContain(toHex(CURVE_ORDER).slice(0, 16));
  });
});

describe('BIP 340', () => {
  const rows = readFileSync(new URL('./vectors/bip340.csv', import.meta.url), 'utf8')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(','))
    .filter((row) => row.length > 6 && row[4]?.length === 64);

  it('has the published vectors with 32-byte messages', () => {
    expect(rows.length).toBe(15);
  });

  it.each(rows)('vector %s', (_index, secret, xOnly, aux, message, signature, result) => {
    const hash = fromHex(message!);
    if (secret !== '')
      expect(curve.signSchnorr(hash, fromHex(secret!), fromHex(aux!))).toEqual(fromHex(signature!));
    expect(curve.verifySchnorr(hash, fromHex(signature!), fromHex(xOnly!))).toBe(result === 'TRUE');
  });

  it('signs and verifies as noble does', () => {
    fc.assert(
      fc.property(hash32, privateKey, hash32, bytes(64), (hash, key, aux, junk) => {
        const signature = curve.signSchnorr(hash, key, aux);
        expect(signature).toEqual(schnorr.sign(hash, key, aux));
        const xOnly = schnorr.getPublicKey(key);
        expect(curve.verifySchnorr(hash, signature, xOnly)).toBe(true);
        expect(curve.verifySchnorr(hash, junk, xOnly)).toBe(false);
      }),
      { numRuns: 15 },
    );
  });
});
