/**
 * The seed file on disk: made once, for its owner only, and durable before anybody relies on it. A change of the passphrase
 * writes a new file beside the old one and puts it in its place in one step.
 */
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { syncDirectory } from '@countersign/host';
import { DaemonError } from '../error.ts';
import { SEED_FILE_BYTES_MAX } from './format.ts';

const MODE = 0o600;

/** Throws `DaemonError` `seed-file` when it is there already, or cannot be made. */
export function createSeedFile(path: string, bytes: Uint8Array): void {
  if (existsSync(path)) throw new DaemonError('seed-file', `${path} exists already: it is never overwritten`);
  attempt(`cannot create ${path}`, () => write(path, bytes));
}

/** The old file stays until the new one is durable. */
export function replaceSeedFile(path: string, bytes: Uint8Array): void {
  const next = `${path}.new`;
  attempt(`cannot replace ${path}`, () => {
    if (existsSync(next)) unlinkSync(next);
    write(next, bytes);
    renameSync(next, path);
    syncDirectory(dirname(path));
  });
}

/** At most as many bytes as a seed file can have, and one more. */
export function readSeedFile(path: string): Uint8Array {
  return attempt(`cannot read ${path}`, () => {
    const descriptor = openSync(path, constants.O_RDONLY);
    try {
      const room = new Uint8Array(SEED_FILE_BYTES_MAX + 1);
      let length = 0;
      for (let count = -1; count !== 0 && length < room.length; length += count) {
        count = readSync(descriptor, room, length, room.length - length, null);
      }
      return room.slice(0, length);
    } finally {
      closeSync(descriptor);
    }
  });
}

function write(path: string, bytes: Uint8Array): void {
  const descriptor = openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, MODE);
  try {
    let written = 0;
    while (written < bytes.length) written += writeSync(descriptor, bytes, written);
    fsyncSync(descriptor);
  } catch (error) {
    unlinkSync(path);
    throw error;
  } finally {
    closeSync(descriptor);
  }
  syncDirectory(dirname(path));
}

function attempt<T>(what: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DaemonError('seed-file', `${what}: ${reason}`, {}, { cause });
  }
}
