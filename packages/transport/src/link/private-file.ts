/**
 * Small files that only their owner may read: written whole or not at all, and not read when others could have written
 * or read them.
 */
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { LinkError } from './error.ts';

/** No file of the link comes near it. */
const FILE_BYTES_MAX = 256 * 1024;
const LOCK_WAIT_MS = 10;
const LOCK_TRIES = 200;
/** A lock older than this was left by a process that died. */
const LOCK_STALE_MS = 10_000;

export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** Undefined when there is none. Throws `link-file`. */
export function readPrivateFile(path: string): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (cause) {
    if (hasCode(cause, 'ENOENT')) return undefined;
    throw new LinkError('link-file', `cannot open ${path}`, {}, { cause });
  }
  try {
    const { mode, size, uid } = fstatSync(descriptor);
    if ((mode & 0o077) !== 0) throw new LinkError('link-file', `others may use ${path}: give it mode 600`);
    if (uid !== process.getuid?.()) throw new LinkError('link-file', `${path} belongs to another user`);
    if (size > FILE_BYTES_MAX)
      throw new LinkError('link-file', `${path} is far too long`, { size_bytes: size });
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}

/** The new content is there after a crash, or the old one is. Throws `link-file`. */
export function writePrivateFile(path: string, content: string): void {
  const fresh = `${path}.new`;
  try {
    rmSync(fresh, { force: true });
    // Durable when the write returns: Node.js's permission model denies fsync.
    const { O_CREAT, O_EXCL, O_WRONLY, O_SYNC } = constants;
    const descriptor = openSync(fresh, O_CREAT | O_EXCL | O_WRONLY | O_SYNC, 0o600);
    try {
      const bytes = Buffer.from(content);
      for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
    } finally {
      closeSync(descriptor);
    }
    renameSync(fresh, path);
    syncDirectoryOf(path);
  } catch (cause) {
    throw new LinkError('link-file', `cannot write ${path}`, {}, { cause });
  }
}

/** Move a file over another, for good. Throws `link-file`. */
export function replaceFile(from: string, to: string): void {
  try {
    renameSync(from, to);
    syncDirectoryOf(to);
  } catch (cause) {
    throw new LinkError('link-file', `cannot move ${from} to ${to}`, {}, { cause });
  }
}

function syncDirectoryOf(path: string): void {
  const descriptor = openSync(dirname(path), 'r');
  try {
    fsyncSync(descriptor);
  } catch (error) {
    // Under the permission model: then a crash may bring the old file back, whole.
    if (!hasCode(error, 'ERR_ACCESS_DENIED')) throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** Changes whenever the file was written anew; empty when there is none. Throws `link-file`. */
export function fileStamp(path: string): string {
  let found: BigIntStats | undefined;
  try {
    found = statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch (cause) {
    throw new LinkError('link-file', `cannot look at ${path}`, {}, { cause });
  }
  return found === undefined ? '' : `${found.ino}:${found.mtimeNs}:${found.ctimeNs}:${found.size}`;
}

/**
 * Read, change, write, with no other process in between: the commands of the operator change the files of a running
 * daemon. Such changes are rare and short, so waiting for another blocks.
 */
export function withLock<Result>(path: string, nowMs: () => number, change: () => Result): Result {
  const lock = `${path}.lock`;
  takeLock(lock, nowMs);
  try {
    return change();
  } finally {
    rmSync(lock, { force: true });
  }
}

function takeLock(lock: string, nowMs: () => number): void {
  for (let attempt = 0; attempt < LOCK_TRIES; attempt++) {
    try {
      closeSync(openSync(lock, 'wx', 0o600));
      return;
    } catch (cause) {
      if (!hasCode(cause, 'EEXIST')) throw new LinkError('link-file', `cannot create ${lock}`, {}, { cause });
    }
    const held = statSync(lock, { throwIfNoEntry: false });
    if (held !== undefined && nowMs() - held.mtimeMs > LOCK_STALE_MS) rmSync(lock, { force: true });
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_WAIT_MS);
  }
  throw new LinkError('link-file', `another process holds ${lock}: remove it if there is none`);
}
