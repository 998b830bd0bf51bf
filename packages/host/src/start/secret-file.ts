/**
 * The `hsm_secret` file in lightningd's directory: read whole, or created as CLN creates it when there is none:
 * exclusively, mode 0400, synced with its directory before anything is derived from it.
 */
import { closeSync, constants, fsyncSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { CountersignError } from '@countersign/bitcoin';
import { newHsmSecret } from '@countersign/core';
import { syncDirectory } from '../sync-directory.ts';

export const SECRET_FILE = 'hsm_secret';
const ENTROPY_BYTES = 16;

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** Creates the file unless it exists. True when it was created. `entropy` is 16 fresh random bytes. */
export function createSecretFile(
  randomBytes: (count: number) => Uint8Array,
  passphrase: string | undefined,
  path = SECRET_FILE,
): boolean {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o400);
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw new CountersignError('hsm-secret-file', `cannot create ${path}`, {}, { cause: error });
  }
  let bytes: Uint8Array | undefined;
  try {
    const entropy = randomBytes(ENTROPY_BYTES);
    bytes = newHsmSecret(entropy, passphrase);
    entropy.fill(0);
    let written = 0;
    while (written < bytes.length) written += writeSync(descriptor, bytes, written);
    fsyncSync(descriptor);
    syncDirectory(dirname(path));
    return true;
  } catch (error) {
    // A half-written secret must not be taken for one at the next start.
    unlinkSync(path);
    throw new CountersignError('hsm-secret-file', `cannot write ${path}`, {}, { cause: error });
  } finally {
    closeSync(descriptor);
    bytes?.fill(0);
  }
}

/** The file's bytes; the caller wipes them. */
export function readSecretFile(path = SECRET_FILE): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new CountersignError('hsm-secret-file', `Could not read ${path}`, {}, { cause });
  }
}
