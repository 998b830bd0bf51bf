/** A follower on the node side that feeds a signer over its node.sock: a real socket, a desk that believes the longest chain. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvariantError } from '@countersign/bitcoin';
import { malformedRefusal, refusalText } from '@countersign/core';
import { type ChainDesk, openNodeSocket } from '@countersign/host';
import { FrameSocket, type UnixListener } from '@countersign/transport';
import { encodeMessage } from '@countersign/wire';
import { afterEach, describe, expect, it } from 'vitest';
import { FakeBitcoind } from '../../chain/test/fake-bitcoind.ts';
import { FakeSink } from '../../chain/test/fake-sink.ts';
import { afterTest, follow, sourceOf, until } from '../../chain/test/support.ts';
import { MinedChain } from '../../core/test/mined-chain.ts';
import { type ChainFeed, feedOverNodeSocket, TEMPORARY_ENDING } from '../src/plugin/chain-feed.ts';

const START = { birthdayHeightBlocks: 1, sourceHeightBlocks: 0 };
const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

function socketPath(): string {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-feed-'));
  directories.push(directory);
  return join(directory, 'node.sock');
}

/** The signer's side, as a desk: what it refuses is a refusal of the signer. */
function deskOf(sink: FakeSink): ChainDesk {
  const judged = async (answer: ReturnType<FakeSink['acceptBlock']>) => {
    const { ok, ...no } = await answer;
    if (ok) return { ok };
    const { temporary, message } = { temporary: false, message: '', ...no };
    return { ok, refusal: { ...malformedRefusal('chain', null, message, {}), temporary } };
  };
  return {
    tip: () => sink.tip(),
    begins: () => (sink.tip() === null ? sink.needs : null),
    headerHash: (height) => sink.headerHash(height),
    acceptHeaders: (headers) =>
      judged(sink.tip() === null ? sink.begin(START, headers) : sink.acceptHeaders(headers)),
    acceptBlock: (raw) => judged(sink.acceptBlock(raw)),
  };
}

async function listen(path: string, chain: ChainDesk | null): Promise<UnixListener> {
  const signer = { answer: () => Promise.reject(new InvariantError('not asked')), recordRefusal: () => null };
  const listener = await openNodeSocket({ path, signer, chain, onBug: () => {} });
  afterTest(() => listener.close());
  return listener;
}

async function world(blocks: number) {
  const chain = new MinedChain();
  chain.extendBy(blocks);
  const fake = await FakeBitcoind.start(chain);
  afterTest(() => fake.stop());
  const path = socketPath();
  const sink = new FakeSink(chain.blocks[0]!);
  await sink.begin(START, new Uint8Array(0));
  const listener = await listen(path, deskOf(sink));
  const feed = feedOverNodeSocket({ socketPath: path });
  return { fake, sink, path, listener, feed };
}

const followed = (feed: ChainFeed, fake: FakeBitcoind) => {
  const one = follow(feed, sourceOf(fake), { publishes: false });
  afterTest(() => feed.close());
  return one;
};

describe('a feed over node.sock', () => {
  it('brings headers and blocks, and reorgs', async () => {
    const { fake, sink, feed } = await world(50);
    followed(feed, fake);
    await until('catching up', () => sink.isAt(fake.chain));
    const branch = fake.chain.forkAt(40);
    branch.extendBy(15);
    fake.follow(branch);
    await until('the branch', () => sink.isAt(branch));
  });

  it('goes on when the signer was away', async () => {
    const { fake, sink, feed, listener, path } = await world(10);
    const { log } = followed(feed, fake);
    await until('catching up', () => sink.isAt(fake.chain));
    await listener.close();
    fake.mine(3);
    await until('the complaint', () => log.some((line) => line.includes('cannot be reached')));
    await listen(path, deskOf(sink));
    await until('catching up again', () => sink.isAt(fake.chain));
    await until('the all-clear', () => log.at(-1) === 'info: the chain is followed again');
  });

  it('hands on what the signer refuses', async () => {
    const { fake, sink, feed } = await world(10);
    let times = 0;
    sink.refuse = (what) =>
      what === 'block' && ++times < 4 ? { ok: false, temporary: times < 3, message: 'a no' } : undefined;
    const { log, waits } = followed(feed, fake);
    await until('catching up', () => sink.isAt(fake.chain));
    expect(log[0]).toBe(`warn: block 1 is refused: policy-generic-error: a no ${TEMPORARY_ENDING}`);
    expect(log).toContain('error: block 1 is refused: policy-generic-error: a no');
    expect(waits.slice(0, 3)).toEqual([1_000, 2_000, 15_000]);
  });

  it('knows what core calls temporary', () => {
    const refusal = { ...malformedRefusal('chain', null, 'a no', {}), temporary: true };
    expect(refusalText(refusal).endsWith(TEMPORARY_ENDING)).toBe(true);
  });

  it('brings what the chain begins with', async () => {
    const { fake, sink, feed } = await world(10);
    sink.hashes = [];
    sink.needs = { firstHeightBlocks: 0, lastHeightBlocks: 0 };
    followed(feed, fake);
    await until('catching up', () => sink.isAt(fake.chain));
    expect(sink.beginning).toEqual(fake.chain.headers(0, 0));
    await expect(feed.toPublish()).resolves.toEqual([]);
  });

  it('is told when this signer takes no chain from the node', async () => {
    const { fake, feed, listener, path } = await world(10);
    await listener.close();
    await listen(path, null);
    const { log } = followed(feed, fake);
    await until('the complaint', () => log.length > 0);
    expect(log[0]).toMatch(/^error: the signer takes no chain from here: .*see source in \[chain\]/);
  });

  it('gives up a signer that answers something else, or nothing', async () => {
    const path = socketPath();
    let answer: Uint8Array | null = encodeMessage({
      name: 'countersign_block_chunk_reply',
      isComplete: true,
    });
    const server = createServer((socket) => {
      const frames = new FrameSocket(socket);
      frames.start({
        frame: () => {
          if (answer !== null) frames.send(answer);
        },
        closed: () => {},
      });
    });
    server.listen(path);
    afterTest(() => server.close());
    const feed = feedOverNodeSocket({ socketPath: path, answerMs: 200 });
    afterTest(() => feed.close());
    await expect(feed.tip()).rejects.toThrow('its reply is of type countersign_block_chunk_reply');
    answer = Uint8Array.of(0x0f);
    await expect(feed.tip()).rejects.toThrow('its reply is malformed');
    answer = Uint8Array.of(0x30, 0x39);
    await expect(feed.headerHash(1)).rejects.toThrow('its reply is of type unknown');
    answer = null;
    await expect(feed.acceptHeaders(new Uint8Array(80))).rejects.toMatchObject({
      code: 'chain-source-unreachable',
    });
  });
});
