/**
 * One-shot hashes where there is no OpenSSL: `@noble/hashes`, audited. The condition `browser` of the package's imports
 * chooses this file when a bundle is built; nothing chooses at run time.
 */
import { ripemd160 } from '@noble/hashes/legacy.js';
import { pbkdf2 } from '@noble/hashes/pbkdf2.js';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import type { HashAlgorithm } from './hashing-openssl.ts';

const HASHES = { sha256, sha512, ripemd160 };

/** A fresh, plain array. */
export function digest(algorithm: HashAlgorithm, data: Uint8Array): Uint8Array {
  return HASHES[algorithm](data);
}

/** The same: nothing here passes through a text. */
export const publicDigest = digest;

/** PBKDF2 over HMAC-SHA-512 (RFC 8018), 64 bytes. */
export function pbkdf2Sha512(password: Uint8Array, salt: Uint8Array, iterations: number): Uint8Array {
  return pbkdf2(sha512, password, salt, { c: iterations, dkLen: 64 });
}
