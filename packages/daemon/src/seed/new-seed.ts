/**
 * A seed for a new signer, or the one a node has already: always CLN's `hsm_secret`, sealed under a passphrase and written once.
 * The words of a new one are handed out here and nowhere else.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { equalBytes, type Secp256k1 } from '@countersign/bitcoin';
import {
  type HsmSecretKind,
  hsmSecretKind,
  KeyRing,
  type KeyStyle,
  type Network,
  newHsmSecret,
  openHsmSecret,
  type Secret,
} from '@countersign/core';
import { DaemonError } from '../error.ts';
import { createSeedFile, readSeedFile, replaceSeedFile } from './file.ts';
import { openSeed, readSeedFacts, type SeedCost, type SeedSecret, sealSeed, wipeSeed } from './format.ts';

const ENTROPY_BYTES = 16;
const LDK_SEED_BYTES = 32;
/** Before the words of a new `hsm_secret`. */
const WORDS_AT = 32;

export interface SeedPlace {
  readonly secp: Secp256k1;
  readonly randomBytes: (count: number) => Uint8Array;
  /** That of `SEED_COST` unless a test is in a hurry. */
  readonly cost?: SeedCost;
}

/** CLN's 12 words of BIP 39. The caller wipes the secret; the words are a text, which nothing can wipe. */
export function newSeed({ randomBytes }: SeedPlace): {
  readonly secret: SeedSecret;
  readonly words: readonly string[];
} {
  const entropy = randomBytes(ENTROPY_BYTES);
  const hsmSecret = newHsmSecret(entropy);
  entropy.fill(0);
  const words = new TextDecoder().decode(hsmSecret.subarray(WORDS_AT)).split(' ');
  return { secret: { hsmSecret, passphrase: null }, words };
}

/** Whether it needs the passphrase it was made with. Throws core's `HsmSecretError`. */
export function needsPassphrase(kind: HsmSecretKind): boolean {
  return kind === 'encrypted' || kind === 'mnemonic-with-passphrase';
}

export const kindOf = (hsmSecret: Uint8Array): HsmSecretKind => hsmSecretKind(hsmSecret);

export interface WriteSeed {
  readonly path: string;
  readonly network: Network;
  /** Default `cln`. */
  readonly keyStyle?: KeyStyle;
  readonly secret: SeedSecret;
  readonly passphrase: Uint8Array;
}

/** Returns the node id. Rejects with `DaemonError`, or core's `HsmSecretError` for a secret that does not open. */
export async function writeSeed(
  place: SeedPlace,
  { path, network, keyStyle = 'cln', secret, passphrase }: WriteSeed,
): Promise<Uint8Array> {
  const nodeId = await nodeIdOf(place, secret, keyStyle, network);
  const facts = { nodeId, chainHash: network.chainHash };
  const file = await sealSeed({ ...place, facts, secret, passphrase });
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  createSeedFile(path, file);
  return nodeId;
}

/** The same seed under another passphrase, with new salt and nonce. */
export async function changePassphrase(
  place: SeedPlace,
  path: string,
  passphrases: { readonly old: Uint8Array; readonly next: Uint8Array },
): Promise<void> {
  const file = readSeedFile(path);
  const secret = await openSeed(file, passphrases.old);
  try {
    const facts = readSeedFacts(file);
    const next = await sealSeed({ ...place, facts, secret, passphrase: passphrases.next });
    await requireSame(next, secret, passphrases.next);
    replaceSeedFile(path, next);
  } finally {
    wipeSeed(secret);
  }
}

/** Nothing replaces the old file that was not seen to open. */
async function requireSame(file: Uint8Array, secret: SeedSecret, passphrase: Uint8Array): Promise<void> {
  const again = await openSeed(file, passphrase);
  const isSame = equalBytes(again.hsmSecret, secret.hsmSecret);
  wipeSeed(again);
  if (!isSame) throw new TypeError('a sealed seed opens as another');
}

async function nodeIdOf(
  { secp }: SeedPlace,
  secret: SeedSecret,
  keyStyle: KeyStyle,
  network: Network,
): Promise<Uint8Array> {
  const { seed } = await openHsmSecret(secret.hsmSecret, secret.passphrase ?? undefined);
  const ring = ringOf(secp, seed, keyStyle, network);
  seed.wipe();
  const nodeId = Uint8Array.from(ring.nodeId);
  ring.wipe();
  return nodeId;
}

/** Throws `DaemonError` for a seed that has no keys in that style: LDK's seeds have 32 bytes. */
export function ringOf(secp: Secp256k1, seed: Secret, style: KeyStyle, network: Network): KeyRing {
  if (style === 'ldk' && seed.length !== LDK_SEED_BYTES)
    throw new DaemonError(
      'seed-file-invalid',
      'key_style = "ldk" is for the 32 bytes of an LDK node\'s seed, not for a mnemonic',
      { bytes: seed.length },
    );
  return new KeyRing({ secp256k1: secp, seed, style, bip32PublicVersion: network.bip32Public });
}
