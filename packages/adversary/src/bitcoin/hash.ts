/** The hash functions of Bitcoin and of BOLT 3. */
import { ripemd160 as noblesRipemd160 } from '@noble/hashes/legacy.js';
import { sha256 as noblesSha256 } from '@noble/hashes/sha2.js';
import { concatBytes } from './bytes.ts';

export const sha256 = (bytes: Uint8Array): Uint8Array => noblesSha256(bytes);
export const ripemd160 = (bytes: Uint8Array): Uint8Array => noblesRipemd160(bytes);
export const hash256 = (bytes: Uint8Array): Uint8Array => noblesSha256(noblesSha256(bytes));
export const hash160 = (bytes: Uint8Array): Uint8Array => noblesRipemd160(noblesSha256(bytes));

/** BIP 340: SHA256(SHA256(tag) ‖ SHA256(tag) ‖ message). */
export function taggedHash(tag: string, message: Uint8Array): Uint8Array {
  const prefix = noblesSha256(new TextEncoder().encode(tag));
  return noblesSha256(concatBytes(prefix, prefix, message));
}
