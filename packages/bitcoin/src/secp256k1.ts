/**
 * The one door to the curve. Everything above talks to this interface; the default backend is the native
 * libsecp256k1 (`secp256k1` for ECDSA, ECDH and tweaks; `tiny-secp256k1` for BIP 340). There is no fallback:
 * where the native library is missing, loading throws and the process refuses to start.
 */

/** All byte arrays: private keys, tweaks and hashes 32 bytes; public keys 33 (compressed); x-only keys 32. */
export interface Secp256k1 {
  readonly name: string;
  /** 1 … n−1. */
  isPrivateKey(key: Uint8Array): boolean;
  /** A compressed point on the curve. */
  isPublicKey(key: Uint8Array): boolean;
  /** Throws `FormError` for an invalid private key. */
  publicKey(privateKey: Uint8Array): Uint8Array;
  /**
   * RFC 6979, low-S, 64 bytes compact. `extraEntropy` (32 bytes) is mixed into the nonce as RFC 6979 section 3.6
   * describes; absent means none at all, which differs from 32 zero bytes.
   */
  signEcdsa(hash: Uint8Array, privateKey: Uint8Array, extraEntropy?: Uint8Array): Uint8Array;
  /** RFC 6979 without extra entropy; `recoveryId` 0–3. */
  signEcdsaRecoverable(
    hash: Uint8Array,
    privateKey: Uint8Array,
  ): { signature: Uint8Array; recoveryId: number };
  /** False for a wrong or malformed signature, and for high-S ones. Never throws on 64 and 33 bytes. */
  verifyEcdsa(hash: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean;
  /** The key (33 bytes) that this signature is valid for, low-S or high-S; null when there is none. */
  recoverEcdsa(hash: Uint8Array, signature: Uint8Array, recoveryId: number): Uint8Array | null;
  /** SHA-256 of the compressed shared point (libsecp256k1's default, BOLT 4 and 8). */
  ecdh(publicKey: Uint8Array, privateKey: Uint8Array): Uint8Array;
  /** (key + tweak) mod n; throws `FormError` when the result is zero. Returns a new array. */
  privateKeyTweakAdd(privateKey: Uint8Array, tweak: Uint8Array): Uint8Array;
  privateKeyTweakMul(privateKey: Uint8Array, tweak: Uint8Array): Uint8Array;
  privateKeyNegate(privateKey: Uint8Array): Uint8Array;
  /** key + tweak·G. Throws `FormError` at infinity or for an invalid key. */
  publicKeyTweakAdd(publicKey: Uint8Array, tweak: Uint8Array): Uint8Array;
  publicKeyTweakMul(publicKey: Uint8Array, tweak: Uint8Array): Uint8Array;
  publicKeyCombine(keys: readonly Uint8Array[]): Uint8Array;
  /** BIP 340 with the given 32 bytes of auxiliary randomness (CLN uses zeros). */
  signSchnorr(hash: Uint8Array, privateKey: Uint8Array, auxRand: Uint8Array): Uint8Array;
  verifySchnorr(hash: Uint8Array, signature: Uint8Array, xOnlyKey: Uint8Array): boolean;
}
