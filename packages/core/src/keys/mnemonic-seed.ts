/** BIP 39: mnemonic sentence to 64-byte seed. */
import { concat, pbkdf2Sha512 } from '@countersign/bitcoin';
import { Secret } from './secret.ts';

const SALT_PREFIX = new TextEncoder().encode('mnemonic');
const ITERATIONS = 2048;

/**
 * Bytes exactly as stored and typed: libwally, and so CLN, applies no Unicode normalization to either, unlike
 * BIP 39's text. For ASCII both agree.
 */
export function mnemonicSeed(mnemonic: Uint8Array, passphrase: Uint8Array): Secret {
  const salt = concat(SALT_PREFIX, passphrase);
  const seed = pbkdf2Sha512(mnemonic, salt, ITERATIONS);
  salt.fill(0);
  return Secret.own(seed, 64);
}
