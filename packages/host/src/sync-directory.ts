/** A file that is new, or in the place of another, is there after a crash once its directory is synced. */
import { closeSync, constants, fsyncSync, openSync } from 'node:fs';

/** Throws system errors. Node.js's permission model denies it. */
export function syncDirectory(path: string): void {
  const descriptor = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
