/**
 * Keys, points and signatures, by libsecp256k1: `secp256k1`'s native bindings for ECDSA, `tiny-secp256k1` for BIP 340.
 * The bindings are required by their own file: the package's entry would fall back to `elliptic` without a word.
 */
import { createRequire } from 'node:module';
import * as tiny from 'tiny-secp256k1';
import { taggedHash } from './hash.ts';

interface Bindings {
  publicKeyVerify(key: Uint8Array): boolean;
  privateKeyVerify(key: Uint8Array): boolean;
  publicKeyCreate(key: Uint8Array): Uint8Array;
  publicKeyCombine(points: readonly Uint8Array[]): Uint8Array;
  publicKeyTweakAdd(point: Uint8Array, tweak: Uint8Array): Uint8Array;
  publicKeyTweakMul(point: Uint8Array, tweak: Uint8Array): Uint8Array;
  privateKeyTweakAdd(key: Uint8Array, tweak: Uint8Array): Uint8Array;
  privateKeyTweakMul(key: Uint8Array, tweak: Uint8Array): Uint8Array;
  signatureExport(signature: Uint8Array): Uint8Array;
  signatureImport(der: Uint8Array): Uint8Array;
  ecdsaSign(
    digest: Uint8Array,
    key: Uint8Array,
    options?: { data?: Uint8Array },
  ): { signature: Uint8Array; recid: number };
  ecdsaVerify(signature: Uint8Array, digest: Uint8Array, point: Uint8Array): boolean;
  ecdsaRecover(signature: Uint8Array, recoveryId: number, digest: Uint8Array): Uint8Array;
  ecdh(point: Uint8Array, key: Uint8Array): Uint8Array;
}

const native: Bindings = createRequire(import.meta.url)('secp256k1/bindings.js');

export const isPublicKey = (bytes: Uint8Array): boolean =>
  (bytes.length === 33 || bytes.length === 65) && native.publicKeyVerify(bytes);
export const isPrivateKey = (bytes: Uint8Array): boolean =>
  bytes.length === 32 && native.privateKeyVerify(bytes);

/** Compressed. */
export const publicKeyOf = (key: Uint8Array): Uint8Array => native.publicKeyCreate(key);

/** Throws when the points cancel out. */
export const addPoints = (...points: readonly Uint8Array[]): Uint8Array => native.publicKeyCombine(points);
/** point + tweak·G */
export const tweakPoint = (point: Uint8Array, tweak: Uint8Array): Uint8Array =>
  native.publicKeyTweakAdd(point, tweak);
export const multiplyPoint = (point: Uint8Array, factor: Uint8Array): Uint8Array =>
  native.publicKeyTweakMul(point, factor);
/** key + tweak, modulo the order */
export const tweakKey = (key: Uint8Array, tweak: Uint8Array): Uint8Array =>
  native.privateKeyTweakAdd(key.slice(), tweak);
export const multiplyKey = (key: Uint8Array, factor: Uint8Array): Uint8Array =>
  native.privateKeyTweakMul(key.slice(), factor);

/** SHA256 of the compressed product, as BOLT 8 wants it. */
export const ecdh = (point: Uint8Array, key: Uint8Array): Uint8Array => native.ecdh(point, key);

/** Compact, low S; RFC 6979. */
export const sign = (digest: Uint8Array, key: Uint8Array): Uint8Array =>
  native.ecdsaSign(digest, key).signature;

export function signRecoverable(
  digest: Uint8Array,
  key: Uint8Array,
): { readonly signature: Uint8Array; readonly recoveryId: number } {
  const { signature, recid } = native.ecdsaSign(digest, key);
  return { signature, recoveryId: recid };
}

/** False too for a signature that is none and a key that is no point. S above half the order is not accepted. */
export function verify(signature: Uint8Array, digest: Uint8Array, point: Uint8Array): boolean {
  try {
    return native.ecdsaVerify(signature, digest, point);
  } catch {
    return false;
  }
}

export const recover = (signature: Uint8Array, recoveryId: number, digest: Uint8Array): Uint8Array =>
  native.ecdsaRecover(signature, recoveryId, digest);

/** DER and the sighash byte, as a witness has it. */
export function toScriptSignature(signature: Uint8Array, sighashType: number): Uint8Array {
  const der = native.signatureExport(signature);
  const out = new Uint8Array(der.length + 1);
  out.set(der);
  out[der.length] = sighashType;
  return out;
}

/** Undefined when the bytes before the sighash byte are no strict DER signature. S stays as it is. */
export function fromScriptSignature(
  bytes: Uint8Array,
): { readonly signature: Uint8Array; readonly sighashType: number } | undefined {
  const sighashType = bytes.at(-1);
  if (sighashType === undefined) return undefined;
  try {
    return { signature: native.signatureImport(bytes.subarray(0, -1)), sighashType };
  } catch {
    return undefined;
  }
}

export const xOnly = (point: Uint8Array): Uint8Array => point.slice(1, 33);

/** BIP 340 with 32 zero bytes of auxiliary data. */
export const signSchnorr = (digest: Uint8Array, key: Uint8Array): Uint8Array =>
  tiny.signSchnorr(digest, key, new Uint8Array(32));

/** False too for malformed input. */
export function verifySchnorr(signature: Uint8Array, digest: Uint8Array, key: Uint8Array): boolean {
  try {
    return tiny.verifySchnorr(digest, key, signature);
  } catch {
    return false;
  }
}

/** BIP 341's output key of an internal key without a script tree, as BIP 86 uses it; x only. */
export function taprootOutputKey(internal: Uint8Array): Uint8Array {
  const tweaked = tiny.xOnlyPointAddTweak(internal, taggedHash('TapTweak', internal));
  if (tweaked === null) throw new Error('no output key for this internal key');
  return tweaked.xOnlyPubkey;
}
