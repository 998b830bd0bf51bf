/**
 * A real hsmd process that gets its chain from a bitcoind on the loopback interface, or over its node.sock: proven, durable,
 * through reorgs and restarts, and never a hindrance for lightningd.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { CHAIN_ID, chainRecords, decodeRecord } from '@countersign/core';
import { openJournal } from '@countersign/store';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { FakeBitcoind } from '../../chain/test/fake-bitcoind.ts';
import { afterTest, fileWith, follow, sourceOf, until } from '../../chain/test/support.ts';
import { MinedChain } from '../../core/test/mined-chain.ts';
import { feedOverNodeSocket } from '../src/plugin/chain-feed.ts';
import {
  EXIT_WAIT_MS,
  endAll,
  type HsmdUnderTest,
  isServing,
  networkDirectory,
  removeDirectories,
  SECRET,
  serving,
} from './hsmd-under-test.ts';

afterEach(endAll);
afterAll(removeDirectories);

async function nodeWith(blocks: number): Promise<FakeBitcoind> {
  const chain = new MinedChain();
  chain.extendBy(blocks);
  const fake = await FakeBitcoind.start(chain);
  afterTest(() => fake.stop());
  return fake;
}

const directoryWith = (toml: string): string =>
  networkDirectory({ hsm_secret: SECRET, 'countersign.toml': toml });

const bitcoindToml = (fake: FakeBitcoind, cookieFile = fileWith(fake.cookie)): string =>
  `[chain]\nsource = "bitcoind"\nurl = "${fake.url.href}"\ncookie_file = "${cookieFile}"\nbirthday_height = 1\npoll_seconds = 1\n`;

/** The chain on record, once the process has ended. */
function chainIn(directory: string) {
  const options = { mode: 'open', randomBytes, monotonicMs: () => performance.now() } as const;
  const journal = openJournal(join(directory, 'countersign'), options);
  const value = journal.read(`chain/${CHAIN_ID}`)?.value;
  void journal.close();
  return value ? decodeRecord(chainRecords, value) : null;
}

/** Blocks that were asked for. */
const read = (fake: FakeBitcoind): number => fake.calls.filter((method) => method === 'getblock').length;

/** The last height it says it has come to. */
const provenBy = (hsmd: HsmdUnderTest): number =>
  Number(
    /chain: proven up to height (\d+)$/.exec(
      hsmd.logged('debug').findLast((line) => line.includes('proven up to')) ?? '',
    )?.[1],
  );

const told = (hsmd: HsmdUnderTest): string[] =>
  [...hsmd.logged('unusual'), ...hsmd.logged('broken')].filter((line) => line.includes('chain:'));

describe('[chain] source = "bitcoind"', () => {
  it('proves the chain from the birthday on, and goes on after a restart', async () => {
    const fake = await nodeWith(40);
    const directory = directoryWith(bitcoindToml(fake));
    const first = await serving({ directory });
    await until('all blocks', () => provenBy(first) === 40);
    fake.mine(2);
    await until('two more', () => provenBy(first) === 42);
    expect(await isServing(first)).toBe(true);
    await expect
      .poll(() => first.logged('info'))
      .toContain(`countersign: chain: following bitcoind at ${fake.url.host}`);
    expect(told(first)).toEqual([]);
    expect((await first.hangUp()).afterMs).toBeLessThan(EXIT_WAIT_MS);
    expect(chainIn(directory)).toMatchObject({ tipHeightBlocks: 42, provenHeightBlocks: 42, lockedBy: null });
    const branch = fake.chain.forkAt(39);
    branch.extendBy(6);
    fake.follow(branch);
    fake.calls = [];
    const second = await serving({ directory });
    await until('the branch', () => provenBy(second) === 45);
    expect(read(fake)).toBe(6);
    await second.hangUp();
    expect(told(second)).toEqual(['countersign: chain: reorg: 3 blocks above height 39 were replaced']);
    expect(chainIn(directory)).toMatchObject({
      tipHeightBlocks: 45,
      provenHeightBlocks: 45,
      tipHash: branch.tip.hash,
    });
  });

  it('serves lightningd without a node to follow, and says so', async () => {
    const fake = await nodeWith(3);
    const toml = bitcoindToml(fake);
    await fake.stop();
    const hsmd = await serving({ directory: directoryWith(toml) });
    await until('the complaint', () => told(hsmd).length > 0);
    expect(told(hsmd)[0]).toContain('cannot be reached');
    expect(await isServing(hsmd)).toBe(true);
    expect((await hsmd.hangUp()).afterMs).toBeLessThan(EXIT_WAIT_MS);
  });

  it('takes nothing that is not proven', async () => {
    const fake = await nodeWith(5);
    const { blocks } = fake.chain;
    const raw = Uint8Array.from(blocks[3]!.raw);
    // A byte of the coinbase: the merkle root no longer fits.
    raw[raw.length - 1]! ^= 1;
    blocks[3] = { ...blocks[3]!, raw };
    const directory = directoryWith(bitcoindToml(fake));
    const hsmd = await serving({ directory });
    await until('the refusal', () => told(hsmd).length > 0);
    expect(told(hsmd)[0]).toMatch(/^countersign: chain: block 3 is refused: policy-chain-/);
    expect(await isServing(hsmd)).toBe(true);
    await hsmd.hangUp();
    expect(chainIn(directory)).toMatchObject({ tipHeightBlocks: 5, provenHeightBlocks: 2 });
  });

  it('without the cookie says what to do', async () => {
    const fake = await nodeWith(3);
    const hsmd = await serving({ directory: directoryWith(bitcoindToml(fake, '/nowhere/.cookie')) });
    await until('the complaint', () => told(hsmd).length > 0);
    expect(told(hsmd)[0]).toMatch(/cannot read the cookie of the Bitcoin node \(is the node running\?\)/);
    await hsmd.hangUp();
  });
});

describe('[chain] source = "node"', () => {
  it('takes headers and blocks over node.sock, and nothing wrong', async () => {
    const fake = await nodeWith(30);
    const directory = directoryWith('[chain]\nsource = "node"\nbirthday_height = 5\n');
    const hsmd = await serving({ directory });
    const feed = feedOverNodeSocket({ socketPath: join(directory, 'countersign', 'node.sock') });
    afterTest(() => feed.close());
    expect(await feed.tip()).toMatchObject({ tipHeightBlocks: 0, provenHeightBlocks: 4 });
    const { log } = follow(feed, sourceOf(fake), { publishes: false });
    await until('all blocks', () => read(fake) === 26);
    expect(log).toEqual([]);
    let proven = 0;
    while (proven < 30) proven = (await feed.tip())?.provenHeightBlocks ?? 0;
    expect(await feed.acceptHeaders(new Uint8Array(80))).toMatchObject({ ok: false, temporary: false });
    expect(await feed.acceptBlock(fake.chain.blocks[7]!.raw)).toMatchObject({ ok: false });
    expect(await feed.tip()).toMatchObject({ tipHeightBlocks: 30, provenHeightBlocks: 30 });
    await hsmd.hangUp();
    expect(chainIn(directory)).toMatchObject({ provenHeightBlocks: 30, birthdayHeightBlocks: 5 });
  });
});
