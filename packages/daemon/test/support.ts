/** Shared by the daemon's tests: directories that go away, seeds that are quick to open, signers in this process. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSecp256k1 } from '@countersign/bitcoin';
import { KeyRing, networkByName, openHsmSecretSync } from '@countersign/core';
import { afterAll } from 'vitest';
import type { Log } from '../src/observe/log.ts';
import type { SeedCost, SeedSecret } from '../src/seed/format.ts';
import type { PassphrasePlace } from '../src/seed/passphrase.ts';

export const secp = loadSecp256k1();
export const random = (count: number): Uint8Array => Uint8Array.from(randomBytes(count));
/** A test is in a hurry; 16 KiB. */
export const QUICK: SeedCost = { log2N: 4, r: 8, p: 1 };
export const regtest = networkByName('regtest')!;
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const directories: string[] = [];
afterAll(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-daemon-'));
  directories.push(directory);
  return directory;
}

/** A plain `hsm_secret`, as in CLN before mnemonics. */
export const plainSecret = (byte: number): SeedSecret => ({
  hsmSecret: new Uint8Array(32).fill(byte),
  passphrase: null,
});

export function ringOf(byte: number): KeyRing {
  const { seed } = openHsmSecretSync(plainSecret(byte).hsmSecret);
  return new KeyRing({ secp256k1: secp, seed, bip32PublicVersion: regtest.bip32Public });
}

export const noPassphrases: PassphrasePlace = {
  credentialsDirectory: undefined,
  ask: null,
  warn: () => {},
};

export interface Logged {
  readonly log: Log;
  readonly lines: string[];
}

export function logged(): Logged {
  const lines: string[] = [];
  const logOf = (name: string): Log =>
    Object.assign(
      (level: string, text: string, facts: object = {}) =>
        void lines.push(`${level}: ${name}${text} ${JSON.stringify(facts)}`),
      { of: (node: string) => logOf(`${node}: `) },
    );
  return { log: logOf(''), lines };
}

/** The point of a private key made from a name: a public key of somebody, the same in every run. */
export function keyOf(name: string): Uint8Array {
  return secp.publicKey(createHash('sha256').update(name).digest());
}
