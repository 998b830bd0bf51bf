/**
 * The curve over a libsecp256k1, whichever build of it: what goes in is checked here, once for every backend, and what
 * libsecp256k1 refuses is a `FormError`. Nothing here falls back to another implementation.
 */
import { FormError } from './error.ts';
import type { Secp256k1 } from './secp256k1.ts';

/**
 * Operations of libsecp256k1; every function throws on a value that it refuses. Those on private keys may write to the key
 * they are given, and are only ever given a copy.
 */
export interface CurveBindings {
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

/** BIP 340, as `tiny-secp256k1` names it. */
export interface SchnorrBindings {
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

/** The private keys were checked before they come here. */
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
  bindings: CurveBindings,
  requirePrivateKey: (key: Uint8Array) => void,
  requirePublicKey: (key: Uint8Array) => void,
) {
  const refused = 'tweak out of range or result invalid';
  // libsecp256k1 reads the points itself, which takes a square root each: looked at again is only what it refused, to say why.
  const ofPoints = <T>(keys: readonly Uint8Array[], action: () => T, message: string): T => {
    for (const key of keys) requireLength(key, 33, 'public key');
    try {
      return action();
    } catch {
      for (const key of keys) requirePublicKey(key);
      throw new FormError(message);
    }
  };
  return {
    privateKeyTweakAdd(privateKey: Uint8Array, tweak: Uint8Array): Uint8Array {
      requirePrivateKey(privateKey);
      requireLength(tweak, 32, 'tweak');
      return orFormError(() => bindings.privateKeyTweakAdd(Uint8Array.from(privateKey), tweak), refused);
    },
    privateKeyTweakMul(privateKey: Uint8Array, tweak: Uint8Array): Uint8Array {
      requirePrivateKey(privateKey);
      requireLength(tweak, 32, 'tweak');
      return orFormError(() => bindings.privateKeyTweakMul(Uint8Array.from(privateKey), tweak), refused);
    },
    privateKeyNegate(privateKey: Uint8Array): Uint8Array {
      requirePrivateKey(privateKey);
      return bindings.privateKeyNegate(Uint8Array.from(privateKey));
    },
    publicKeyTweakAdd(publicKey: Uint8Array, tweak: Uint8Array): Uint8Array {
      requireLength(tweak, 32, 'tweak');
      return ofPoints([publicKey], () => bindings.publicKeyTweakAdd(publicKey, tweak), refused);
    },
    publicKeyTweakMul(publicKey: Uint8Array, tweak: Uint8Array): Uint8Array {
      requireLength(tweak, 32, 'tweak');
      return ofPoints([publicKey], () => bindings.publicKeyTweakMul(publicKey, tweak), refused);
    },
    publicKeyCombine(keys: readonly Uint8Array[]): Uint8Array {
      if (keys.length === 0) throw new FormError('no public keys to combine');
      const infinity = 'the sum of the public keys is infinity';
      return ofPoints(keys, () => bindings.publicKeyCombine([...keys]), infinity);
    },
  };
}

function ecdsaPart(
  bindings: CurveBindings,
  requirePrivateKey: (key: Uint8Array) => void,
  requirePublicKey: (key: Uint8Array) => void,
) {
  return {
    signEcdsa(hash: Uint8Array, privateKey: Uint8Array, extraEntropy?: Uint8Array): Uint8Array {
      requireLength(hash, 32, 'hash');
      requirePrivateKey(privateKey);
      if (extraEntropy !== undefined) requireLength(extraEntropy, 32, 'extra entropy');
      const options = extraEntropy === undefined ? {} : { data: extraEntropy };
      return orFormError(() => bindings.ecdsaSign(hash, privateKey, options).signature, 'signing failed');
    },
    signEcdsaRecoverable(hash: Uint8Array, privateKey: Uint8Array) {
      requireLength(hash, 32, 'hash');
      requirePrivateKey(privateKey);
      const { signature, recid } = orFormError(
        () => bindings.ecdsaSign(hash, privateKey, {}),
        'signing failed',
      );
      return { signature, recoveryId: recid };
    },
    verifyEcdsa(hash: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
      requireLength(hash, 32, 'hash');
      requireLength(signature, 64, 'signature');
      requireLength(publicKey, 33, 'public key');
      return orFalse(() => bindings.ecdsaVerify(signature, hash, publicKey));
    },
    recoverEcdsa(hash: Uint8Array, signature: Uint8Array, recoveryId: number): Uint8Array | null {
      requireLength(hash, 32, 'hash');
      requireLength(signature, 64, 'signature');
      try {
        return bindings.ecdsaRecover(signature, recoveryId, hash);
      } catch {
        return null;
      }
    },
    ecdh(publicKey: Uint8Array, privateKey: Uint8Array): Uint8Array {
      requirePublicKey(publicKey);
      requirePrivateKey(privateKey);
      return bindings.ecdh(publicKey, privateKey);
    },
  };
}

/** The backend over these bindings, frozen. `name` tells people which build it is. */
export function createBackend(name: string, bindings: CurveBindings, schnorr: SchnorrBindings): Secp256k1 {
  const isPrivateKey = (key: Uint8Array) => key.length === 32 && bindings.privateKeyVerify(key);
  const isPublicKey = (key: Uint8Array) => key.length === 33 && bindings.publicKeyVerify(key);
  const requirePrivateKey = (key: Uint8Array): void => {
    requireLength(key, 32, 'private key');
    if (!isPrivateKey(key)) throw new FormError('private key out of range');
  };
  const requirePublicKey = (key: Uint8Array): void => {
    requireLength(key, 33, 'public key');
    if (!isPublicKey(key)) throw new FormError('not a point on the curve');
  };
  return Object.freeze({
    name,
    isPrivateKey,
    isPublicKey,
    publicKey(privateKey: Uint8Array): Uint8Array {
      requirePrivateKey(privateKey);
      return bindings.publicKeyCreate(privateKey);
    },
    ...ecdsaPart(bindings, requirePrivateKey, requirePublicKey),
    ...tweakPart(bindings, requirePrivateKey, requirePublicKey),
    ...schnorrPart(schnorr, requirePrivateKey),
  });
}
