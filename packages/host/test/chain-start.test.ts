/** [chain] becomes a follower or a desk, between a source on the loopback interface and a signer's side of the tests. */
import { malformedRefusal, networkByName } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { FakeBitcoind } from '../../chain/test/fake-bitcoind.ts';
import { FakeSink } from '../../chain/test/fake-sink.ts';
import { afterTest, fileWith, until } from '../../chain/test/support.ts';
import { MinedChain } from '../../core/test/mined-chain.ts';
import { type ChainConfig, type ChainDeskAnswer, parseConfig } from '../src/index.ts';
import { type Chain, type ChainSigner, openChain } from '../src/start/chain.ts';

const regtest = networkByName('regtest')!;

function signerOf(sink: FakeSink): ChainSigner {
  const judged = async (answer: ReturnType<FakeSink['begin']>): Promise<ChainDeskAnswer> => {
    const one = await answer;
    if (one.ok) return one;
    const { temporary, message } = one;
    return {
      ok: false,
      refusal: { ...malformedRefusal('chain', null, message, { height_blocks: 5 }), temporary },
    };
  };
  return {
    tip: () => sink.tip(),
    headerHash: (heightBlocks) => sink.headerHash(heightBlocks),
    beginNeeds: () => sink.beginNeeds(),
    begin: (start, headers) => judged(sink.begin(start, headers)),
    acceptHeaders: (headers) => judged(sink.acceptHeaders(headers)),
    acceptBlock: (raw) => judged(sink.acceptBlock(raw)),
    toPublish: () => sink.toPublish(),
    setFeerates: (feerates) => sink.setFeerates(feerates),
  };
}

async function world() {
  const chain = new MinedChain();
  chain.extendBy(12);
  const fake = await FakeBitcoind.start(chain);
  afterTest(() => fake.stop());
  const sink = new FakeSink(chain.blocks[0]!);
  const log: string[] = [];
  const bugs: unknown[] = [];
  const stopped = { isSo: false };
  const open = (config: ChainConfig): Chain => {
    const opened = openChain({
      config,
      network: regtest,
      signer: signerOf(sink),
      settled: async () => {},
      log: (level, text) => {
        if (level !== 'debug') log.push(`${level}: ${text}`);
      },
      hasStopped: () => stopped.isSo,
      onBug: (error) => void bugs.push(error),
      monotonicMs: () => performance.now(),
      random: Math.random,
    });
    afterTest(() => opened.stop());
    return opened;
  };
  return { fake, sink, log, bugs, open, stopped };
}

const chainOf = (text: string): ChainConfig => parseConfig(`[chain]\n${text}`, 'countersign.toml').chain;

describe('[chain]', () => {
  it('without a source does nothing', async () => {
    const { open, log } = await world();
    const chain = open({ source: 'none' });
    await chain.start();
    expect([chain.desk, chain.status(), log]).toEqual([null, null, []]);
  });

  it('follows a bitcoind', async () => {
    const { open, fake, sink, log, bugs } = await world();
    const text = `source = "bitcoind"\nurl = "${fake.url.href}"\ncookie_file = "${fileWith(fake.cookie)}"\nbirthday_height = 3`;
    const chain = open(chainOf(text));
    await chain.start();
    await until('catching up', () => sink.isAt(fake.chain));
    expect(sink.starts).toEqual([{ birthdayHeightBlocks: 3, sourceHeightBlocks: 12 }]);
    expect(chain.desk).toBeNull();
    expect(chain.status()).toMatchObject({ source: `bitcoind at ${fake.url.host}`, problem: null });
    fake.chain.extendBy(1);
    await chain.catchUp();
    expect(sink.isAt(fake.chain)).toBe(true);
    sink.refuse = () => ({ ok: false, temporary: false, message: 'a lie' });
    fake.mine();
    await until('the refusal', () => log.length > 1);
    expect(log).toEqual([
      `info: countersign: chain: following bitcoind at ${fake.url.host}`,
      'broken: countersign: chain: headers up to height 14 are refused: policy-generic-error: a lie [height_blocks=5]',
    ]);
    expect(bugs).toEqual([]);
  });

  it('looks for a bitcoind at the network’s port, and for an Esplora server where it is told', async () => {
    const { open } = await world();
    const bitcoind = open(chainOf('source = "bitcoind"\nuser = "a"\npassword_file = "b"'));
    expect(bitcoind.status()?.source).toBe('bitcoind at 127.0.0.1:18443');
    const esplora = open(chainOf('source = "esplora"\nurl = "https://example.org/api"'));
    expect(esplora.status()?.source).toBe('Esplora at example.org');
  });

  it('tells of a bug', async () => {
    const { open, fake, sink, bugs } = await world();
    sink.acceptHeaders = () => Promise.reject(new Error('broken'));
    const text = `source = "bitcoind"\nurl = "${fake.url.href}"\ncookie_file = "${fileWith(fake.cookie)}"`;
    await open(chainOf(text)).start();
    await until('the bug', () => bugs.length > 0);
    expect(bugs).toEqual([new Error('broken')]);
  });

  it('outlives a store that failed, as the signer does', async () => {
    const { open, fake, sink, bugs, stopped, log } = await world();
    sink.acceptHeaders = () => Promise.reject(new Error('the disk is full'));
    stopped.isSo = true;
    const text = `source = "bitcoind"\nurl = "${fake.url.href}"\ncookie_file = "${fileWith(fake.cookie)}"`;
    const chain = open(chainOf(text));
    await chain.start();
    await until('the end', () => log.some((line) => line.includes('not followed any more')));
    await chain.catchUp();
    const fed = open(chainOf('source = "node"\nbirthday_height = 4'));
    expect(await fed.desk?.acceptHeaders(fake.chain.headers(1))).toMatchObject({
      ok: false,
      refusal: { code: 'store-failed' },
    });
    stopped.isSo = false;
    await expect(fed.desk?.acceptHeaders(fake.chain.headers(1))).rejects.toThrow('the disk is full');
    expect(bugs).toEqual([]);
  });

  it('lets the node side bring the chain, from the birthday on', async () => {
    const { open, sink, fake } = await world();
    const chain = open(chainOf('source = "node"\nbirthday_height = 4'));
    await chain.start();
    await chain.start();
    expect(sink.starts).toEqual([{ birthdayHeightBlocks: 4, sourceHeightBlocks: 4 }]);
    expect(await chain.desk?.acceptHeaders(fake.chain.headers(1))).toEqual({ ok: true });
    expect(chain.desk?.tip()).toMatchObject({ tipHeightBlocks: 12, provenHeightBlocks: 3 });
    expect(chain.desk?.headerHash(4)).toEqual(fake.chain.blocks[4]!.hash);
    expect(await chain.desk?.acceptBlock(fake.chain.blocks[4]!.raw)).toEqual({ ok: true });
    expect(chain.status()).toBeNull();
  });

  it('lets the node side bring what the chain begins with', async () => {
    const { open, sink, fake } = await world();
    sink.needs = { firstHeightBlocks: 0, lastHeightBlocks: 0 };
    const chain = open(chainOf('source = "node"\nbirthday_height = 4'));
    await chain.start();
    expect([sink.starts, chain.desk?.tip(), chain.desk?.begins()]).toEqual([[], null, sink.needs]);
    expect(await chain.desk?.acceptHeaders(fake.chain.headers(0, 0))).toEqual({ ok: true });
    expect(sink.beginning).toEqual(fake.chain.headers(0, 0));
    expect(chain.desk?.begins()).toBeNull();
    expect(await chain.desk?.acceptHeaders(fake.chain.headers(1))).toEqual({ ok: true });
    await chain.catchUp();
  });

  it('says so when the chain cannot begin', async () => {
    const { open, sink, log } = await world();
    sink.refuse = () => ({ ok: false, temporary: false, message: 'no checkpoint' });
    await open(chainOf('source = "node"\nbirthday_height = 4')).start();
    expect(log).toEqual([
      'broken: countersign: chain: cannot begin: policy-generic-error: no checkpoint [height_blocks=5]',
    ]);
  });
});
