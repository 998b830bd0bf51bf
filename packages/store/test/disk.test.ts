/**
 * Disks that refuse. Where this process may mount (as root or in a user namespace) a tmpfs is really filled and really
 * made read-only; elsewhere those two tests are skipped and say so. The other tests run everywhere: a real limit of the
 * file size (EFBIG from the kernel), permissions (except as root, whom they do not stop), SQLite's own page limit.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { storeError } from '../src/sqlite/failure.ts';
import { MIGRATIONS } from '../src/sqlite/schema.ts';
import { bytes, codeOf, inDirectory, judge, open } from './support.ts';

const CHILD = join(import.meta.dirname, 'disk-child.ts');
const node = [process.execPath, '--conditions=source', CHILD];
const isRoot = process.getuid?.() === 0;
const unshare = isRoot ? ['-m'] : ['-Urm'];

const MOUNT = 'mount -t tmpfs -o size=2m countersign-test "$1"';
const mayMount = ((): boolean => {
  const tried = spawnSync('unshare', [...unshare, 'sh', '-c', MOUNT, 'sh', '/mnt']);
  return tried.status === 0;
})();

function childOutput(command: string, args: readonly string[]): unknown {
  const child = spawnSync(command, args, { encoding: 'utf8' });
  if (child.status !== 0) throw new Error(child.stderr);
  return JSON.parse(child.stdout);
}

/** The child in a mount namespace of its own: the mount goes away with it. */
function onTmpfs(scenario: string, root: string): unknown {
  mkdirSync(root);
  return childOutput('unshare', [
    ...unshare,
    'sh',
    '-c',
    `${MOUNT} && shift && exec "$@"`,
    'sh',
    root,
    ...node,
    scenario,
    root,
  ]);
}

describe('a full disk', () => {
  it.skipIf(!mayMount)(
    'fails the journal, loses nothing, and opens again when there is space (tmpfs)',
    async () => {
      await inDirectory((root) => {
        const seen = onTmpfs('full', root);
        expect(seen).toMatchObject({
          code: 'store-disk-full',
          state: 'failed',
          whileFull: 'store-disk-full',
        });
        expect(seen).toHaveProperty(
          'acknowledged',
          expect.toSatisfy((count: number) => count > 10),
        );
      });
    },
  );

  it('is the same for a file that may not grow (RLIMIT_FSIZE)', async () => {
    await inDirectory(async (root) => {
      mkdirSync(root);
      // bash counts in 1,024 bytes.
      const seen = childOutput('bash', [
        '-c',
        'ulimit -f 600 && exec "$@"',
        'bash',
        ...node,
        'limited',
        root,
      ]);
      expect(seen).toMatchObject({ code: 'store-io', state: 'failed' });
      const acknowledged: string[] = Reflect.get(Object(seen), 'acknowledged');
      expect(acknowledged.length).toBeGreaterThan(10);
      const journal = open(join(root, 'store'), { mode: 'open' });
      await judge(journal, acknowledged);
      await journal.close();
    });
  });

  it("is reported as such when SQLite's own page limit is reached", async () => {
    await inDirectory(async (directory) => {
      const plan = MIGRATIONS.map((step): typeof step => (db) => {
        step(db);
        db.exec('PRAGMA max_page_count = 40');
      });
      const journal = open(directory, { migrations: plan });
      const commit = (version: number): Promise<void> =>
        journal.commit([{ key: `k/${version}`, version: 1, value: new Uint8Array(3000) }], [bytes('entry')]);
      let acknowledged = 0;
      const code = await codeOf(async () => {
        for (; acknowledged < 100; acknowledged += 1) await commit(acknowledged);
      });
      expect(code).toBe('store-disk-full');
      expect(journal.state).toBe('failed');
      await journal.close();
      const again = open(directory, { mode: 'open' });
      expect(again.keys('')).toHaveLength(acknowledged);
      expect(again.auditHead.seq).toBe(acknowledged);
      await again.commit([{ key: 'more', version: 1, value: new Uint8Array(3000) }], []);
      await again.close();
    });
  });
});

describe('a read-only disk', () => {
  it.skipIf(!mayMount)('refuses to open and to create, and opens when writable again (tmpfs)', async () => {
    await inDirectory((root) => {
      expect(onTmpfs('read-only', root)).toEqual({
        existing: 'store-read-only',
        creating: 'store-read-only',
      });
    });
  });

  it.skipIf(isRoot)('refuses without write permission to the directory or the file', async () => {
    await inDirectory(async (directory) => {
      await open(directory).close();
      chmodSync(join(directory, 'journal.sqlite'), 0o400);
      expect(await codeOf(() => open(directory))).toBe('store-read-only');
      chmodSync(join(directory, 'journal.sqlite'), 0o600);
      chmodSync(directory, 0o500);
      expect(await codeOf(() => open(directory))).toBe('store-read-only');
      expect(await codeOf(() => open(join(directory, 'new')))).toBe('store-read-only');
      chmodSync(directory, 0o700);
      await open(directory, { mode: 'open' }).close();
    });
  });
});

describe('errors of the system', () => {
  it('are told apart by their code', () => {
    const system = (code: string): string => storeError(Object.assign(new Error(code), { code }), 'x').code;
    expect(['ENOSPC', 'EDQUOT'].map(system)).toEqual(['store-disk-full', 'store-disk-full']);
    expect(['EROFS', 'EACCES', 'EPERM'].map(system)).toEqual(Array(3).fill('store-read-only'));
    expect(['EIO', 'EMFILE', 'ERR_OUT_OF_RANGE'].map(system)).toEqual([
      'store-io',
      'store-io',
      'store-corrupt',
    ]);
    expect(storeError('thrown text', 'x')).toMatchObject({ code: 'store-io', cause: 'thrown text' });
    const sqlite = (errcode: number): string =>
      storeError(Object.assign(new Error(), { code: 'ERR_SQLITE_ERROR', errcode }), 'x').code;
    // SQLITE_FULL, SQLITE_READONLY_DBMOVED, SQLITE_IOERR_FSYNC, SQLITE_CORRUPT_INDEX, SQLITE_NOMEM.
    expect([13, 1032, 1034, 779, 7].map(sqlite)).toEqual([
      'store-disk-full',
      'store-read-only',
      'store-io',
      'store-corrupt',
      'store-io',
    ]);
  });

  it('come through when the directory cannot be one', async () => {
    await inDirectory(async (directory) => {
      await open(directory).close();
      const notADirectory = join(directory, 'journal.sqlite', 'store');
      expect(await codeOf(() => open(notADirectory))).toBe('store-io');
      expect(dirname(notADirectory)).toContain('journal.sqlite');
    });
  });
});
