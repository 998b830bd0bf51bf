/** One-shot hashes of Node.js: OpenSSL. Its twin for browsers is `hashing-noble.ts`; a build has one of the two. */
import { hash, pbkdf2Sync } from 'node:crypto';

export type HashAlgorithm = 'sha256' | 'sha512' | 'ripemd160';

/** A fresh, plain array. */
export function digest(algorithm: HashAlgorithm, data: Uint8Array): Uint8Array {
  const out = hash(algorithm, data, 'buffer');
  return new Uint8Array(out.buffer, out.byteOffset, out.length);
}

/** As `digest`, for hashes that anybody may see: OpenSSL's bytes come as a text, for which nothing outside V8's heap is allocated. */
export function publicDigest(algorithm: HashAlgorithm, data: Uint8Array): Uint8Array {
  const text = hash(algorithm, data, 'binary');
  const out = new Uint8Array(text.length);
  for (let i = 0; i < out.length; i++) out[i] = text.charCodeAt(i);
  return out;
}

/** PBKDF2 over HMAC-SHA-512 (RFC 8018), 64 bytes. */
export function pbkdf2Sha512(password: Uint8Array, salt: Uint8Array, iterations: number): Uint8Array {
  const out = pbkdf2Sync(password, salt, iterations, 64, 'sha512');
  return new Uint8Array(out.buffer, out.byteOffset, out.length);
}
