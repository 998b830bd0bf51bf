/** Schema versions, migrations, and what a store is bound to. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { OVERLAPPED } from '../src/sqlite/flush.ts';
import { MIGRATIONS, type MigrationPlan } from '../src/sqlite/schema.ts';
import { bytes, codeOf, inDirectory, open, text } from './support.ts';

const value = bytes('value');
const withColumn: MigrationPlan = [...MIGRATIONS, (db) => db.exec('ALTER TABLE record ADD COLUMN note TEXT')];
const withFailure: MigrationPlan = [...withColumn, (db) => db.exec('DROP TABLE audit; SELECT nonsense')];

describe('schema', () => {
  it('migrates an older store in place and keeps its content', async () => {
    await inDirectory(async (directory) => {
      const old = open(directory);
      await old.commit([{ key: 'k', version: 1, value }], [bytes('entry')]);
      const { storeId, auditHead } = old;
      await old.close();
      const newer = open(directory, { mode: 'open', migrations: withColumn });
      expect(newer.storeId).toEqual(storeId);
      expect(newer.read('k')).toEqual({ key: 'k', version: 1, value });
      expect(await newer.verifyAudit()).toEqual(auditHead);
      await newer.commit([{ key: 'k', version: 2, value }], []);
      await newer.close();
      const db = new DatabaseSync(join(directory, 'journal.sqlite'));
      expect(db.prepare('SELECT note FROM record').all()).toHaveLength(1);
      db.close();
      await open(directory, { mode: 'open', migrations: withColumn }).close();
    });
  });

  it('refuses a store of a newer release and leaves it alone', async () => {
    await inDirectory(async (directory) => {
      await open(directory, { migrations: withColumn }).close();
      expect(await codeOf(() => open(directory))).toBe('store-newer-schema');
      await open(directory, { mode: 'open', migrations: withColumn }).close();
    });
  });

  it('undoes a migration that fails', async () => {
    await inDirectory(async (directory) => {
      const old = open(directory);
      await old.commit([{ key: 'k', version: 1, value }], [bytes('entry')]);
      await old.close();
      expect(await codeOf(() => open(directory, { migrations: withFailure }))).toBe('store-corrupt');
      const again = open(directory, { mode: 'open' });
      expect(again.read('k')?.version).toBe(1);
      await again.verifyAudit();
      await again.close();
    });
  });

  it('refuses an SQLite file of another program', async () => {
    await inDirectory(async (directory) => {
      await open(directory).close();
      const db = new DatabaseSync(join(directory, 'journal.sqlite'));
      db.exec('PRAGMA application_id = 1');
      db.close();
      expect(await codeOf(() => open(directory))).toBe('store-corrupt');
    });
  });
});

describe('bindings', () => {
  it('are set on first use and refuse anything else from then on', async () => {
    await inDirectory(async (directory) => {
      const journal = open(directory);
      await journal.bind('network', bytes('regtest'));
      await Promise.all([journal.bind('node-id', value), journal.bind('node-id', value)]);
      await journal.close();
      const again = open(directory, { mode: 'open' });
      await again.bind('network', bytes('regtest'));
      const refused = await again.bind('network', bytes('bitcoin')).catch((cause: unknown) => cause);
      const hex = (of: string): string => Buffer.from(of).toString('hex');
      expect(refused).toMatchObject({
        code: 'store-bound-elsewhere',
        facts: { name: 'network', bound: hex('regtest'), given: hex('bitcoin') },
      });
      expect(again.state).toBe('open');
      expect(await codeOf(() => again.bind('node-id', bytes('valu')))).toBe('store-bound-elsewhere');
      expect(await codeOf(() => again.bind('large', new Uint8Array(1025)))).toBe('store-limit');
      await again.close();
    });
  });

  it('are durable once acknowledged: they wait for the sync', async () => {
    await inDirectory(async (directory) => {
      let sync: (() => void) | undefined;
      const syncFile = (): Promise<void> =>
        new Promise((resolve) => {
          sync = resolve;
        });
      const journal = open(directory, { flush: { ...OVERLAPPED, syncFile } });
      let bound = false;
      const binding = journal.bind('network', value).then(() => {
        bound = true;
      });
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(bound).toBe(false);
      sync?.();
      await binding;
      await journal.close();
    });
  });

  it('do not share names with the meta table', async () => {
    await inDirectory(async (directory) => {
      const journal = open(directory);
      await journal.bind('schema', bytes('any'));
      await journal.bind('store-id', bytes('any'));
      expect(text(journal.storeId)).not.toBe('any');
      await journal.close();
      await open(directory, { mode: 'open' }).close();
    });
  });
});
