/** The journal's contract: versions, order, group commit, acknowledgement only after the sync, poison, limits. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BLOCKING, type Flush, OVERLAPPED, StoreError } from '../src/index.ts';
import { bytes, codeOf, inDirectory, judge, open, scriptedAudit, scriptedChange, text } from './support.ts';

const value = bytes('value');

/** A sync that the test lets pass, one by one. */
function heldSync(): {
  readonly flush: Flush;
  readonly release: (error?: Error) => void;
  readonly asked: () => number;
  readonly syncedNow: () => number;
} {
  let syncedNow = 0;
  const syncFileNow = (): void => {
    syncedNow += 1;
  };
  const held: { resolve: () => void; reject: (error: Error) => void }[] = [];
  let asked = 0;
  const syncFile = (): Promise<void> => {
    asked += 1;
    return new Promise((resolve, reject) => held.push({ resolve, reject }));
  };
  const release = (error?: Error): void => {
    const sync = held.shift();
    if (error === undefined) sync?.resolve();
    else sync?.reject(error);
  };
  const flush: Flush = { kind: 'overlapped', syncFile, syncFileNow };
  return { flush, release, asked: () => asked, syncedNow: () => syncedNow };
}

/** Whatever has nothing to wait for has run, however the timers of a busy machine come. */
async function turn(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 5));
  for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve));
}

describe('records', () => {
  it.each([OVERLAPPED, BLOCKING])(
    'keeps versions, values and tombstones over reopening: $kind',
    async (flush) => {
      await inDirectory(async (directory) => {
        const journal = open(directory, { flush });
        expect(journal.read('channel/1')).toBeUndefined();
        await journal.commit([{ key: 'channel/1', version: 1, value }], []);
        await journal.commit([{ key: 'channel/1', version: 2, value: new Uint8Array(0) }], []);
        await journal.commit([{ key: 'channel/2', version: 1, value: null }], []);
        const storeId = journal.storeId;
        await journal.close();
        const again = open(directory, { mode: 'open', flush });
        expect(again.storeId).toEqual(storeId);
        expect(storeId.length).toBe(16);
        expect(again.read('channel/1')).toEqual({ key: 'channel/1', version: 2, value: new Uint8Array(0) });
        expect(again.read('channel/2')).toEqual({ key: 'channel/2', version: 1, value: null });
        expect(again.keys('channel/')).toEqual(['channel/1']);
        await again.close();
      });
    },
  );

  it('agrees with a model under random commits of random callers', async () => {
    const script = fc.array(
      fc.record({
        keys: fc.uniqueArray(fc.constantFrom('a', 'b', 'c/1', 'c/2', 'node'), { maxLength: 4 }),
        wait: fc.constantFrom('not', 'promise', 'now'),
        reopen: fc.integer({ min: 0, max: 9 }),
      }),
      { maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(script, fc.constantFrom(OVERLAPPED, BLOCKING), async (steps, flush) => {
        await inDirectory(async (directory) => {
          let journal = open(directory, { flush });
          const versions = new Map<string, number>();
          const ids: string[] = [];
          for (const [index, { keys, wait, reopen }] of steps.entries()) {
            const changes = keys.map((key) => {
              const version = (versions.get(key) ?? 0) + 1;
              versions.set(key, version);
              return scriptedChange(key, version);
            });
            ids.push(String(index));
            const durable = journal.commit(changes, [scriptedAudit(String(index), changes)]);
            for (const change of changes) expect(journal.read(change.key)).toEqual(change);
            if (wait === 'now') journal.flushNow();
            if (wait === 'promise') await durable;
            if (reopen === 0) {
              await journal.close();
              await durable;
              journal = open(directory, { mode: 'open', flush });
            }
          }
          await journal.settled();
          expect(await judge(journal, ids)).toEqual(ids);
          await journal.close();
        });
      }),
      { numRuns: 15 },
    );
  });

  it('lists the keys of a prefix, also those only enqueued, without tombstones', async () => {
    await inDirectory(async (directory) => {
      const { flush, release } = heldSync();
      const journal = open(directory, { flush });
      const first = journal.commit(
        ['a', 'a/1', 'a/2', 'a0', 'b~~'].map((key) => ({ key, version: 1, value })),
        [],
      );
      const second = journal.commit(
        [
          { key: 'a/2', version: 2, value: null },
          { key: 'a/0', version: 1, value },
        ],
        [],
      );
      expect(journal.keys('a/')).toEqual(['a/0', 'a/1']);
      expect(journal.keys('b~')).toEqual(['b~~']);
      release();
      await first;
      await turn();
      release();
      await second;
      expect(journal.keys('a')).toEqual(['a', 'a/0', 'a/1', 'a0']);
      await journal.close();
    });
  });

  it('takes copies: neither the caller nor a reader can change what is stored', async () => {
    await inDirectory(async (directory) => {
      const { flush, release } = heldSync();
      const journal = open(directory, { flush });
      const mine = bytes('mine');
      const audit = bytes('audit');
      const first = journal.commit([], []);
      const durable = journal.commit([{ key: 'k', version: 1, value: mine }], [audit]);
      mine.fill(0);
      audit.fill(0);
      journal.read('k')?.value?.fill(0);
      release();
      await first;
      await turn();
      release();
      await durable;
      expect(text(journal.read('k')?.value ?? bytes(''))).toBe('mine');
      expect(journal.audit(1, 1).map((entry) => text(entry.body))).toEqual(['audit']);
      await journal.close();
    });
  });
});

describe('durability', () => {
  it('resolves nothing before its sync has returned, and lets those who wait share the next', async () => {
    await inDirectory(async (directory) => {
      const { flush, release, asked } = heldSync();
      const journal = open(directory, { flush });
      const done: string[] = [];
      const commit = (key: string): Promise<void> =>
        journal.commit([{ key, version: 1, value }], [bytes(key)]).then(() => void done.push(key));
      const commits = ['a', 'b', 'c', 'd'].map(commit);
      const settled = journal.settled().then(() => void done.push('settled'));
      await turn();
      expect(done).toEqual([]);
      expect(asked()).toBe(1);
      expect(journal.stats).toMatchObject({ commits: 0, pendingCommits: 4 });
      expect(journal.auditHead.seq).toBe(0);
      expect(journal.audit(1, 10)).toEqual([]);
      release();
      await turn();
      expect(done).toEqual(['a']);
      expect(journal.auditHead.seq).toBe(1);
      expect(asked()).toBe(2);
      release();
      await Promise.all([...commits, settled]);
      expect(done.slice(0, 4)).toEqual(['a', 'b', 'c', 'd']);
      expect(done).toHaveLength(5);
      expect(journal.stats).toMatchObject({ commits: 4, batches: 2, records: 4, auditEntries: 4, bytes: 28 });
      expect(journal.stats.latency.counts.reduce((sum, count) => sum + count)).toBe(4);
      await journal.close();
    });
  });

  it('cuts batches at their bounds', async () => {
    await inDirectory(async (directory) => {
      const journal = open(directory, { limits: { batchCommitsMax: 3, batchBytesMax: 50 } });
      const commit = (key: string, size: number): Promise<void> =>
        journal.commit([{ key, version: 1, value: new Uint8Array(size) }], []);
      await Promise.all(['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((key) => commit(key, 1)));
      expect(journal.stats.batches).toBe(3);
      await Promise.all([commit('h', 100), commit('i', 30), commit('j', 30), commit('k', 10)]);
      expect(journal.stats.batches).toBe(6);
      await journal.close();
    });
  });

  it('closes only after what is enqueued is durable, and takes no more', async () => {
    await inDirectory(async (directory) => {
      const journal = open(directory);
      const durable = Promise.all(
        [1, 2, 3].map((version) => journal.commit([{ key: 'k', version, value }], [])),
      );
      const closed = journal.close();
      expect(await codeOf(() => journal.commit([], []))).toBe('store-closed');
      await closed;
      await durable;
      expect(journal.state).toBe('closed');
      await journal.close();
      for (const call of [
        () => journal.read('k'),
        () => journal.keys(''),
        () => journal.audit(1, 1),
        () => journal.commit([], []),
        () => journal.settled(),
        () => journal.verifyAudit(),
        () => journal.checkIntegrity(),
        () => journal.bind('network', value),
      ])
        expect(await codeOf(call)).toBe('store-closed');
      const again = open(directory, { mode: 'open' });
      expect(again.read('k')?.version).toBe(3);
      await again.close();
    });
  });
});

describe('failure', () => {
  it.each([
    ['a gap', [1, 3]],
    ['the same version twice', [1, 1]],
    ['a first version that is not 1', [2]],
    ['a step back', [1, 2, 1]],
  ])('ends the journal at a version conflict: %s', async (_, versions) => {
    await inDirectory(async (directory) => {
      const journal = open(directory);
      const good = versions.slice(0, -1);
      for (const version of good) await journal.commit([{ key: 'k', version, value }], [bytes('good')]);
      const bad = [
        { key: 'other', version: 1, value },
        { key: 'k', version: versions.at(-1) ?? 0, value },
      ];
      const conflict = journal.commit(bad, [bytes('bad')]);
      const behind = journal.commit([{ key: 'behind', version: 1, value }], []);
      expect(await codeOf(() => conflict)).toBe('store-version-conflict');
      expect(await codeOf(() => behind)).toMatch(/store-(version-conflict|failed)/);
      expect(journal.state).toBe('failed');
      expect(journal.stats.lastError?.code).toBe('store-version-conflict');
      expect(await codeOf(() => journal.commit([{ key: 'new', version: 1, value }], []))).toBe(
        'store-failed',
      );
      expect(await codeOf(() => journal.settled())).toBe('store-failed');
      expect(await codeOf(() => journal.read('other'))).toBe('store-failed');
      await journal.close();
      const again = open(directory, { mode: 'open' });
      expect(again.keys('')).toEqual(good.length > 0 ? ['k'] : []);
      expect(again.auditHead.seq).toBe(good.length);
      await again.verifyAudit();
      await again.close();
    });
  });

  it('rolls the whole batch back for one conflict in it', async () => {
    await inDirectory(async (directory) => {
      const { flush, release } = heldSync();
      const journal = open(directory, { flush });
      const first = journal.commit([{ key: 'a', version: 1, value }], []);
      const batch = [
        journal.commit([{ key: 'b', version: 1, value }], []),
        journal.commit([{ key: 'a', version: 3, value }], []),
        journal.commit([{ key: 'c', version: 1, value }], []),
      ];
      release();
      await first;
      for (const commit of batch) expect(await codeOf(() => commit)).toBe('store-version-conflict');
      await journal.close();
      const again = open(directory, { mode: 'open' });
      expect(again.keys('')).toEqual(['a']);
      await again.close();
    });
  });

  it('ends the journal at a failed sync: rejects what was written, what waits, and what comes', async () => {
    await inDirectory(async (directory) => {
      const { flush, release } = heldSync();
      const journal = open(directory, { flush });
      const calls = ['a', 'b'].map((key) => journal.commit([{ key, version: 1, value }], []));
      const settled = journal.settled();
      release(Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' }));
      for (const call of [...calls, settled]) expect(await codeOf(() => call)).toBe('store-io');
      expect(journal.state).toBe('failed');
      expect(await codeOf(() => journal.commit([], []))).toBe('store-failed');
      await journal.close();
      expect(journal.state).toBe('closed');
      const again = open(directory, { mode: 'open' });
      // Written but never acknowledged: it may be there. What only waited may not.
      expect(again.read('b')).toBeUndefined();
      await again.close();
    });
  });

  it('refuses what exceeds its limits, and is failed then: the caller has gone on without it', async () => {
    const limits = { recordBytesMax: 10, auditBodyBytesMax: 5, changesPerCommitMax: 2, pendingCommitsMax: 3 };
    const change = (key: string, size = 1, version = 1) => ({ key, version, value: new Uint8Array(size) });
    const cases: [ReturnType<typeof change>[], Uint8Array[]][] = [
      [[change('k', 11)], []],
      [[], [new Uint8Array(6)]],
      [[change('a'), change('b'), change('c')], []],
      [[change('a'), change('a', 1, 2)], []],
      [[change('')], []],
      [[change('a b')], []],
      [[change('ä')], []],
      [[change('k'.repeat(256))], []],
      [[change('k', 1, 0)], []],
      [[change('k', 1, 1.5)], []],
      [[change('k', 1, 2 ** 53)], []],
    ];
    await inDirectory(async (directory) => {
      for (const [changes, audit] of cases) {
        const journal = open(directory, { limits });
        expect(await codeOf(() => journal.commit(changes, audit))).toBe('store-limit');
        expect(journal.state).toBe('failed');
        await journal.close();
      }
      const { flush, release } = heldSync();
      const journal = open(directory, { limits, flush });
      const waiting = [1, 2, 3].map((version) => codeOf(() => journal.commit([change('k', 1, version)], [])));
      expect(await codeOf(() => journal.commit([change('k', 1, 4)], []))).toBe('store-limit');
      expect(await Promise.all(waiting)).toEqual(['store-limit', 'store-limit', 'store-limit']);
      release();
      await journal.close();
    });
  });

  it('carries code, facts and cause', async () => {
    await inDirectory(async (directory) => {
      const journal = open(directory);
      const error = await journal
        .commit([{ key: 'k', version: 5, value }], [])
        .catch((cause: unknown) => cause);
      expect(error).toBeInstanceOf(StoreError);
      expect(error).toMatchObject({
        code: 'store-version-conflict',
        facts: { key: 'k', storedVersion: 0, newVersion: 5 },
      });
      const later = await journal.settled().catch((cause: unknown) => cause);
      expect(later).toMatchObject({
        code: 'store-failed',
        facts: { firstCode: 'store-version-conflict' },
        cause: error,
      });
      await journal.close();
    });
  });
});

describe('flushNow: durable before it returns', () => {
  it.each([OVERLAPPED, BLOCKING])('with nothing under way: $kind', async (flush) => {
    await inDirectory(async (directory) => {
      const journal = open(directory, { flush });
      journal.flushNow();
      const durable = journal.commit([{ key: 'k', version: 1, value }], [bytes('audit')]);
      journal.flushNow();
      expect(journal.auditHead.seq).toBe(1);
      expect(journal.stats).toMatchObject({ commits: 1, batches: 1, pendingCommits: 0, pendingBytes: 0 });
      await durable;
      // The turn that was to write it finds nothing, and later commits go their usual way.
      await turn();
      await journal.commit([{ key: 'k', version: 2, value }], [bytes('audit')]);
      expect(journal.stats).toMatchObject({ commits: 2, batches: 2 });
      await journal.close();
      const again = open(directory, { mode: 'open', flush });
      expect(again.read('k')?.version).toBe(2);
      await again.close();
    });
  });

  it('takes the batch under way with it; the late end of its sync changes nothing', async () => {
    await inDirectory(async (directory) => {
      const { flush, release, syncedNow } = heldSync();
      const journal = open(directory, { flush });
      const order: string[] = [];
      const first = journal.commit([{ key: 'k', version: 1, value }], [bytes('1')]);
      const second = journal.commit([{ key: 'k', version: 2, value }], [bytes('2')]);
      const told = [first.then(() => order.push('first')), second.then(() => order.push('second'))];
      journal.flushNow();
      expect(syncedNow()).toBe(1);
      expect(journal.auditHead.seq).toBe(2);
      await Promise.all(told);
      expect(order).toEqual(['first', 'second']);
      const third = journal.commit([{ key: 'k', version: 3, value }], [bytes('3')]);
      expect(journal.auditHead.seq).toBe(2);
      release();
      await turn();
      // What came after the flush was written by the turn that followed, and waits for a sync of its own.
      expect(journal.auditHead.seq).toBe(2);
      release();
      await third;
      expect(journal.auditHead.seq).toBe(3);
      expect(journal.stats.commits).toBe(3);
      await journal.close();
    });
  });

  it('of a batch under way alone', async () => {
    await inDirectory(async (directory) => {
      const { flush, release } = heldSync();
      const journal = open(directory, { flush });
      const only = journal.commit([{ key: 'k', version: 1, value }], [bytes('1')]);
      journal.flushNow();
      await only;
      expect(journal.stats.commits).toBe(1);
      release();
      await turn();
      expect(journal.stats.commits).toBe(1);
      await journal.close();
    });
  });

  it('makes as many batches as the bounds want', async () => {
    await inDirectory(async (directory) => {
      const journal = open(directory, { flush: BLOCKING, limits: { batchCommitsMax: 2 } });
      const all = [1, 2, 3, 4, 5].map((version) => journal.commit([{ key: 'k', version, value }], []));
      journal.flushNow();
      expect(journal.stats.commits).toBe(5);
      await Promise.all(all);
      await journal.close();
    });
  });

  it('throws what the commit failed with, rejects its promise, and the journal is of no use any more', async () => {
    await inDirectory(async (directory) => {
      const journal = open(directory, { flush: BLOCKING });
      const wrong = journal.commit([{ key: 'k', version: 7, value }], []);
      const rejected = codeOf(() => wrong);
      expect(() => journal.flushNow()).toThrow(expect.objectContaining({ code: 'store-version-conflict' }));
      expect(await rejected).toBe('store-version-conflict');
      expect(() => journal.flushNow()).toThrow(expect.objectContaining({ code: 'store-failed' }));
      await turn();
      expect(journal.state).toBe('failed');
      await journal.close();
      expect(() => journal.flushNow()).toThrow(expect.objectContaining({ code: 'store-closed' }));
    });
  });

  it('throws as soon as the journal is being closed: what was asked for then is not durable', async () => {
    await inDirectory(async (directory) => {
      const journal = open(directory);
      const closed = journal.close();
      const late = codeOf(() => journal.commit([{ key: 'k', version: 1, value }], []));
      expect(() => journal.flushNow()).toThrow(expect.objectContaining({ code: 'store-closed' }));
      expect(await late).toBe('store-closed');
      await closed;
    });
  });

  it('fails the journal when the sync fails', async () => {
    await inDirectory(async (directory) => {
      const syncFileNow = (): void => {
        throw Object.assign(new Error('EIO'), { code: 'EIO' });
      };
      const syncFile = async (): Promise<void> => {};
      const journal = open(directory, { flush: { kind: 'overlapped', syncFile, syncFileNow } });
      const commit = journal.commit([{ key: 'k', version: 1, value }], []);
      const lost = codeOf(() => commit);
      expect(() => journal.flushNow()).toThrow(StoreError);
      expect(await lost).toBe('store-io');
      await turn();
      expect(journal.state).toBe('failed');
      await journal.close();
    });
  });
});
