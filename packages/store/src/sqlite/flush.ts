/**
 * Who makes a written batch durable, and why this way.
 *
 * `blocking`, the default: SQLite itself, under synchronous=FULL: the mode it documents as durable, with nothing of
 * ours between a commit and the medium. The event loop stands still for one sync per batch, and everything asked
 * meanwhile is the next batch. `overlapped`: the frames are written under NORMAL and libuv's pool does the one sync
 * of the log that FULL would add (https://www.sqlite.org/pragma.html#pragma_synchronous), while the caller computes
 * its signatures. The promises are the same; it is there for media whose syncs take milliseconds.
 *
 * Measured on 2 virtual cores, one commit of 2 KB beside 0.3 ms of signing, medians (blocking / worker / overlapped):
 * 0.42 / 0.32 / 0.33 ms where a sync takes 0.1 ms; 2.57 / 2.34 / 2.27 ms where it takes 2 ms. With several callers
 * blocking makes the larger batches: 26k / 13k / 15k commits per second with 8, 63k / 37k / 44k with 32. A worker
 * thread that owns the writing connection gains nothing over `overlapped`; it costs 36 to 60 ms at start, where 40 is
 * the budget of the whole open, and needs a second connection: no exclusive locking mode, an -shm file, one more lock.
 */
import { fdatasync, fdatasyncSync } from 'node:fs';
import { promisify } from 'node:util';

/** Resolves when everything written to the file so far is on the medium. */
export type SyncFile = (fd: number) => Promise<void>;

export type Flush =
  | {
      readonly kind: 'overlapped';
      readonly syncFile: SyncFile;
      /** As `syncFile`, and returns only then: for callers that can't wait. */
      readonly syncFileNow: (fd: number) => void;
    }
  | { readonly kind: 'blocking' };

export const OVERLAPPED: Extract<Flush, { kind: 'overlapped' }> = {
  kind: 'overlapped',
  syncFile: promisify(fdatasync),
  syncFileNow: fdatasyncSync,
};
export const BLOCKING: Flush = { kind: 'blocking' };
