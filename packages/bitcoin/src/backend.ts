/**
 * The default curve backend: libsecp256k1 through the N-API bindings of `secp256k1` (ECDSA, ECDH, tweaks) and
 * through the WASM build in `tiny-secp256k1` (BIP 340). It never falls back to a JavaScript curve: where the
 * native library does not load, `loadSecp256k1` throws and nothing can be signed.
 */
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { CountersignError, FormError } from './error.ts';
import type { Secp256k1 } from './secp256k1.ts';

/** The part of `secp256k1/bindings` used here; every function throws on a value libsecp256k1 refuses. */
interface NativeBindings {
  contextRandomize(seed: Uint8Array): void;
  privateKeyVerify(key: Uint8Array): boolean;
  privateKeyNegate(key: Uint8Array): Uint8Array;
  privateKeyTweakAdd(key: Uint8Array, tweak: Uint8Array): Uint8Array;
  privateKeyTweakMul(key: Uint8Array, tweak: Uint8Array): Uint8Array;
  publicKeyVerify(key: Uint8Array): boolean;
  publicKeyCreate(privateKey: Uint8Array): Uint8Array;
  publicKeyTweakAdd(key: Uint8Array, tweak: Uint8Array): Uint8Array;
  publicKeyTweakMul(key: Uint8Array, tweak: Uint8Array): Uint8Array;
  publicKeyCombine(keys: readonly Uint8Array[]): Uint8Array;
  ecdsaSign(
    hash: Uint8Array,
    privateKey: Uint8Array,
    options: { data?: Uint8Array },
  ): { signature: Uint8Array; recid: number };
  ecdsaVerify(signature: Uint8Array, hash: Uint8Array, publicKey: Uint8Array): boolean;
  ecdsaRecover(signature: Uint8Array, recoveryId: number, hash: Uint8Array): Uint8Array;
  ecdh(publicKey: Uint8Array, privateKey: Uint8Array): Uint8Array;
}

/** The part of `tiny-secp256k1` used here. */
interface SchnorrBindings {
  signSchnorr(hash: Uint8Array, privateKey: Uint8Array, auxRand: Uint8Array): Uint8Array;
  verifySchnorr(hash: Uint8Array, xOnlyKey: Uint8Array, signature: Uint8Array): boolean;
}

function requireLength(bytes: Uint8Array, length: number, what: string): void {
  if (bytes.length !== length) {
    throw new FormError(`${what} has the wrong length`, { bytes: bytes.length, bytes_expected: length });
  }
}

/** libsecp256k1 refused a value: to the caller that is malformed input. The library's message is not repeated. */
function orFormError<T>(action: () => T, message: string): T {
  try {
    return action();
  } catch {
    throw new FormError(message);
  }
}

function orFalse(action: () => boolean): boolean {
  try {
    return action();
  } catch {
    return false;
  }
}

/** BIP 340 through the WASM build; the keys were checked by the native library before they come here. */
function schnorrPart(schnorr: SchnorrBindings, requirePrivateKey: (key: Uint8Array) => void) {
  return {
    signSchnorr(hash: Uint8Array, privateKey: Uint8Array, auxRand: Uint8Array): Uint8Array {
      requireLength(hash, 32, 'hash');
      requireLength(auxRand, 32, 'auxiliary randomness');
      requirePrivateKey(privateKey);
      return orFormError(() => schnorr.signSchnorr(hash, privateKey, auxRand), 'signing failed');
    },
    verifySchnorr(hash: Uint8Array, signature: Uint8Array, xOnlyKey: Uint8Array): boolean {
      requireLength(hash, 32, 'hash');
      requireLength(signature, 64, 'signature');
      requireLength(xOnlyKey, 32, 'x-only key');
      return orFalse(() => schnorr.verifySchnorr(hash, xOnlyKey, signature));
    },
  };
}

/** Key arithmetic: every result is a fresh array, every value libsecp256k1 refuses a `FormError`. */
function tweakPart(
  native: NativeBindings,
  requirePrivateKey: (key: Uint8Array) => void,
  requirePublicKey: (key: Uint8Array) => void,
) {
  const refused = 'tweak out of range or result invalid';
  return {
    privateKeyTweakAdd(privateKey: Uint8Array, tweak: Uint8Array): Uint8Array {
      requirePrivateKey(privateKey);
      requireLength(tweak, 32, 'tweak');
      return orFormError(() => native.privateKeyTweakAdd(Uint8Array.from(privateKey), tweak), refused);
    },
    privateKeyTweakMul(privateKey: Uint8Array, tweak: Uint8Array): Uint8Array {
      requirePrivateKey(privateKey);
      requireLength(tweak, 32, 'tweak');
      return orFormError(() => native.privateKeyTweakMul(Uint8Array.from(privateKey), tweak), refused);
    },
    privateKeyNegate(privateKey: Uint8Array): Uint8Array {
      requirePrivateKey(privateKey);
      return native.privateKeyNegate(Uint8Array.from(privateKey));
    },
    publicKeyTweakAdd(publicKey: Uint8Array, tweak: Uint8Array): Uint8Array {
      requirePublicKey(publicKey);
      requireLength(tweak, 32, 'tweak');
      return orFormError(() => native.publicKeyTweakAdd(publicKey, tweak), refused);
    },
    publicKeyTweakMul(publicKey: Uint8Array, tweak: Uint8Array): Uint8Array {
      requirePublicKey(publicKey);
      requireLength(tweak, 32, 'tweak');
      return orFormError(() => native.publicKeyTweakMul(publicKey, tweak), refused);
    },
    publicKeyCombine(keys: readonly Uint8Array[]): Uint8Array {
      if (keys.length === 0) throw new FormError('no public keys to combine');
      for (const key of keys) requirePublicKey(key);
      return orFormError(() => native.publicKeyCombine([...keys]), 'the sum of the public keys is infinity');
    },
  };
}

function ecdsaPart(
  native: NativeBindings,
  requirePrivateKey: (key: Uint8Array) => void,
  requirePublicKey: (key: Uint8Array) => void,
) {
  return {
    signEcdsa(hash: Uint8Array, privateKey: Uint8Array, extraEntropy?: Uint8Array): Uint8Array {
      requireLength(hash, 32, 'hash');
      requirePrivateKey(privateKey);
      if (extraEntropy !== undefined) requireLength(extraEntropy, 32, 'extra entropy');
      const options = extraEntropy === undefined ? {} : { data: extraEntropy };
      return orFormError(() => native.ecdsaSign(hash, privateKey, options).signature, 'signing failed');
    },
    signEcdsaRecoverable(hash: Uint8Array, privateKey: Uint8Array) {
      requireLength(hash, 32, 'hash');
      requirePrivateKey(privateKey);
      const { signature, recid } = orFormError(
        () => native.ecdsaSign(hash, privateKey, {}),
        'signing failed',
      );
      return { signature, recoveryId: recid };
    },
    verifyEcdsa(hash: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
      requireLength(hash, 32, 'hash');
      requireLength(signature, 64, 'signature');
      requireLength(publicKey, 33, 'public key');
      return orFalse(() => native.ecdsaVerify(signature, hash, publicKey));
    },
    recoverEcdsa(hash: Uint8Array, signature: Uint8Array, recoveryId: number): Uint8Array | null {
      requireLength(hash, 32, 'hash');
      requireLength(signature, 64, 'signature');
      try {
        return native.ecdsaRecover(signature, recoveryId, hash);
      } catch {
        return null;
      }
    },
    ecdh(publicKey: Uint8Array, privateKey: Uint8Array): Uint8Array {
      requirePublicKey(publicKey);
      requirePrivateKey(privateKey);
      return native.ecdh(publicKey, privateKey);
    },
  };
}

function createBackend(native: NativeBindings, schnorr: SchnorrBindings): Secp256k1 {
  const isPrivateKey = (key: Uint8Array) => key.length === 32 && native.privateKeyVerify(key);
  const isPublicKey = (key: Uint8Array) => key.length === 33 && native.publicKeyVerify(key);
  const requirePrivateKey = (key: Uint8Array): void => {
    requireLength(key, 32, 'private key');
    if (!isPrivateKey(key)) throw new FormError('private key out of range');
  };
  const requirePublicKey = (key: Uint8Array): void => {
    requireLength(key, 33, 'public key');
    if (!isPublicKey(key)) throw new FormError('not a point on the curve');
  };
  return Object.freeze({
    name: 'libsecp256k1 (secp256k1 N-API, tiny-secp256k1 WASM)',
    isPrivateKey,
    isPublicKey,
    publicKey(privateKey: Uint8Array): Uint8Array {
      requirePrivateKey(privateKey);
      return native.publicKeyCreate(privateKey);
    },
    ...ecdsaPart(native, requirePrivateKey, requirePublicKey),
    ...tweakPart(native, requirePrivateKey, requirePublicKey),
    ...schnorrPart(schnorr, requirePrivateKey),
  });
}

function requireModule<T>(load: (name: string) => unknown, name: string): T {
  try {
    return load(name) as T;
  } catch (cause) {
    throw new CountersignError(
      'crypto-unavailable',
      `cannot load ${name}: install it for this platform (npm install; where no prebuilt binary fits, npm rebuild secp256k1 --ignore-scripts=false with a C++ compiler and Python)`,
      { module: name, platform: process.platform, arch: process.arch, node: process.version },
      { cause },
    );
  }
}

/**
 * Build a backend from the modules `load` returns for `secp256k1/bindings` and `tiny-secp256k1`. Throws
 * `CountersignError` 'crypto-unavailable' when one does not load.
 */
export function openSecp256k1(load: (name: string) => unknown): Secp256k1 {
  const native = requireModule<NativeBindings>(load, 'secp256k1/bindings');
  const schnorr = requireModule<SchnorrBindings>(load, 'tiny-secp256k1');
  // Blinds libsecp256k1's scalar multiplications against side channels; results do not depend on it.
  native.contextRandomize(randomBytes(32));
  return createBackend(native, schnorr);
}

let loaded: Secp256k1 | undefined;

/**
 * The default backend, loaded once per process (about 20 ms). Throws `CountersignError` 'crypto-unavailable'
 * when the native library or the WASM module cannot be loaded.
 */
export function loadSecp256k1(): Secp256k1 {
  loaded ??= openSecp256k1(createRequire(import.meta.url));
  return loaded;
}
