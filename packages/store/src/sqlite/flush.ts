/**
 * Who makes a written batch durable, and why this way.
 *
 * In WAL mode SQLite's synchronous=FULL is synchronous=NORMAL plus one sync of the log after the frames of a commit
 * (https://www.sqlite.org/pragma.html#pragma_synchronous); checkpoints and restarts of the log sync alike in both.
 * `overlapped`, the default: the main thread writes the frames under NORMAL, libuv's pool does that one sync, and the
 * caller computes its signatures meanwhile. The commit resolves after the sync, so what it promises is what FULL
 * promises. `blocking`: SQLite does it (FULL), and the event loop stands still for as long.
 *
 * Measured on 2 virtual cores, one commit of 2 KB beside 0.3 ms of signing, medians (blocking / worker / overlapped):
 * 0.42 / 0.32 / 0.33 ms where a sync takes 0.1 ms; 2.57 / 2.34 / 2.27 ms where it takes 2 ms. A worker thread that
 * owns the writing connection thus gains nothing over `overlapped`; it costs 36 to 60 ms at start, where 40 is the
 * budget of the whole open, and needs a second connection: no exclusive locking mode, an -shm file, one more lock.
 */
import { fdatasync } from 'node:fs';
import { promisify } from 'node:util';

/** Resolves when everything written to the file so far is on the medium. */
export type SyncFile = (fd: number) => Promise<void>;

export type Flush =
  | { readonly kind: 'overlapped'; readonly syncFile: SyncFile }
  | { readonly kind: 'blocking' };

export const OVERLAPPED: Flush = { kind: 'overlapped', syncFile: promisify(fdatasync) };
export const BLOCKING: Flush = { kind: 'blocking' };
