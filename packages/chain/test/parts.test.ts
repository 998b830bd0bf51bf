/** The small parts of the follower: waits, progress, problems, connections. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { MinedChain } from '../../core/test/mined-chain.ts';
import { Backoff, BitcoindSource, type ChainSource, durationText, SourceError } from '../src/index.ts';
import { Problems, REMIND_MS } from '../src/problems.ts';
import { ProgressMeter } from '../src/progress.ts';
import { step } from '../src/step.ts';
import { FakeBitcoind } from './fake-bitcoind.ts';
import { FakeSink } from './fake-sink.ts';
import { afterTest, fileWith, never, sourceOf } from './support.ts';

describe('back-off', () => {
  it('doubles up to its limit, and begins anew', () => {
    const backoff = new Backoff({ minMs: 100, maxMs: 500 }, () => 0);
    expect([1, 2, 3, 4, 5].map(() => backoff.next())).toEqual([100, 200, 400, 500, 500]);
    backoff.reset();
    expect(backoff.next()).toBe(100);
  });

  it('waits by chance up to half as long less', () => {
    expect(new Backoff({ minMs: 100, maxMs: 100 }, () => 0.999).next()).toBe(50);
    expect(new Backoff({ minMs: 100, maxMs: 100 }, () => 0.5).next()).toBe(75);
  });
});

describe('progress', () => {
  it('is logged every ten seconds, with speed and time left', () => {
    let nowMs = 0;
    const lines: string[] = [];
    const meter = new ProgressMeter(
      () => nowMs,
      (text) => void lines.push(text),
    );
    expect(meter.current).toBeNull();
    for (let height = 0; height <= 400_000; height += 2_000) {
      meter.advance('headers', height, 900_000);
      nowMs += 100;
    }
    expect(lines).toEqual([
      'headers: 200000 of 900000 (22.2 %), 20000 a second, about 35 s left',
      'headers: 400000 of 900000 (44.4 %), 20000 a second, about 25 s left',
    ]);
    nowMs += 50;
    meter.advance('blocks', 899_000, 900_000);
    expect(meter.current).toMatchObject({ phase: 'blocks', fraction: 0, perSecond: 0, secondsLeft: null });
    nowMs += 10_000;
    meter.advance('blocks', 899_010, 900_000);
    expect(lines.at(-1)).toBe('blocks: 899010 of 900000 (1.0 %), 1.0 a second, about 17 min left');
    meter.finish(900_000);
    expect(lines.at(-1)).toBe('caught up at height 900000');
    expect(meter.current).toBeNull();
  });

  it('of a block now and then is not worth a line', () => {
    let nowMs = 0;
    const lines: string[] = [];
    const meter = new ProgressMeter(
      () => nowMs,
      (text) => void lines.push(text),
    );
    for (let height = 1; height < 20; height++) {
      meter.advance('headers', height, height);
      meter.advance('blocks', height, height);
      expect(meter.current).toMatchObject({ fraction: 1 });
      meter.finish(height);
      nowMs += 600_000;
    }
    expect(lines).toEqual([]);
  });

  it('says how long in words', () => {
    expect([1.2, 99, 101, 7200, 86_400].map(durationText)).toEqual(['2 s', '99 s', '2 min', '2 h', '24 h']);
  });
});

describe('a problem', () => {
  it('is told once, when it changes, when it lasts, and when it is over', () => {
    let nowMs = 0;
    const lines: string[] = [];
    const problems = new Problems(
      () => nowMs,
      (level, text) => void lines.push(`${level}: ${text}`),
    );
    problems.over();
    problems.report('warn', 'at height 5 nothing');
    nowMs += 1000;
    problems.report('warn', 'at height 6 nothing');
    problems.report('error', 'something else');
    nowMs += REMIND_MS;
    problems.report('error', 'something else');
    expect(problems.current).toBe('something else');
    problems.over();
    problems.over();
    expect(lines).toEqual([
      'warn: at height 5 nothing',
      'error: something else',
      'error: something else; for 10 min now',
      'info: the chain is followed again',
    ]);
  });
});

async function nodeWith(blocks: number): Promise<FakeBitcoind> {
  const chain = new MinedChain();
  chain.extendBy(blocks);
  const fake = await FakeBitcoind.start(chain);
  afterTest(() => fake.stop());
  return fake;
}

describe('a bitcoind', () => {
  it('that is still downloading is waited for, but not on regtest', async () => {
    const fake = await nodeWith(3);
    fake.isDownloading = true;
    expect(await sourceOf(fake).bestTip(never())).toMatchObject({ heightBlocks: 3 });
    fake.chainName = 'main';
    const credentials = { kind: 'cookie', file: fileWith(fake.cookie) } as const;
    const source = new BitcoindSource({ url: fake.url, credentials, network: 'bitcoin', pollMs: 100 });
    afterTest(() => source.close());
    await expect(source.bestTip(never())).rejects.toMatchObject({
      code: 'chain-source-busy',
      facts: { height_blocks: 3, headers_blocks: 3 },
    });
  });

  it('is asked for its tip now and then where it does not offer to wait', async () => {
    const fake = await nodeWith(3);
    fake.waits = false;
    const source = sourceOf(fake);
    const tip = await source.bestTip(never());
    const at = performance.now();
    await source.changed(tip, never());
    await source.changed(tip, never());
    expect(performance.now() - at).toBeGreaterThan(350);
    expect(fake.calls.filter((method) => method === 'waitforblockheight')).toHaveLength(1);
    const forbidding = sourceOf(fake);
    fake.fault = () => (response) => void response.writeHead(403).end();
    await forbidding.changed(tip, never());
    await forbidding.changed(tip, never());
    expect(fake.calls.filter((method) => method === 'waitforblockheight')).toHaveLength(2);
  });

  it('that cannot wait because it is gone is a failure', async () => {
    const fake = await nodeWith(3);
    fake.fault = () => (response) => void response.destroy();
    const tip = { heightBlocks: 3, hash: new Uint8Array(32) };
    await expect(sourceOf(fake).changed(tip, never())).rejects.toMatchObject({
      code: 'chain-source-unreachable',
    });
  });

  it('lets a user with a password in', async () => {
    const fake = await nodeWith(3);
    fake.cookie = 'alice:pass:word';
    const passwordFile = fileWith('pass:word\nsecond line\n');
    const credentials = { kind: 'password', user: 'alice', passwordFile } as const;
    const source = new BitcoindSource({ url: fake.url, credentials, network: 'regtest', pollMs: 100 });
    afterTest(() => source.close());
    expect(await source.bestTip(never())).toMatchObject({ heightBlocks: 3 });
  });

  it('whose cookie is not there or empty says so', async () => {
    const fake = await nodeWith(3);
    const missing = sourceOf(fake, `${fileWith('')}-missing`);
    await expect(missing.bestTip(never())).rejects.toMatchObject({
      code: 'chain-source-unauthorized',
      message: expect.stringMatching(/cannot read the cookie .*is the node running.* ENOENT/),
    });
    await expect(sourceOf(fake, fileWith('\n')).bestTip(never())).rejects.toThrow(/is empty/);
  });

  it('without a block or height has moved on', async () => {
    const fake = await nodeWith(3);
    const source = sourceOf(fake);
    await expect(source.block(new Uint8Array(32), never())).rejects.toMatchObject({
      code: 'chain-source-missing',
    });
    await expect(source.headers(2, 5, never())).rejects.toMatchObject({ code: 'chain-source-missing' });
    fake.rpcFault = () => ({ code: -1, message: 'Block not available (not fully downloaded)' });
    await expect(source.block(new Uint8Array(32), never())).rejects.toMatchObject({
      code: 'chain-source-missing',
    });
    fake.rpcFault = () => ({ code: -3, message: 'odd \u0007 type' });
    await expect(source.bestTip(never())).rejects.toMatchObject({
      code: 'chain-source-answer',
      message: expect.stringContaining('getblockchaininfo: odd type'),
    });
  });

  it('that answers a batch with one error is taken at its word', async () => {
    const fake = await nodeWith(3);
    const source = sourceOf(fake);
    fake.fault = () => (response) =>
      void response
        .writeHead(500)
        .end('{"result":null,"error":{"code":-28,"message":"Verifying blocks…"},"id":null}');
    await expect(source.headers(1, 2, never())).rejects.toMatchObject({ code: 'chain-source-busy' });
  });

  it('that closes a kept connection is asked again', async () => {
    const fake = await nodeWith(3);
    const source = sourceOf(fake);
    await source.bestTip(never());
    let times = 0;
    fake.fault = () => (++times === 1 ? (response) => void response.socket?.resetAndDestroy() : undefined);
    expect(await source.bestTip(never())).toMatchObject({ heightBlocks: 3 });
    expect(times).toBe(2);
  });

  it('that closes connections again and again cannot be reached', async () => {
    const fake = await nodeWith(3);
    const source = sourceOf(fake);
    await Promise.all([source.bestTip(never()), source.bestTip(never()), source.bestTip(never())]);
    fake.fault = () => (response) => void response.socket?.resetAndDestroy();
    await expect(source.bestTip(never())).rejects.toMatchObject({ code: 'chain-source-unreachable' });
  });

  it('that is not asked any more stays unasked', async () => {
    const fake = await nodeWith(3);
    await expect(sourceOf(fake).bestTip(AbortSignal.abort())).rejects.toMatchObject({
      code: 'chain-source-unreachable',
    });
    expect(fake.calls).toEqual([]);
  });

  it('behind a port that speaks no HTTP or TLS cannot be reached', async () => {
    const server = createServer((socket) => void socket.on('error', () => {}).end('SSH-2.0-hello\r\n'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    afterTest(() => server.close());
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    for (const scheme of ['http', 'https']) {
      const source = new BitcoindSource({
        url: new URL(`${scheme}://127.0.0.1:${port}`),
        credentials: { kind: 'cookie', file: fileWith('a:b') },
        network: 'regtest',
        pollMs: 100,
      });
      await expect(source.bestTip(never())).rejects.toMatchObject({ code: 'chain-source-unreachable' });
      source.close();
    }
  });
});

describe('a step', () => {
  const stepOf = async (changed: Partial<ChainSource>, sink?: FakeSink) => {
    const fake = await nodeWith(5);
    const real = sourceOf(fake);
    const source: ChainSource = {
      name: 'a source',
      headersPerRunMax: 2000,
      askedAgainMsMin: 50,
      bestTip: (signal) => real.bestTip(signal),
      headers: (...args) => real.headers(...args),
      block: (...args) => real.block(...args),
      broadcast: (...args) => real.broadcast(...args),
      feerates: async () => null,
      changed: (...args) => real.changed(...args),
      close: () => {},
      ...changed,
    };
    return step({
      sink: sink ?? new FakeSink(fake.chain.blocks[0]!),
      source,
      best: await real.bestTip(never()),
      birthdayHeightBlocks: 1,
      signal: never(),
      onProgress: () => {},
      onReorg: () => {},
    });
  };

  it('gives the signer no headers that are not of one chain', async () => {
    const chain = new MinedChain();
    chain.extendBy(3);
    const headers = async (from: number, count: number) =>
      from === 0 ? chain.headers(0, 0) : chain.headers(1, 3).slice(0, 80 * count);
    await expect(stepOf({ headers })).rejects.toMatchObject({ code: 'chain-source-answer' });
    const crossed = async (from: number, count: number) =>
      from === 0 ? chain.headers(0, 0) : Uint8Array.from({ length: 80 * count });
    await expect(stepOf({ headers: crossed })).rejects.toMatchObject({ code: 'chain-source-missing' });
  });

  it('has nothing in common with a source whose first block is another', async () => {
    const sink = new FakeSink({ heightBlocks: 0, hash: new Uint8Array(32).fill(1) });
    expect(await stepOf({}, sink)).toMatchObject({ kind: 'waiting' });
  });

  it('waits for blocks of the signer’s better chain that the source does not have', async () => {
    const better = new MinedChain(undefined, 7);
    better.extendBy(9);
    const sink = new FakeSink(better.blocks[0]!);
    await sink.begin({ birthdayHeightBlocks: 1, sourceHeightBlocks: 0 }, new Uint8Array(0));
    await sink.acceptHeaders(better.headers(1));
    expect(await stepOf({}, sink)).toMatchObject({
      kind: 'waiting',
      message: expect.stringContaining('up to 9'),
    });
    const refusing: Partial<ChainSource> = {
      block: () => Promise.reject(new SourceError('chain-source-unreachable', 'gone')),
    };
    await expect(stepOf(refusing, sink)).rejects.toThrow('gone');
  });
});
