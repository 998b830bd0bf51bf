/** One process per store. The lock dies with its holder (kill.test.ts reopens after each SIGKILL without waiting). */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { StoreError } from '../src/index.ts';
import { bytes, codeOf, inDirectory, open } from './support.ts';

/** On overlayfs the table of locks names another device than stat does; the message then leaves the pid out. */
const OVERLAYFS_MAGIC = 0x794c_7630;
const pidIsKnown = (directory: string): boolean =>
  existsSync('/proc/locks') && statfsSync(directory).type !== OVERLAYFS_MAGIC;

const CHILD = join(import.meta.dirname, 'kill-child.ts');

describe('the lock', () => {
  it('refuses a second process and names the holder', async () => {
    await inDirectory(async (directory) => {
      const journal = open(directory);
      await journal.commit([{ key: 'k', version: 1, value: bytes('v') }], []);
      const child = spawnSync(process.execPath, ['--conditions=source', CHILD, directory, 'run']);
      expect(child.status).not.toBe(0);
      expect(String(child.stdout)).toBe('');
      expect(String(child.stderr)).toContain('store-locked');
      if (pidIsKnown(directory)) expect(String(child.stderr)).toContain(`pid ${process.pid}`);
      await journal.commit([{ key: 'k', version: 2, value: bytes('v') }], []);
      await journal.close();
      const again = open(directory, { mode: 'open' });
      expect(again.read('k')?.version).toBe(2);
      await again.close();
    });
  });

  it('is seen by this process when another holds it', async () => {
    await inDirectory(async (directory) => {
      const child = spawn(process.execPath, ['--conditions=source', CHILD, directory, 'run']);
      await new Promise((resolve) => child.stdout.once('data', resolve));
      try {
        open(directory);
        expect.unreachable('opened a locked store');
      } catch (error) {
        expect(error).toBeInstanceOf(StoreError);
        expect(error).toMatchObject({ code: 'store-locked', facts: { directory } });
        if (pidIsKnown(directory)) expect(error).toMatchObject({ facts: { pid: child.pid } });
      }
      child.kill('SIGKILL');
      await new Promise((resolve) => child.once('close', resolve));
      await open(directory).close();
    });
  });

  it('holds within one process too, and a refused attempt does not loosen it', async () => {
    await inDirectory(async (directory) => {
      const journal = open(directory);
      for (let attempt = 0; attempt < 3; attempt += 1)
        expect(await codeOf(() => open(directory))).toBe('store-locked');
      const child = spawnSync(process.execPath, ['--conditions=source', CHILD, directory, 'run']);
      expect(String(child.stderr)).toContain('store-locked');
      await journal.close();
      await open(directory).close();
    });
  });
});

describe('the directory', () => {
  it('is made private, and so are the files', async () => {
    await inDirectory(async (directory) => {
      const nested = join(directory, 'a', 'b');
      const journal = open(nested);
      await journal.commit([{ key: 'k', version: 1, value: bytes('v') }], []);
      for (const path of [directory, nested]) expect(statSync(path).mode & 0o777).toBe(0o700);
      for (const file of ['journal.sqlite', 'journal.sqlite-wal'])
        expect(statSync(join(nested, file)).mode & 0o777).toBe(0o600);
      expect(existsSync(join(nested, 'journal.sqlite-shm'))).toBe(false);
      await journal.close();
    });
  });

  it('must hold a store for `open`, and none for `create`', async () => {
    await inDirectory(async (directory) => {
      expect(await codeOf(() => open(directory, { mode: 'open' }))).toBe('store-missing');
      expect(existsSync(directory)).toBe(false);
      mkdirSync(directory);
      writeFileSync(join(directory, 'journal.sqlite'), '', { mode: 0o644 });
      expect(await codeOf(() => open(directory, { mode: 'open' }))).toBe('store-missing');
      await open(directory, { mode: 'create' }).close();
      expect(statSync(join(directory, 'journal.sqlite')).mode & 0o777).toBe(0o600);
      expect(await codeOf(() => open(directory, { mode: 'create' }))).toBe('store-exists');
      await open(directory, { mode: 'open' }).close();
    });
  });
});
