/**
 * BIP 39: mnemonic sentence to 64-byte seed. The only file of `keys/` that needs the platform's PBKDF2, so that a
 * browser build replaces this file alone.
 */
import { pbkdf2Sync } from 'node:crypto';
import { concat } from '@countersign/bitcoin';
import { Secret } from './secret.ts';

const SALT_PREFIX = new TextEncoder().encode('mnemonic');
const ITERATIONS = 2048;

/**
 * Bytes exactly as stored and typed: libwally, and so CLN, applies no Unicode normalization to either, unlike
 * BIP 39's text. For ASCII both agree.
 */
export function mnemonicSeed(mnemonic: Uint8Array, passphrase: Uint8Array): Secret {
  const salt = concat(SALT_PREFIX, passphrase);
  const seed = pbkdf2Sync(mnemonic, salt, ITERATIONS, 64, 'sha512');
  salt.fill(0);
  const secret = Secret.copy(seed, 64);
  seed.fill(0);
  return secret;
}
