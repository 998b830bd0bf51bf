/**
 * The curve backend for browsers: libsecp256k1 as WebAssembly (`tiny-secp256k1`), byte for byte what the native backend
 * gives. Only who imports this file by its name has it: no other backend falls back to it, nor it to any.
 */
import { equalBytes, fromHex } from './bytes.ts';
import { type CurveBindings, createBackend, type SchnorrBindings } from './curve.ts';
import { CountersignError } from './error.ts';
import { sha256 } from './hash.ts';
import type { Secp256k1 } from './secp256k1.ts';

/** The part of `tiny-secp256k1` used here. Null is its word for zero and for infinity; for other faults it throws. */
export interface TinySecp256k1 extends SchnorrBindings {
  isPrivate(key: Uint8Array): boolean;
  isPointCompressed(key: Uint8Array): boolean;
  pointFromScalar(key: Uint8Array, compressed: boolean): Uint8Array | null;
  pointAdd(a: Uint8Array, b: Uint8Array, compressed: boolean): Uint8Array | null;
  pointAddScalar(point: Uint8Array, tweak: Uint8Array, compressed: boolean): Uint8Array | null;
  pointMultiply(point: Uint8Array, tweak: Uint8Array, compressed: boolean): Uint8Array | null;
  privateAdd(key: Uint8Array, tweak: Uint8Array): Uint8Array | null;
  privateSub(key: Uint8Array, tweak: Uint8Array): Uint8Array | null;
  privateNegate(key: Uint8Array): Uint8Array;
  signRecoverable(
    hash: Uint8Array,
    key: Uint8Array,
    extraEntropy?: Uint8Array,
  ): { signature: Uint8Array; recoveryId: number };
  verify(hash: Uint8Array, publicKey: Uint8Array, signature: Uint8Array, strict: boolean): boolean;
  recover(
    hash: Uint8Array,
    signature: Uint8Array,
    recoveryId: 0 | 1 | 2 | 3,
    compressed: boolean,
  ): Uint8Array | null;
}

/** As the native bindings say it: caught by `createBackend`, which has the words for it. */
function orThrow<T>(value: T | null): T {
  if (value === null) throw new RangeError('zero, or the point at infinity');
  return value;
}

/**
 * key · tweak mod n by doubling and adding, for which `tiny-secp256k1` has libsecp256k1's addition, in constant time. Which
 * additions there are shows the *tweak*: BOLT 3 multiplies private keys by hashes of public points only. No prefix of
 * a tweak below n is a multiple of n, so no intermediate value is zero.
 */
function multiplyPrivate(tiny: TinySecp256k1, key: Uint8Array, tweak: Uint8Array): Uint8Array {
  if (!tiny.isPrivate(tweak)) throw new RangeError('tweak out of range');
  let product: Uint8Array | null = null;
  for (const byte of tweak) {
    for (let mask = 0x80; mask > 0; mask >>= 1) {
      const doubled: Uint8Array | null = product && orThrow(tiny.privateAdd(product, product));
      product?.fill(0);
      product = doubled;
      if ((byte & mask) === 0) continue;
      const sum: Uint8Array = product === null ? key.slice() : orThrow(tiny.privateAdd(product, key));
      product?.fill(0);
      product = sum;
    }
  }
  return orThrow(product);
}

/** Also where two neighbours cancel each other out before the sum is complete. An addition looks at what it adds, so all are looked at. */
function combine(tiny: TinySecp256k1, keys: readonly Uint8Array[]): Uint8Array {
  if (!keys.every((key) => tiny.isPointCompressed(key))) throw new RangeError('no point on the curve');
  let sum: Uint8Array | null = null;
  for (const key of keys) sum = sum === null ? key.slice() : tiny.pointAdd(sum, key, true);
  return orThrow(sum);
}

/**
 * key · point as (key − r) · point + r · point: `tiny-secp256k1` multiplies points in variable time, so no multiplication may
 * be by the key itself. r is drawn for each call, and the result does not depend on it.
 */
function multiplyBlinded(
  tiny: TinySecp256k1,
  randomBytes: (count: number) => Uint8Array,
  point: Uint8Array,
  key: Uint8Array,
): Uint8Array {
  for (;;) {
    const blind = randomBytes(32);
    const rest = tiny.isPrivate(blind) ? tiny.privateSub(key, blind) : null;
    if (rest === null) continue;
    const first = orThrow(tiny.pointMultiply(point, rest, true));
    const second = orThrow(tiny.pointMultiply(point, blind, true));
    blind.fill(0);
    rest.fill(0);
    // Infinity only for key = 0 mod n, which no private key is.
    return orThrow(tiny.pointAdd(first, second, true));
  }
}

function bindingsOf(tiny: TinySecp256k1, randomBytes: (count: number) => Uint8Array): CurveBindings {
  return {
    privateKeyVerify: (key) => tiny.isPrivate(key),
    privateKeyNegate: (key) => tiny.privateNegate(key),
    privateKeyTweakAdd: (key, tweak) => orThrow(tiny.privateAdd(key, tweak)),
    privateKeyTweakMul: (key, tweak) => multiplyPrivate(tiny, key, tweak),
    publicKeyVerify: (key) => tiny.isPointCompressed(key),
    publicKeyCreate: (key) => orThrow(tiny.pointFromScalar(key, true)),
    publicKeyTweakAdd: (key, tweak) => orThrow(tiny.pointAddScalar(key, tweak, true)),
    publicKeyTweakMul: (key, tweak) => orThrow(tiny.pointMultiply(key, tweak, true)),
    publicKeyCombine: (keys) => combine(tiny, keys),
    ecdsaSign(hash, key, { data }) {
      const { signature, recoveryId } = tiny.signRecoverable(hash, key, data);
      return { signature, recid: recoveryId };
    },
    ecdsaVerify: (signature, hash, publicKey) => tiny.verify(hash, publicKey, signature, true),
    ecdsaRecover(signature, recoveryId, hash) {
      if (recoveryId !== 0 && recoveryId !== 1 && recoveryId !== 2 && recoveryId !== 3)
        throw new RangeError('recovery id out of range');
      return orThrow(tiny.recover(hash, signature, recoveryId, true));
    },
    ecdh(publicKey, privateKey) {
      const point = multiplyBlinded(tiny, randomBytes, publicKey, privateKey);
      const shared = sha256(point);
      point.fill(0);
      return shared;
    },
  };
}

/** The generator of the curve (SEC 2): the public key of 1. */
const GENERATOR = fromHex('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798');

/** Bundlers differ in what a WebAssembly module exports: some hand out globals, some their values. */
function requireWorking(tiny: TinySecp256k1): void {
  const one = new Uint8Array(32);
  one[31] = 1;
  let point: Uint8Array | null = null;
  let cause: unknown;
  try {
    point = tiny.pointFromScalar(one, true);
  } catch (error) {
    cause = error;
  }
  if (point !== null && equalBytes(point, GENERATOR)) return;
  throw new CountersignError(
    'crypto-unavailable',
    'tiny-secp256k1 was loaded and does not work: the bundler must hand out the exports of a WebAssembly instance as they are (Vite: vite-plugin-wasm)',
    {},
    { cause },
  );
}

/**
 * The backend over a loaded `tiny-secp256k1`. `randomBytes` must be fit for keys (`crypto.getRandomValues`): it blinds ECDH;
 * results do not depend on it. Throws `CountersignError` 'crypto-unavailable' where the module was bundled in a way that
 * breaks it.
 */
export function openWasmSecp256k1(
  tiny: TinySecp256k1,
  randomBytes: (count: number) => Uint8Array,
): Secp256k1 {
  requireWorking(tiny);
  return createBackend('libsecp256k1 (tiny-secp256k1 WASM)', bindingsOf(tiny, randomBytes), tiny);
}

/**
 * Load `tiny-secp256k1` and open the backend over it. In a browser, the bundler must know how to import WebAssembly, and the page
 * must be allowed to compile it (Content Security Policy: `script-src 'wasm-unsafe-eval'`). Rejects where it does not load.
 */
export async function loadWasmSecp256k1(randomBytes: (count: number) => Uint8Array): Promise<Secp256k1> {
  return openWasmSecp256k1(await import('tiny-secp256k1'), randomBytes);
}
