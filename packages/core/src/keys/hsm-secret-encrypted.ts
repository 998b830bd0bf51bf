/**
 * CLN's legacy encrypted `hsm_secret`: 24 bytes of secretstream header and 49 of ciphertext, under a key stretched
 * from the passphrase with argon2id "moderate" (256 MiB). libsodium is loaded only when such a file is met.
 */
import { Secret } from './secret.ts';

export const ENCRYPTED_LENGTH_BYTES = 73;
const HEADER_LENGTH_BYTES = 24;
/** "c-lightning", zero-padded to argon2's 16 bytes. */
const SALT = new Uint8Array(16);
SALT.set(new TextEncoder().encode('c-lightning'));

/** Undefined for a wrong passphrase or a damaged file: the two cannot be told apart. */
export async function decryptSecret(file: Uint8Array, passphrase: Uint8Array): Promise<Secret | undefined> {
  const { default: sodium } = await import('libsodium-wrappers-sumo');
  await sodium.ready;
  const key = sodium.crypto_pwhash(
    32,
    passphrase,
    SALT,
    sodium.crypto_pwhash_OPSLIMIT_MODERATE,
    sodium.crypto_pwhash_MEMLIMIT_MODERATE,
    sodium.crypto_pwhash_ALG_ARGON2ID13,
  );
  try {
    const state = sodium.crypto_secretstream_xchacha20poly1305_init_pull(
      file.subarray(0, HEADER_LENGTH_BYTES),
      key,
    );
    const pulled = sodium.crypto_secretstream_xchacha20poly1305_pull(
      state,
      file.subarray(HEADER_LENGTH_BYTES),
      null,
    );
    return pulled === false ? undefined : Secret.own(pulled.message, 32);
  } finally {
    key.fill(0);
  }
}
