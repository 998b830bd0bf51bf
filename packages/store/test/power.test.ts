/**
 * Loss of power, modelled: what is on the medium is what was there when the last sync returned, plus any torn piece of
 * what was written to the log since. From such files the store must open with every commit acknowledged until then.
 */
import { fdatasyncSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OVERLAPPED } from '../src/index.ts';
import { inDirectory, judge, open, scriptedAudit, scriptedChange } from './support.ts';

interface Medium {
  readonly database: Uint8Array;
  readonly wal: Uint8Array;
  /** Acknowledged when the next sync was asked for: the promises of these had resolved. */
  readonly acknowledged: readonly string[];
}

const DATABASE = 'journal.sqlite';

/** Run commits of several callers and take what the medium holds after each sync. */
async function record(directory: string, callers: number, rounds: number): Promise<Medium[]> {
  const media: Medium[] = [];
  const acknowledged: string[] = [];
  const read = (name: string): Uint8Array => Uint8Array.from(readFileSync(join(directory, name)));
  const syncFile = async (fd: number): Promise<void> => {
    fdatasyncSync(fd);
    media.push({ database: read(DATABASE), wal: read(`${DATABASE}-wal`), acknowledged: [...acknowledged] });
  };
  const journal = open(directory, { flush: { ...OVERLAPPED, syncFile } });
  const caller = async (number: number): Promise<void> => {
    for (let version = 1; version <= rounds; version += 1) {
      const changes = [scriptedChange(`a/${number}`, version), scriptedChange(`b/${number}`, version)];
      const id = `${number}/${version}`;
      await journal.commit(changes, [scriptedAudit(id, changes)]);
      acknowledged.push(id);
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, number) => caller(number)));
  await journal.close();
  return media;
}

async function reopen(directory: string, medium: Medium, wal: Uint8Array): Promise<string[]> {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, DATABASE), medium.database);
  writeFileSync(join(directory, `${DATABASE}-wal`), wal);
  const journal = open(directory, { mode: 'open' });
  const ids = await judge(journal, medium.acknowledged);
  await journal.close();
  return ids;
}

describe('loss of power', () => {
  it('keeps every acknowledged commit, with a torn log behind it or none', async () => {
    await inDirectory(async (directory) => {
      const media = await record(directory, 5, 60);
      expect(media.length).toBeGreaterThan(50);
      let restored = 0;
      const tears = fc.sample(fc.nat(), media.length);
      for (const [index, medium] of media.entries()) {
        if (index % 5 !== 0) continue;
        const later = media[index + 1]?.wal ?? medium.wal;
        // A checkpoint may have begun the log anew: then the later log does not continue this one.
        const continues = Buffer.compare(later.subarray(0, medium.wal.length), medium.wal) === 0;
        const room = continues ? later.length - medium.wal.length : 0;
        const torn = Uint8Array.from(later.subarray(0, medium.wal.length + (tears[index]! % (room + 1))));
        const ids = await reopen(`${directory}-${index}`, medium, continues ? torn : medium.wal);
        expect(ids.length).toBeGreaterThanOrEqual(medium.acknowledged.length);
        restored += 1;
      }
      expect(restored).toBeGreaterThan(10);
    });
  });

  it('begins every session from synced files: the log is empty and the database complete after opening', async () => {
    await inDirectory(async (directory) => {
      const media = await record(directory, 2, 10);
      const last = media.at(-1);
      if (last === undefined) throw new Error('nothing recorded');
      expect(last.wal.length).toBeGreaterThan(0);
      const copy = `${directory}-copy`;
      mkdirSync(copy);
      writeFileSync(join(copy, DATABASE), last.database);
      writeFileSync(join(copy, `${DATABASE}-wal`), last.wal);
      const journal = open(copy, { mode: 'open' });
      expect(readFileSync(join(copy, `${DATABASE}-wal`)).length).toBe(0);
      expect(journal.read('a/1')?.version).toBe(10);
      await journal.close();
    });
  });
});
