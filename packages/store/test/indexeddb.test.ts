/** The journal of browsers in a real one: the contract of the SQLite journal's tests, and what only a browser can do. */
import type { Page as PlaywrightPage } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { bundle } from '../../../test/browser/bundle.ts';
import { type Browser, makeProfile, startChromium } from '../../../test/browser/chromium.ts';
import { type Server, serve } from '../../../test/browser/serve.ts';
import type { Page, PageChange } from './indexeddb-page.ts';

const profile = makeProfile();
let server: Server;
let browser: Browser;
let page: PlaywrightPage;
let counter = 0;
let name = '';

beforeAll(async () => {
  server = await serve(await bundle('packages/store/test/indexeddb-page.ts'));
  browser = await startChromium(profile.path);
  page = await openPage();
});

afterAll(async () => {
  await browser.close();
  await server.close();
  profile.remove();
});

beforeEach(() => {
  name = `store-${counter++}`;
});

async function openPage(): Promise<PlaywrightPage> {
  const opened = await browser.context.newPage();
  await opened.goto(server.url);
  await opened.waitForFunction(() => 'page' in globalThis);
  return opened;
}

/** Calls a function of the page in the browser. */
async function ask<K extends keyof Page>(
  what: K,
  ...parts: unknown[]
): Promise<Awaited<ReturnType<Page[K]>>> {
  return askIn(page, what, ...parts);
}

async function askIn<K extends keyof Page>(
  where: PlaywrightPage,
  what: K,
  ...parts: unknown[]
): Promise<Awaited<ReturnType<Page[K]>>> {
  const run = ([called, given]: readonly [string, readonly unknown[]]): unknown => {
    const functions = Reflect.get(globalThis, 'page') as Record<
      string,
      (...all: readonly unknown[]) => unknown
    >;
    return functions[called]!(...given);
  };
  return (await where.evaluate(run, [what, parts] as const)) as Awaited<ReturnType<Page[K]>>;
}

async function reopened(mode = 'open'): Promise<void> {
  await ask('close', name);
  expect(await ask('open', name, mode)).toMatch(/^open [0-9a-f]{32}$/);
}

describe('records', () => {
  it('keeps versions, values and tombstones over reopening', async () => {
    const first = await ask('open', name, 'create');
    expect(await ask('read', name, 'a')).toBeNull();
    const changes: PageChange[] = [
      ['a', 1, 'one'],
      ['b', 1, 'two'],
      ['c/1', 1, ''],
    ];
    expect(await ask('commit', name, changes, ['first'])).toBe('durable');
    expect(await ask('commit', name, [['a', 2, null]])).toBe('durable');
    await ask('close', name);
    expect(await ask('open', name, 'open')).toBe(first);
    expect(await ask('read', name, 'a')).toEqual([2, null]);
    expect(await ask('read', name, 'b')).toEqual([1, 'two']);
    expect(await ask('read', name, 'c/1')).toEqual([1, '']);
    expect(await ask('keys', name, '')).toEqual(['b', 'c/1']);
    expect(await ask('keys', name, 'c/')).toEqual(['c/1']);
    expect(await ask('head', name)).toBe(1);
    expect(await ask('check', name)).toEqual([]);
  });

  it('answers for what is enqueued, and shares transactions', async () => {
    await ask('open', name, 'create');
    const commits = Array.from({ length: 200 }, (_, i): PageChange[] => [
      ['same', i + 1, `${i}`],
      [`key/${i}`, 1, 'x'],
    ]);
    const results = await ask('burst', name, commits);
    expect(new Set(results)).toEqual(new Set(['durable']));
    expect(await ask('read', name, 'same')).toEqual([200, '199']);
    const { commits: count, batches } = await ask('stats', name);
    // One more: the journal's own at its opening.
    expect(count).toBe(201);
    expect(batches).toBeLessThan(50);
    await reopened();
    expect(await ask('read', name, 'same')).toEqual([200, '199']);
    expect(await ask('keys', name, 'key/')).toHaveLength(200);
    expect(await ask('head', name)).toBe(400);
    expect(await ask('check', name)).toEqual([]);
  });

  it('writes with strict durability', async () => {
    await ask('open', name, 'create');
    expect(await ask('durabilities', name, ['a', 1, 'x'])).toEqual(['strict']);
  });
});

describe('failing', () => {
  it.each<[string, PageChange[]]>([
    ['a gap', [['a', 3, 'x']]],
    ['the same version again', [['a', 1, 'x']]],
    ['a first version that is not 1', [['b', 2, 'x']]],
    [
      'one good change, one bad',
      [
        ['b', 1, 'x'],
        ['a', 5, 'x'],
      ],
    ],
  ])('a version conflict is final: %s', async (_what, changes) => {
    await ask('open', name, 'create');
    await ask('commit', name, [['a', 1, 'kept']]);
    expect(await ask('commit', name, changes)).toBe('store-version-conflict');
    expect(await ask('state', name)).toBe('failed');
    expect(await ask('commit', name, [['a', 2, 'x']])).toBe('store-failed');
    expect(await ask('read', name, 'a')).toBe('store-failed');
    expect(await ask('settled', name)).toBe('store-failed');
    expect((await ask('stats', name)).lastError).toBe('store-version-conflict');
    await reopened();
    expect(await ask('read', name, 'a')).toEqual([1, 'kept']);
    expect(await ask('read', name, 'b')).toBeNull();
  });

  it('a full disk: nothing of the commit is there', async () => {
    await ask('open', name, 'create');
    expect(await ask('full', name, ['a', 1, 'x'])).toBe('store-disk-full');
    expect(await ask('commit', name, [['a', 1, 'x']])).toBe('store-failed');
    await reopened();
    expect(await ask('read', name, 'a')).toBeNull();
    expect(await ask('commit', name, [['a', 1, 'x']])).toBe('durable');
  });

  it('another writer is noticed by the next commit', async () => {
    await ask('open', name, 'create');
    await ask('commit', name, [['a', 1, 'x']]);
    // Without the lock, the checksum right: as a second journal would have written.
    const second = await openPage();
    const steal = `navigator.locks.request('countersign/store/${name}', { steal: true }, () => page.open)`;
    await second.evaluate(steal);
    expect(await askIn(second, 'open', name, 'open')).toMatch(/^open/);
    expect(await ask('commit', name, [['a', 2, 'old']])).toBe('store-fenced');
    expect(await ask('state', name)).toBe('failed');
    expect(await askIn(second, 'commit', name, [['a', 2, 'new']])).toBe('durable');
    await second.close();
    await reopened();
    expect(await ask('read', name, 'a')).toEqual([2, 'new']);
  });

  it('limits', async () => {
    await ask('open', name, 'create', { recordBytesMax: 4 });
    expect(await ask('commit', name, [['a', 1, '12345']])).toBe('store-limit');
  });

  it('cannot make its caller wait, and fails rather than pretend', async () => {
    await ask('open', name, 'create');
    expect(await ask('flushNow', name)).toBeUndefined();
    expect(await ask('flushNowWhileWriting', name, ['a', 1, 'x'])).toEqual(['store-io', 'store-io']);
    expect(await ask('state', name)).toBe('failed');
  });

  it('while it is being closed, makes nothing durable and says so', async () => {
    await ask('open', name, 'create');
    expect(await ask('askWhileClosing', name, ['a', 1, 'x'])).toEqual(['store-closed', 'store-closed']);
  });
});

describe('opening', () => {
  it('asks that there be a store, or none', async () => {
    expect(await ask('open', name, 'open')).toBe('store-missing');
    expect(await ask('open', name, 'open')).toBe('store-missing');
    expect(await ask('open', name, 'create')).toMatch(/^open/);
    await ask('close', name);
    expect(await ask('open', name, 'create')).toBe('store-exists');
    expect(await ask('open', name, 'open-or-create')).toMatch(/^open/);
  });

  it('one page at a time; a closed one lets the next in, a crashed one too', async () => {
    await ask('open', name, 'create');
    const second = await openPage();
    expect(await askIn(second, 'open', name, 'open')).toBe('store-locked');
    await ask('close', name);
    expect(await askIn(second, 'open', name, 'open')).toMatch(/^open/);
    expect(await ask('open', name, 'open')).toBe('store-locked');
    await second.close();
    expect(await ask('open', name, 'open')).toMatch(/^open/);
  });

  it('a closed one takes nothing', async () => {
    await ask('open', name, 'create');
    expect(await ask('close', name)).toBe('closed');
    expect(await ask('commit', name, [['a', 1, 'x']])).toBe('store-closed');
    expect(await ask('read', name, 'a')).toBe('store-closed');
  });

  it('refuses what a newer release wrote', async () => {
    await ask('newer', name);
    expect(await ask('open', name, 'open')).toBe('store-newer-schema');
  });

  it.each<[string, string, 'drop' | 'flip', string | number]>([
    ['a record', 'record', 'flip', 'a'],
    ['the store id', 'meta', 'flip', 'store-id'],
    ['no store id', 'meta', 'drop', 'store-id'],
    ['the generation', 'meta', 'flip', 'generation'],
    ['the newest audit entry', 'audit', 'flip', 2],
  ])('finds damage: %s', async (_what, store, change, key) => {
    await ask('open', name, 'create');
    await ask('commit', name, [['a', 1, 'value']], ['one', 'two']);
    await ask('close', name);
    await ask('tamper', name, store, change, key);
    expect(await ask('open', name, 'open')).toBe('store-corrupt');
  });
});

describe('the audit log', () => {
  it('is a chain that can be read, and checked against a head kept elsewhere', async () => {
    await ask('open', name, 'create');
    for (const body of ['one', 'two', 'three']) await ask('commit', name, [], [body]);
    expect(await ask('audit', name, 2, 10)).toEqual(['2 two', '3 three']);
    expect(await ask('history', name, 1, 2)).toEqual(['1 one', '2 two']);
    expect(await ask('audit', name, 4, 10)).toEqual([]);
    expect(await ask('audit', name, 0, 10)).toBe('store-limit');
    const [seq, hash] = String(await ask('verify', name)).split(' ');
    expect(seq).toBe('3');
    expect(await ask('verify', name, [3, hash])).toBe(`3 ${hash}`);
    expect(await ask('verify', name, [3, 'ab'.repeat(32)])).toBe('store-corrupt');
    expect(await ask('verify', name, [4, hash])).toBe('store-corrupt');
  });

  it.each(['drop', 'flip'] as const)('an entry from the middle: %s', async (change) => {
    await ask('open', name, 'create');
    for (const body of ['one', 'two', 'three']) await ask('commit', name, [], [body]);
    await ask('close', name);
    await ask('tamper', name, 'audit', change, 2);
    await ask('open', name, 'open');
    expect(await ask('verify', name)).toBe('store-corrupt');
    expect(await ask('check', name)).not.toEqual([]);
  });
});

describe('bindings', () => {
  it('hold over reopening', async () => {
    await ask('open', name, 'create');
    expect(await ask('bind', name, 'network', 'regtest')).toBe('bound');
    await reopened();
    expect(await ask('bind', name, 'network', 'regtest')).toBe('bound');
    expect(await ask('bind', name, 'network', 'bitcoin')).toBe('store-bound-elsewhere');
    expect(await ask('commit', name, [['a', 1, 'x']])).toBe('durable');
  });
});

describe('a browser that is killed', () => {
  it('has every acknowledged commit afterwards, and no part of another', async () => {
    const victim = makeProfile();
    let again: Browser | null = null;
    try {
      const acknowledged = await killedWhileCommitting(victim.path);
      expect(acknowledged).toBeGreaterThan(0);
      again = await startChromium(victim.path);
      const opened = await again.context.newPage();
      await opened.goto(server.url);
      await opened.waitForFunction(() => 'page' in globalThis);
      expect(await askIn(opened, 'open', 'victim', 'open')).toMatch(/^open/);
      const [version] = (await askIn(opened, 'read', 'victim', 'a')) as readonly [number, string];
      expect(version).toBeGreaterThanOrEqual(acknowledged);
      expect(await askIn(opened, 'read', 'victim', 'b')).toEqual([version, `${version}`]);
      expect(await askIn(opened, 'head', 'victim')).toBe(version);
      expect(await askIn(opened, 'check', 'victim')).toEqual([]);
    } finally {
      await again?.close();
      victim.remove();
    }
  });
});

/** The newest version of the keys that the page was told is durable. */
async function killedWhileCommitting(path: string): Promise<number> {
  const doomed = await startChromium(path);
  const opened = await doomed.context.newPage();
  let acknowledged = 0;
  await opened.exposeFunction('acknowledge', (version: number) => {
    acknowledged = version;
  });
  await opened.goto(server.url);
  await opened.waitForFunction(() => 'page' in globalThis);
  await askIn(opened, 'open', 'victim', 'create');
  const run = `(async () => {
    for (let version = 1; ; version++) {
      const value = String(version);
      const result = await page.commit('victim', [['a', version, value], ['b', version, value]], [value]);
      if (result !== 'durable') return;
      await acknowledge(version);
    }
  })()`;
  const running = opened.evaluate(run).catch(() => undefined);
  while (acknowledged < 25) await new Promise((resolve) => setTimeout(resolve, 10));
  await doomed.kill();
  await running;
  return acknowledged;
}
