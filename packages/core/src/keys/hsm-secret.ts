/**
 * CLN's `hsm_secret` file, bytes in and bytes out: the four forms it can have, opened to the seed everything is
 * derived from, and the form CLN writes for a new node. A file that does not open is an `HsmSecretError`.
 */
import { FormError, sha256 } from '@countersign/bitcoin';
import { entropyToMnemonic, validateMnemonic } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { decryptSecret, ENCRYPTED_LENGTH_BYTES } from './hsm-secret-encrypted.ts';
import { HsmSecretError } from './hsm-secret-error.ts';
import { mnemonicSeed } from './mnemonic-seed.ts';
import { reveal, Secret } from './secret.ts';

/** The `hsm_secret_type` of INIT's reply (114, TLV 1), as CLN numbers the forms. */
const TYPE_NUMBER = {
  plain: 0,
  encrypted: 1,
  mnemonic: 2,
  'mnemonic-with-passphrase': 3,
} as const;

/** The four forms that CLN’s file has. */
export type HsmSecretKind = keyof typeof TYPE_NUMBER;

/** An opened `hsm_secret`. */
export interface HsmSecret {
  readonly kind: HsmSecretKind;
  /** u8 of INIT's reply, TLV 1. */
  readonly hsmSecretType: 0 | 1 | 2 | 3;
  /** 32 bytes for `plain` and `encrypted`, 64 (a BIP 39 seed) for mnemonics. The caller wipes it. */
  readonly seed: Secret;
}

const PLAIN_LENGTH_BYTES = 32;
/** In a mnemonic file, SHA-256 of the seed when it has a passphrase, else zeros. */
const SEED_HASH_LENGTH_BYTES = 32;
/** Far above 30 words; a longer file is refused before anything is stretched. */
const FILE_LENGTH_BYTES_MAX = 4096;
const ENTROPY_LENGTH_BYTES = 16;

const NO_PASSPHRASE = new Uint8Array(0);

/** Which form a file has; throws `HsmSecretError` `invalid-format`. */
export function hsmSecretKind(file: Uint8Array): HsmSecretKind {
  if (file.length < PLAIN_LENGTH_BYTES || file.length > FILE_LENGTH_BYTES_MAX) {
    throw new HsmSecretError('invalid-format');
  }
  if (file.length === PLAIN_LENGTH_BYTES) return 'plain';
  if (file.length === ENCRYPTED_LENGTH_BYTES) return 'encrypted';
  const seedHash = file.subarray(0, SEED_HASH_LENGTH_BYTES);
  return seedHash.every((byte) => byte === 0) ? 'mnemonic' : 'mnemonic-with-passphrase';
}

/**
 * Opens a file of any form. `passphrase` is INIT's TLV 1, absent when the TLV is; an empty one is not absent.
 * Only the encrypted form takes time (argon2id, about a second) and memory (256 MiB). Throws `HsmSecretError`.
 */
export async function openHsmSecret(file: Uint8Array, passphrase?: string | Uint8Array): Promise<HsmSecret> {
  if (hsmSecretKind(file) !== 'encrypted') return openHsmSecretSync(file, passphrase);
  if (passphrase === undefined) throw new HsmSecretError('passphrase-required');
  const seed = await decryptSecret(file, passphraseBytes(passphrase));
  if (seed === undefined) throw new HsmSecretError('wrong-passphrase');
  return opened('encrypted', seed);
}

/** As `openHsmSecret`, for every form but the encrypted one (`FormError`). */
export function openHsmSecretSync(file: Uint8Array, passphrase?: string | Uint8Array): HsmSecret {
  const kind = hsmSecretKind(file);
  switch (kind) {
    case 'plain':
      // CLN ignores a passphrase here: only a mnemonic can refuse one.
      return opened(kind, Secret.copy(file, 32));
    case 'encrypted':
      throw new FormError('an encrypted hsm_secret opens asynchronously');
    case 'mnemonic':
      if (passphrase !== undefined) throw new HsmSecretError('passphrase-not-needed');
      return opened(kind, openMnemonic(mnemonicText(file)));
    case 'mnemonic-with-passphrase':
      if (passphrase === undefined) throw new HsmSecretError('passphrase-required');
      return opened(kind, openProtectedMnemonic(file, passphraseBytes(passphrase)));
  }
}

/**
 * The file CLN writes for a new node: a 12-word mnemonic of 16 random bytes, with the hash of its seed when there is
 * a passphrase. Throws `FormError` for entropy of another length.
 */
export function newHsmSecret(entropy: Uint8Array, passphrase?: string | Uint8Array): Uint8Array {
  if (entropy.length !== ENTROPY_LENGTH_BYTES) {
    throw new FormError('entropy of the wrong length', {
      length_bytes: entropy.length,
      expected_bytes: ENTROPY_LENGTH_BYTES,
    });
  }
  const text = new TextEncoder().encode(entropyToMnemonic(entropy, wordlist));
  const file = new Uint8Array(SEED_HASH_LENGTH_BYTES + text.length);
  file.set(text, SEED_HASH_LENGTH_BYTES);
  if (passphrase !== undefined) {
    const seed = mnemonicSeed(text, passphraseBytes(passphrase));
    file.set(sha256(reveal(seed)));
    seed.wipe();
  }
  text.fill(0);
  return file;
}

function opened(kind: HsmSecretKind, seed: Secret): HsmSecret {
  return { kind, hsmSecretType: TYPE_NUMBER[kind], seed };
}

function openMnemonic(text: Uint8Array): Secret {
  requireMnemonic(text);
  return mnemonicSeed(text, NO_PASSPHRASE);
}

/** CLN compares the seed's hash before it looks at the words, so a wrong passphrase is always reported as such. */
function openProtectedMnemonic(file: Uint8Array, passphrase: Uint8Array): Secret {
  const text = mnemonicText(file);
  const seed = mnemonicSeed(text, passphrase);
  try {
    const seedHash = Secret.own(sha256(reveal(seed)), 32);
    if (!seedHash.equals(file.subarray(0, SEED_HASH_LENGTH_BYTES))) {
      throw new HsmSecretError('wrong-passphrase');
    }
    requireMnemonic(text);
    return seed;
  } catch (error) {
    seed.wipe();
    throw error;
  }
}

/** As a C string: up to the first NUL. */
function mnemonicText(file: Uint8Array): Uint8Array {
  const text = file.subarray(SEED_HASH_LENGTH_BYTES);
  const end = text.indexOf(0);
  return end === -1 ? text : text.subarray(0, end);
}

/** English words of BIP 39, one space between, checksum right, nothing else (no newline). */
function requireMnemonic(text: Uint8Array): void {
  // Anything but a–z and space would be folded by Unicode normalization before the words are looked up.
  const isPlain = text.every((byte) => byte === 0x20 || (byte >= 0x61 && byte <= 0x7a));
  if (!isPlain || !validateMnemonic(new TextDecoder().decode(text), wordlist)) {
    throw new HsmSecretError('invalid-mnemonic');
  }
}

function passphraseBytes(passphrase: string | Uint8Array): Uint8Array {
  return typeof passphrase === 'string' ? new TextEncoder().encode(passphrase) : passphrase;
}
