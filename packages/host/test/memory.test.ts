import { InvariantError } from '@countersign/bitcoin';
import {
  type Change,
  type ChannelRecord,
  channelRecords,
  encodeRecord,
  fundingRecords,
} from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { Memory } from '../src/index.ts';
import { inDirectory, openStore, peerId } from './support.ts';

const CHANNEL = 'peer/1';

/** A funding's owner is the smallest record there is. */
function owned(id: string, version: number, value: string | null): Change {
  return { kind: fundingRecords, id, version, value } as Change;
}

describe('the memory', () => {
  it('reads what the journal holds, and undefined for what was never written', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      await journal.commit(
        [
          { key: 'funding/a:0', version: 1, value: encodeRecord(fundingRecords, CHANNEL) },
          { key: 'funding/b:0', version: 1, value: null },
        ],
        [],
      );
      const memory = new Memory(journal);
      expect(memory.read(fundingRecords, 'a:0')).toEqual({ version: 1, value: CHANNEL });
      expect(memory.read(fundingRecords, 'b:0')).toEqual({ version: 1, value: null });
      expect(memory.read(fundingRecords, 'c:0')).toBeUndefined();
      await journal.close();
    }));

  it('keeps kinds apart that share an id', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const memory = new Memory(journal);
      memory.apply([owned('x', 1, CHANNEL)]);
      expect(memory.read(channelRecords, 'x')).toBeUndefined();
      await journal.close();
    }));

  it('gives a change back as the journal stores it, and as its own next reading', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const memory = new Memory(journal);
      const stored = memory.apply([owned('a:0', 1, CHANNEL), owned('b:0', 1, null)]);
      expect(stored).toEqual([
        { key: 'funding/a:0', version: 1, value: encodeRecord(fundingRecords, CHANNEL) },
        { key: 'funding/b:0', version: 1, value: null },
      ]);
      // Not committed yet: memory is ahead of the disk.
      expect(journal.read('funding/a:0')).toBeUndefined();
      expect(memory.read(fundingRecords, 'a:0')).toEqual({ version: 1, value: CHANNEL });
      expect(memory.read(fundingRecords, 'b:0')).toEqual({ version: 1, value: null });
      await journal.close();
    }));

  it.each([
    ['repeats', 1],
    ['skips', 3],
    ['goes back from', 0],
  ])('refuses a version that %s the one it has', (_, version) =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const memory = new Memory(journal);
      memory.apply([owned('a:0', 1, CHANNEL)]);
      expect(() => memory.apply([owned('a:0', version, 'other/1')])).toThrow(InvariantError);
      expect(memory.read(fundingRecords, 'a:0')).toEqual({ version: 1, value: CHANNEL });
      await journal.close();
    }),
  );

  it('takes all changes of a decision or none', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const memory = new Memory(journal);
      expect(() => memory.apply([owned('a:0', 1, CHANNEL), owned('b:0', 2, CHANNEL)])).toThrow(
        InvariantError,
      );
      expect(memory.read(fundingRecords, 'a:0')).toBeUndefined();
      await journal.close();
    }));

  it('goes on counting after a removal', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const memory = new Memory(journal);
      await journal.commit(memory.apply([owned('a:0', 1, CHANNEL)]), []);
      await journal.commit(memory.apply([owned('a:0', 2, null)]), []);
      expect(() => memory.apply([owned('a:0', 1, CHANNEL)])).toThrow(InvariantError);
      await journal.commit(memory.apply([owned('a:0', 3, CHANNEL)]), []);
      expect(new Memory(journal).read(fundingRecords, 'a:0')).toEqual({ version: 3, value: CHANNEL });
      await journal.close();
    }));

  it('asks the journal once for what is not there, until it is', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      let reads = 0;
      const counted: Pick<typeof journal, 'read'> = {
        read: (key) => {
          reads += 1;
          return journal.read(key);
        },
      };
      const memory = new Memory(Object.assign(Object.create(journal), counted));
      for (let i = 0; i < 3; i++) expect(memory.read(fundingRecords, 'a:0')).toBeUndefined();
      expect(reads).toBe(1);
      memory.apply([owned('a:0', 1, CHANNEL)]);
      expect(memory.read(fundingRecords, 'a:0')).toEqual({ version: 1, value: CHANNEL });
      expect(reads).toBe(1);
      await journal.close();
    }));

  it('forgets the least recently used record and reads it again', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const reads: string[] = [];
      const watched: Pick<typeof journal, 'read'> = {
        read: (key) => {
          reads.push(key);
          return journal.read(key);
        },
      };
      const memory = new Memory(Object.assign(Object.create(journal), watched), 2);
      for (const id of ['a', 'b']) await journal.commit(memory.apply([owned(id, 1, id)]), []);
      reads.length = 0;
      memory.read(fundingRecords, 'a');
      await journal.commit(memory.apply([owned('c', 1, 'c')]), []);
      reads.length = 0;
      // b was used longest ago, so it went; a and c are here.
      for (const id of ['a', 'c']) expect(memory.read(fundingRecords, id)?.value).toBe(id);
      expect(reads).toEqual([]);
      expect(memory.read(fundingRecords, 'b')).toEqual({ version: 1, value: 'b' });
      expect(reads).toEqual(['funding/b']);
      await journal.close();
    }));

  it('loses no change when a record is dropped before it is durable', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const memory = new Memory(journal, 1);
      const commits: Promise<void>[] = [];
      for (let version = 1; version <= 20; version++) {
        for (const id of ['a', 'b', 'c']) {
          expect(memory.read(fundingRecords, id)?.version ?? 0).toBe(version - 1);
          const value = version % 5 === 0 ? null : `${id}/${version}`;
          commits.push(journal.commit(memory.apply([owned(id, version, value)]), []));
          expect(memory.read(fundingRecords, id)).toEqual({ version, value });
        }
      }
      await Promise.all(commits);
      await journal.close();
      const reopened = openStore(directory);
      expect(new Memory(reopened).read(fundingRecords, 'b')).toEqual({ version: 20, value: null });
      await reopened.close();
    }));

  it('will not guess at a record of a newer version or a damaged one', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const known = encodeRecord(fundingRecords, CHANNEL);
      await journal.commit(
        [
          { key: 'funding/newer', version: 1, value: Uint8Array.of(2, ...known.subarray(1)) },
          { key: 'funding/older', version: 1, value: Uint8Array.of(0, ...known.subarray(1)) },
          { key: 'funding/longer', version: 1, value: Uint8Array.of(...known, 0) },
          { key: 'funding/empty', version: 1, value: new Uint8Array(0) },
          { key: 'channel/cut', version: 1, value: Uint8Array.of(1, ...peerId) },
        ],
        [],
      );
      const memory = new Memory(journal);
      const codeOf = (read: () => unknown) => {
        try {
          return read();
        } catch (error) {
          return error instanceof Error && 'code' in error ? error.code : error;
        }
      };
      expect(codeOf(() => memory.read(fundingRecords, 'newer'))).toBe('record-newer-schema');
      for (const id of ['older', 'longer', 'empty']) {
        expect(codeOf(() => memory.read(fundingRecords, id))).toBe('record-unreadable');
      }
      expect(codeOf(() => memory.read<ChannelRecord>(channelRecords, 'cut'))).toBe('record-unreadable');
      await journal.close();
    }));
});
