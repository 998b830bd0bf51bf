/**
 * The WebAssembly backend against the native one: the same bytes for the same input, and a refusal where the other
 * refuses.
 */
import { createHash, randomBytes } from 'node:crypto';
import * as tiny from 'tiny-secp256k1';
import { describe, expect, it } from 'vitest';
import { CURVE_ORDER, concat, FormError, loadSecp256k1, type Secp256k1, toHex } from '../src/index.ts';
import { loadWasmSecp256k1, openWasmSecp256k1 } from '../src/wasm.ts';

const native = loadSecp256k1();
const wasm = openWasmSecp256k1(tiny, randomBytes);

/** The rounds are the same in every run. */
function bytesOf(round: number, name: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(`wasm ${round} ${name}`).digest());
}

/** What a call gives, or that it was refused. */
function outcome(call: () => unknown): unknown {
  try {
    const value = call();
    return value instanceof Uint8Array ? toHex(value) : value;
  } catch (error) {
    return error instanceof FormError ? `FormError: ${error.message}` : error;
  }
}

function expectSame(call: (curve: Secp256k1) => unknown): unknown {
  const expected = outcome(() => call(native));
  expect(outcome(() => call(wasm))).toEqual(expected);
  return expected;
}

const ROUNDS = 1000;

describe('byte for byte the native backend', () => {
  it('ECDSA: plain, with extra entropy, recoverable; recovery and verification', () => {
    for (let round = 0; round < ROUNDS; round++) {
      const [hash, key, extra] = ['hash', 'key', 'extra'].map((name) => bytesOf(round, name));
      const signature = native.signEcdsa(hash!, key!);
      expect(toHex(wasm.signEcdsa(hash!, key!))).toBe(toHex(signature));
      expectSame((curve) => curve.signEcdsa(hash!, key!, extra));
      expectSame((curve) => curve.publicKey(key!));
      const recoverable = wasm.signEcdsaRecoverable(hash!, key!);
      expect(recoverable).toEqual(native.signEcdsaRecoverable(hash!, key!));
      const publicKey = native.publicKey(key!);
      expect(wasm.recoverEcdsa(hash!, signature, recoverable.recoveryId)).toEqual(publicKey);
      expect(wasm.verifyEcdsa(hash!, signature, publicKey)).toBe(true);
      expect(wasm.verifyEcdsa(extra!, signature, publicKey)).toBe(false);
    }
  });

  it('low-R by counting extra entropy up, as commitments are signed', () => {
    const counter = new Uint8Array(32);
    for (let count = 0; count < 256; count++) {
      counter[0] = count;
      expectSame((curve) => curve.signEcdsa(bytesOf(0, 'hash'), bytesOf(0, 'key'), counter));
    }
  });

  it('keys, tweaks, ECDH and sums', () => {
    for (let round = 0; round < ROUNDS; round++) {
      const [a, b] = ['a', 'b'].map((name) => bytesOf(round, name));
      const [pointA, pointB] = [native.publicKey(a!), native.publicKey(b!)];
      expectSame((curve) => curve.privateKeyTweakAdd(a!, b!));
      expectSame((curve) => curve.privateKeyNegate(a!));
      expectSame((curve) => curve.publicKeyTweakAdd(pointA, b!));
      expectSame((curve) => curve.publicKeyTweakMul(pointA, b!));
      expectSame((curve) => curve.publicKeyCombine([pointA, pointB, pointA]));
      expectSame((curve) => curve.ecdh(pointA, b!));
    }
  });

  it('private keys multiplied: random tweaks, small ones, and those next to the order', () => {
    const near = Array.from({ length: 8 }, (_, i) => {
      const tweak = CURVE_ORDER.slice();
      tweak[31]! -= i;
      return tweak;
    });
    const small = Array.from({ length: 70 }, (_, i) => {
      const tweak = new Uint8Array(32);
      tweak[31 - (i % 32)] = 1 + i * 3;
      return tweak;
    });
    const random = Array.from({ length: 300 }, (_, round) => bytesOf(round, 'tweak'));
    for (const [round, tweak] of [...near, ...small, ...random].entries()) {
      const key = bytesOf(round, 'key');
      const given = key.slice();
      expectSame((curve) => curve.privateKeyTweakMul(given, tweak));
      expect(given).toEqual(key);
    }
  });

  it('BIP 340 is the same code, and the checks before it too', () => {
    for (let round = 0; round < 100; round++) {
      const [hash, key, aux] = ['hash', 'key', 'aux'].map((name) => bytesOf(round, name));
      const signature = wasm.signSchnorr(hash!, key!, aux!);
      expect(signature).toEqual(native.signSchnorr(hash!, key!, aux!));
      const xOnly = native.publicKey(key!).slice(1);
      expect(wasm.verifySchnorr(hash!, signature, xOnly)).toBe(true);
      expect(wasm.verifySchnorr(aux!, signature, xOnly)).toBe(false);
    }
  });
});

describe('at the edges', () => {
  const zero = new Uint8Array(32);
  const key = bytesOf(1, 'key');
  const hash = bytesOf(1, 'hash');
  const point = native.publicKey(key);
  const negative = native.publicKey(native.privateKeyNegate(key));
  const off = concat(Uint8Array.of(2), new Uint8Array(32).fill(0xff));
  const short = new Uint8Array(31).fill(1);
  const signature = native.signEcdsa(hash, key);
  const high = concat(signature.slice(0, 32), native.privateKeyNegate(signature.slice(32)));

  it.each<[string, (curve: Secp256k1) => unknown]>([
    ['zero is no key', (c) => [c.isPrivateKey(zero), c.isPrivateKey(CURVE_ORDER), c.isPrivateKey(short)]],
    ['points', (c) => [c.isPublicKey(point), c.isPublicKey(off), c.isPublicKey(new Uint8Array(65).fill(4))]],
    ['public key of zero', (c) => c.publicKey(zero)],
    ['public key of n', (c) => c.publicKey(CURVE_ORDER)],
    ['public key of 31 bytes', (c) => c.publicKey(short)],
    ['sign with short entropy', (c) => c.signEcdsa(hash, key, short)],
    ['sign with n', (c) => c.signEcdsa(hash, CURVE_ORDER)],
    ['the hash is zero', (c) => c.signEcdsa(zero, key)],
    ['zero bytes of entropy are not none', (c) => c.signEcdsa(hash, key, zero)],
    ['high S is no signature', (c) => c.verifyEcdsa(hash, high, point)],
    ['high S recovers', (c) => c.recoverEcdsa(hash, high, 0)],
    ['high S recovers the other', (c) => c.recoverEcdsa(hash, high, 1)],
    ['recovery id 2', (c) => c.recoverEcdsa(hash, signature, 2)],
    ['recovery id 4', (c) => c.recoverEcdsa(hash, signature, 4)],
    ['recovery id −1', (c) => c.recoverEcdsa(hash, signature, -1)],
    ['recover from zeros', (c) => c.recoverEcdsa(hash, new Uint8Array(64), 0)],
    ['recover from ones', (c) => c.recoverEcdsa(hash, new Uint8Array(64).fill(0xff), 0)],
    ['verify zeros', (c) => c.verifyEcdsa(hash, new Uint8Array(64), point)],
    ['verify ones', (c) => c.verifyEcdsa(hash, new Uint8Array(64).fill(0xff), point)],
    ['verify by no point', (c) => c.verifyEcdsa(hash, signature, off)],
    ['ECDH with no point', (c) => c.ecdh(off, key)],
    ['ECDH with zero', (c) => c.ecdh(point, zero)],
    [
      'ECDH with 1',
      (c) =>
        c.ecdh(
          point,
          Uint8Array.from({ length: 32 }, (_, i) => (i === 31 ? 1 : 0)),
        ),
    ],
    ['private tweak by zero', (c) => c.privateKeyTweakAdd(key, zero)],
    ['private tweak to zero', (c) => c.privateKeyTweakAdd(key, native.privateKeyNegate(key))],
    ['private tweak by n', (c) => c.privateKeyTweakAdd(key, CURVE_ORDER)],
    ['private tweak to twice the key', (c) => c.privateKeyTweakAdd(key, key)],
    ['private multiply by zero', (c) => c.privateKeyTweakMul(key, zero)],
    ['private multiply by n', (c) => c.privateKeyTweakMul(key, CURVE_ORDER)],
    ['private multiply by itself', (c) => c.privateKeyTweakMul(key, key)],
    ['private multiply of zero', (c) => c.privateKeyTweakMul(zero, key)],
    ['public tweak by zero', (c) => c.publicKeyTweakAdd(point, zero)],
    ['public tweak to infinity', (c) => c.publicKeyTweakAdd(point, native.privateKeyNegate(key))],
    ['public multiply by zero', (c) => c.publicKeyTweakMul(point, zero)],
    ['public multiply by n', (c) => c.publicKeyTweakMul(point, CURVE_ORDER)],
    ['public tweak of no point', (c) => c.publicKeyTweakAdd(off, key)],
    ['public multiply of no point', (c) => c.publicKeyTweakMul(off, key)],
    ['public tweak of another form', (c) => c.publicKeyTweakAdd(concat(point, zero), key)],
    ['combine one', (c) => c.publicKeyCombine([point])],
    ['combine to infinity', (c) => c.publicKeyCombine([point, negative])],
    ['combine through infinity', (c) => c.publicKeyCombine([point, negative, point])],
    ['combine nothing', (c) => c.publicKeyCombine([])],
    ['combine no point', (c) => c.publicKeyCombine([point, off])],
    ['combine one that is no point', (c) => c.publicKeyCombine([off])],
    ['combine no point behind infinity', (c) => c.publicKeyCombine([point, negative, off])],
    ['Schnorr with zero', (c) => c.signSchnorr(hash, zero, zero)],
    ['verify Schnorr by no point', (c) => c.verifySchnorr(hash, new Uint8Array(64), zero)],
  ])('%s', (_name, call) => {
    expectSame(call);
  });

  it('a hash past n: two valid signatures, as the older build does not reduce it for the nonce', () => {
    // RFC 6979 reduces it (bits2octets). One hash in 2^128 is such a one.
    const past = new Uint8Array(32).fill(0xff);
    for (const [signer, verifier] of [
      [native, wasm],
      [wasm, native],
    ] as const)
      expect(verifier.verifyEcdsa(past, signer.signEcdsa(past, key), point)).toBe(true);
  });

  it('draws its blinding anew, also when chance gives no usable scalar', () => {
    const draws = [zero, CURVE_ORDER, key.slice(), bytesOf(2, 'blind')];
    const drawn: number[] = [];
    const curve = openWasmSecp256k1(tiny, (count) => {
      drawn.push(count);
      return draws[drawn.length - 1]!.slice();
    });
    expect(curve.ecdh(point, key)).toEqual(native.ecdh(point, key));
    // The key itself as the blinding leaves nothing to multiply by.
    expect(drawn).toEqual([32, 32, 32, 32]);
  });

  it.each<[string, Partial<typeof tiny>]>([
    [
      'throws',
      {
        pointFromScalar: () => {
          throw new RangeError('offset is out of bounds');
        },
      },
    ],
    ['gives nothing', { pointFromScalar: () => null }],
    ['gives another point', { pointFromScalar: () => point }],
  ])('does not open over a module that the bundler broke: it %s', (_what, broken) => {
    const open = () => openWasmSecp256k1({ ...tiny, ...broken }, randomBytes);
    expect(open).toThrow(expect.objectContaining({ code: 'crypto-unavailable' }));
    expect(open).toThrow(/vite-plugin-wasm/);
  });

  it('loads by itself, and says which it is', async () => {
    const curve = await loadWasmSecp256k1(randomBytes);
    expect(curve.name).toContain('WASM');
    expect(curve.name).not.toContain('N-API');
    expect(Object.isFrozen(curve)).toBe(true);
    expect(curve.publicKey(key)).toEqual(point);
  });
});
