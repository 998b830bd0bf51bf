/**
 * What the disk allows: 4 KB written and synced, alone; and the journal's group commit under 1, 8 and 32 callers.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openJournal } from '@countersign/store';
import { summarize, type Times, timeUs } from './statistics.ts';

const SYNCS = 400;
const SYNC_BYTES = 4096;
const COMMITS = 2000;
const VALUE_BYTES = 2048;
const CALLERS = [1, 8, 32] as const;

async function inScratch<T>(action: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
  try {
    return await action(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Overwrites a file that is as long already, as a write-ahead log in use does: no metadata to sync. */
export function measureSync(): Promise<Times> {
  return inScratch(async (directory) => {
    const descriptor = openSync(join(directory, 'log'), 'w');
    const bytes = randomBytes(SYNC_BYTES);
    for (let i = 0; i < SYNCS; i++) writeSync(descriptor, bytes);
    fdatasyncSync(descriptor);
    const times: number[] = [];
    for (let i = 0; i < SYNCS; i++) {
      times.push(
        await timeUs(() => {
          writeSync(descriptor, bytes, 0, SYNC_BYTES, i * SYNC_BYTES);
          fdatasyncSync(descriptor);
        }),
      );
    }
    closeSync(descriptor);
    return summarize(times);
  });
}

export interface GroupCommitRow {
  readonly callers: number;
  readonly commitsPerSecond: number;
  readonly commitsPerBatch: number;
  readonly latency: Times;
}

function groupCommit(callers: number): Promise<GroupCommitRow> {
  return inScratch(async (directory) => {
    const journal = openJournal(directory, {
      mode: 'create',
      randomBytes,
      monotonicMs: () => performance.now(),
    });
    const value = randomBytes(VALUE_BYTES);
    const times: number[] = [];
    let begun = 0;
    const caller = async (number: number): Promise<void> => {
      for (let version = 1; begun < COMMITS; version++) {
        begun += 1;
        times.push(await timeUs(() => journal.commit([{ key: `channel/${number}`, version, value }], [])));
      }
    };
    const totalUs = await timeUs(async () => {
      await Promise.all(Array.from({ length: callers }, (_, number) => caller(number)));
    });
    const { commits, batches } = journal.stats;
    await journal.close();
    return {
      callers,
      commitsPerSecond: (commits * 1e6) / totalUs,
      commitsPerBatch: commits / batches,
      latency: summarize(times),
    };
  });
}

export async function measureGroupCommit(): Promise<GroupCommitRow[]> {
  const rows: GroupCommitRow[] = [];
  for (const callers of CALLERS) rows.push(await groupCommit(callers));
  return rows;
}
