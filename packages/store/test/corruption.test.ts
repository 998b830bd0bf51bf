/**
 * Damaged media: a changed byte is found, or it changed nothing that is stored. Damage inside the write-ahead log looks
 * like a torn end to SQLite and is not claimed here; the log is empty after a clean close and soon after every start.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StoreError } from '../src/index.ts';
import { FULL_CHECK_BYTES_MAX } from '../src/sqlite/database.ts';
import { Meta } from '../src/sqlite/meta.ts';
import { bytes, codeOf, inDirectory, judge, open, scriptedAudit, scriptedChange } from './support.ts';

const FLIPS = 150;

async function fill(directory: string): Promise<string[]> {
  const journal = open(directory);
  const ids: string[] = [];
  for (let version = 1; version <= 3; version += 1) {
    for (const key of ['node', 'channel/1', 'channel/2', 'channel/3', 'payment/1']) {
      const changes = [scriptedChange(key, version)];
      ids.push(`${key}@${version}`);
      void journal.commit(changes, [scriptedAudit(`${key}@${version}`, changes)]);
    }
  }
  await journal.close();
  return ids;
}

/** `found`: refused with a StoreError. `harmless`: opened, and all content is what was written. */
async function openAndJudge(directory: string, ids: readonly string[]): Promise<'found' | 'harmless'> {
  let journal: ReturnType<typeof open>;
  try {
    journal = open(directory, { mode: 'open' });
  } catch (error) {
    if (error instanceof StoreError) return 'found';
    throw error;
  }
  try {
    await judge(journal, ids);
    return 'harmless';
  } catch (error) {
    if (error instanceof StoreError && error.code === 'store-corrupt') return 'found';
    throw error;
  } finally {
    await journal.close();
  }
}

describe('a damaged store', () => {
  it('never reads as something else, whichever byte is flipped', async () => {
    await inDirectory(async (directory) => {
      const ids = await fill(directory);
      const path = join(directory, 'journal.sqlite');
      const sound = readFileSync(path);
      const seen = { found: 0, harmless: 0 };
      const flips = fc.sample(fc.tuple(fc.nat(sound.length - 1), fc.integer({ min: 1, max: 255 })), FLIPS);
      for (const [at, mask] of flips) {
        const damaged = Buffer.from(sound);
        damaged[at] = (damaged[at] ?? 0) ^ mask;
        writeFileSync(path, damaged);
        const outcome = await openAndJudge(directory, ids).catch((cause: unknown) => {
          throw new Error(`byte ${at} xor ${mask}`, { cause });
        });
        seen[outcome] += 1;
      }
      expect(seen.found).toBeGreaterThan(FLIPS / 10);
    });
  });

  it('never loses a record to a damaged key, neither of the row nor of the index', async () => {
    await inDirectory(async (directory) => {
      const ids = await fill(directory);
      const path = join(directory, 'journal.sqlite');
      const sound = readFileSync(path);
      let found = 0;
      for (let at = sound.indexOf('channel/2'); at !== -1; at = sound.indexOf('channel/2', at + 1)) {
        const damaged = Buffer.from(sound);
        damaged.write('channel/9', at);
        writeFileSync(path, damaged);
        if ((await openAndJudge(directory, ids)) === 'found') found += 1;
      }
      // The row, its index entry, and the audit entries that name it.
      expect(found).toBeGreaterThanOrEqual(5);
    });
  });

  it.each([
    ['value', "UPDATE record SET value = x'00' WHERE key = 'channel/2'"],
    ['tombstone', "UPDATE record SET value = NULL WHERE key = 'channel/2'"],
    ['version', "UPDATE record SET version = version + 1 WHERE key = 'channel/2'"],
    ['checksum', "UPDATE record SET checksum = x'00' WHERE key = 'channel/2'"],
    [
      'value of another record',
      "UPDATE record SET (value, version, checksum) = (SELECT value, version, checksum FROM record WHERE key = 'channel/1') WHERE key = 'channel/2'",
    ],
  ])('is found when read, and ends the journal: changed %s', async (_, sql) => {
    await inDirectory(async (directory) => {
      await fill(directory);
      const db = new DatabaseSync(join(directory, 'journal.sqlite'));
      db.exec(sql);
      db.close();
      const journal = open(directory, { mode: 'open' });
      expect(journal.read('channel/1')?.version).toBe(3);
      const report = await journal.checkIntegrity();
      expect(report.problems).toEqual(['checksum of record channel/2']);
      expect(report).toMatchObject({ recordsChecked: 5, auditEntriesChecked: 15 });
      expect(await codeOf(() => journal.read('channel/2'))).toBe('store-corrupt');
      expect(journal.state).toBe('failed');
      expect(await codeOf(() => journal.commit([], []))).toBe('store-failed');
      await journal.close();
    });
  });

  it('is refused when meta is changed: store id, schema, binding', async () => {
    for (const name of ['store-id', 'schema', 'binding/network']) {
      await inDirectory(async (directory) => {
        const journal = open(directory);
        await journal.bind('network', bytes('regtest'));
        await journal.close();
        const db = new DatabaseSync(join(directory, 'journal.sqlite'));
        db.prepare('UPDATE meta SET value = ? WHERE name = ?').run(new Uint8Array(16), name);
        db.close();
        const code = await codeOf(async () => {
          const again = open(directory, { mode: 'open' });
          await again.bind('network', bytes('regtest')).finally(() => again.close());
        });
        expect(code).toBe('store-corrupt');
      });
    }
  });

  it('is refused when meta lacks a row, or has one of another length with a checksum of its own', async () => {
    const changes: readonly [string, (db: DatabaseSync) => void, RegExp][] = [
      ['no store id', (db) => db.exec("DELETE FROM meta WHERE name = 'store-id'"), /store id is missing/],
      ['no schema', (db) => db.exec("DELETE FROM meta WHERE name = 'schema'"), /schema version is missing/],
      ['a short schema', (db) => new Meta(db).put('schema', new Uint8Array(3)), /schema version is missing/],
    ];
    for (const [, change, why] of changes) {
      await inDirectory(async (directory) => {
        await open(directory).close();
        const db = new DatabaseSync(join(directory, 'journal.sqlite'));
        change(db);
        db.close();
        expect(() => open(directory, { mode: 'open' })).toThrow(
          expect.objectContaining({ code: 'store-corrupt', message: expect.stringMatching(why) }),
        );
      });
    }
  });

  it('is refused when it is a database without tables: lost, or a creation that was cut short', async () => {
    await inDirectory(async (directory) => {
      await open(directory).close();
      const path = join(directory, 'journal.sqlite');
      rmSync(path);
      const db = new DatabaseSync(path);
      db.exec('PRAGMA user_version = 1');
      db.close();
      expect(statSync(path).size).toBeGreaterThan(0);
      expect(await codeOf(() => open(directory, { mode: 'open' }))).toBe('store-missing');
      // Who may create takes it.
      await open(directory, { mode: 'create' }).close();
    });
  });

  it('is found in a large store too, where only what lives is read at the start', async () => {
    await inDirectory(async (directory) => {
      const journal = open(directory);
      const value = randomBytes(1_000_000);
      for (let index = 0; index < 18; index += 1)
        await journal.commit([{ key: `channel/${index}`, version: 1, value }], [bytes('entry')]);
      await journal.close();
      const path = join(directory, 'journal.sqlite');
      expect(statSync(path).size).toBeGreaterThan(FULL_CHECK_BYTES_MAX);
      await open(directory, { mode: 'open' }).close();
      const db = new DatabaseSync(path, { readOnly: true });
      const root = Number(
        db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'record'").get()?.rootpage,
      );
      db.close();
      const damaged = readFileSync(path);
      damaged.fill(0xff, (root - 1) * 8192, (root - 1) * 8192 + 100);
      writeFileSync(path, damaged);
      expect(await codeOf(() => open(directory, { mode: 'open' }))).toBe('store-corrupt');
    });
  });

  it('is refused when cut short, emptied of meaning, or not SQLite at all', async () => {
    await inDirectory(async (directory) => {
      const ids = await fill(directory);
      const path = join(directory, 'journal.sqlite');
      const sound = readFileSync(path);
      for (const damaged of [
        sound.subarray(0, 4096),
        sound.subarray(0, -4096),
        Buffer.alloc(8192),
        Buffer.from('no'),
      ]) {
        writeFileSync(path, damaged);
        expect(await codeOf(() => open(directory))).toBe('store-corrupt');
      }
      writeFileSync(path, sound);
      expect(await openAndJudge(directory, ids)).toBe('harmless');
    });
  });

  it('reports a damaged audit log in the full check', async () => {
    await inDirectory(async (directory) => {
      await fill(directory);
      const db = new DatabaseSync(join(directory, 'journal.sqlite'));
      db.exec("DROP TRIGGER audit_no_update; UPDATE audit SET body = x'00' WHERE seq = 7");
      db.close();
      const journal = open(directory, { mode: 'open' });
      expect((await journal.checkIntegrity()).problems).toEqual([
        expect.stringContaining('hash of the entry'),
      ]);
      await journal.close();
    });
  });
});
