/** A follower between a bitcoind on the loopback interface and a signer's side that believes the longest chain. */
import { writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { toHex } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { MinedChain } from '../../core/test/mined-chain.ts';
import type { ChainSource, FollowerOptions } from '../src/index.ts';
import { FakeBitcoind } from './fake-bitcoind.ts';
import { FakeSink } from './fake-sink.ts';
import { afterTest, fileWith, follow, sourceOf, until } from './support.ts';

async function nodeWith(blocks: number): Promise<FakeBitcoind> {
  const chain = new MinedChain();
  chain.extendBy(blocks);
  const fake = await FakeBitcoind.start(chain);
  afterTest(() => fake.stop());
  return fake;
}

const sinkFor = (fake: FakeBitcoind): FakeSink => new FakeSink(fake.chain.blocks[0]!);

describe('a follower', () => {
  it('begins, catches up, and takes each new block', async () => {
    const fake = await nodeWith(120);
    const sink = sinkFor(fake);
    const { log, failures, follower } = follow(sink, sourceOf(fake));
    await until('catching up', () => sink.isAt(fake.chain));
    expect(sink.starts).toEqual([{ birthdayHeightBlocks: 1, sourceHeightBlocks: 120 }]);
    expect(sink.runs).toEqual([120]);
    fake.mine();
    await until('block 121', () => sink.isAt(fake.chain));
    fake.mine(3);
    await until('block 124', () => sink.isAt(fake.chain));
    // The signer has the block before the follower hears of it.
    await until('nothing left to do', () => follower.status.progress === null);
    expect(sink.blocks).toEqual(Array.from({ length: 124 }, (_, i) => i + 1));
    expect(follower.status).toMatchObject({ sourceHeightBlocks: 124, progress: null, problem: null });
    expect(log.filter((line) => !line.startsWith('debug'))).toEqual([]);
    expect(failures).toEqual([]);
  });

  it('wants the contents of blocks from the birthday on only', async () => {
    const fake = await nodeWith(30);
    const sink = sinkFor(fake);
    follow(sink, sourceOf(fake), { birthdayHeightBlocks: 25 });
    await until('catching up', () => sink.isAt(fake.chain));
    expect(sink.blocks).toEqual([25, 26, 27, 28, 29, 30]);
    expect(sink.starts[0]).toMatchObject({ birthdayHeightBlocks: 25 });
  });

  it('goes on after a restart where the signer is', async () => {
    const fake = await nodeWith(10);
    const sink = sinkFor(fake);
    const first = follow(sink, sourceOf(fake));
    await until('catching up', () => sink.isAt(fake.chain));
    await first.follower.stop();
    fake.mine(250);
    fake.calls = [];
    follow(sink, sourceOf(fake));
    await until('catching up again', () => sink.isAt(fake.chain));
    expect(sink.starts).toHaveLength(1);
    expect(sink.blocks).toHaveLength(260);
    // The tip of before is still there: one header says so.
    expect(fake.calls.filter((method) => method === 'getblockhash')).toHaveLength(251);
  });

  it('finds the fork of a reorg that happened while it was away', async () => {
    const fake = await nodeWith(100);
    const sink = sinkFor(fake);
    const first = follow(sink, sourceOf(fake));
    await until('catching up', () => sink.isAt(fake.chain));
    await first.follower.stop();
    const branch = fake.chain.forkAt(63);
    branch.extendBy(40);
    fake.follow(branch);
    sink.runs = [];
    const { log } = follow(sink, sourceOf(fake));
    await until('the other branch', () => sink.isAt(branch));
    expect(sink.runs).toEqual([40]);
    expect(log).toContain('warn: reorg: 37 blocks above height 63 were replaced');
  });

  it('follows a reorg while it waits, and one back', async () => {
    const fake = await nodeWith(20);
    const main = fake.chain;
    const sink = sinkFor(fake);
    follow(sink, sourceOf(fake));
    await until('catching up', () => sink.isAt(main));
    const branch = main.forkAt(17);
    branch.extendBy(4);
    fake.follow(branch);
    await until('the branch', () => sink.isAt(branch));
    main.extendBy(2);
    fake.follow(main);
    await until('the way back', () => sink.isAt(main));
  });

  it('survives a reorg between two headers of a run, and one between two blocks', async () => {
    const fake = await nodeWith(40);
    const branch = fake.chain.forkAt(30);
    branch.extendBy(20);
    const sink = sinkFor(fake);
    let headers = 0;
    fake.beforeAnswer = ({ method }) => {
      if (method === 'getblockheader' && ++headers === 35) fake.follow(branch);
    };
    const { failures } = follow(sink, sourceOf(fake));
    await until('the branch', () => sink.isAt(branch));
    const again = branch.forkAt(45);
    again.extendBy(30);
    branch.extendBy(10);
    let blocks = 0;
    fake.beforeAnswer = ({ method }) => {
      if (method === 'getblock' && ++blocks === 3) fake.follow(again);
    };
    fake.follow(branch);
    await until('the second branch', () => sink.isAt(again));
    expect(failures).toEqual([]);
  });

  it('keeps a chain with more work than the source has, and says that it waits', async () => {
    const fake = await nodeWith(30);
    const sink = sinkFor(fake);
    const { log, follower } = follow(sink, sourceOf(fake));
    await until('catching up', () => sink.isAt(fake.chain));
    const full = fake.chain;
    fake.follow(full.forkAt(20));
    fake.chain.extendBy(2);
    await until('the wait', () => follower.status.problem !== null);
    expect(log.at(-1)).toMatch(
      /^warn: bitcoind at .* ends at height 22 with a chain that has no more work than the one known up to 30$/,
    );
    expect(sink.isAt(full)).toBe(true);
    fake.follow(full);
    fake.mine();
    await until('its return', () => sink.isAt(full));
    await until('the all-clear', () => log.at(-1) === 'info: the chain is followed again');
  });

  it('waits for a source that has not come to the checkpoint, or is on another chain', async () => {
    const fake = await nodeWith(30);
    const sink = new FakeSink(fake.chain.blocks[20]!);
    const full = fake.chain;
    fake.follow(full.forkAt(10));
    const { log } = follow(sink, sourceOf(fake), { birthdayHeightBlocks: 21 });
    await until('the wait', () =>
      log.some((line) => line.includes('the source is still catching up itself')),
    );
    const other = full.forkAt(10);
    other.extendBy(40);
    fake.follow(other);
    await until('the other', () => log.some((line) => line.includes('no block on record is in the source')));
    fake.follow(full);
    await until('catching up', () => sink.isAt(full));
  });

  it('looks far back for the fork in growing runs', async () => {
    const fake = await nodeWith(400);
    const sink = sinkFor(fake);
    const first = follow(sink, sourceOf(fake), { birthdayHeightBlocks: 395 });
    await until('catching up', () => sink.isAt(fake.chain));
    await first.follower.stop();
    const branch = fake.chain.forkAt(50);
    branch.extendBy(360);
    fake.follow(branch);
    fake.calls = [];
    follow(sink, sourceOf(fake));
    await until('the branch', () => sink.isAt(branch));
    const asked = fake.calls.filter((method) => method === 'getblockhash').length;
    expect(asked).toBe(1 + 16 + 256 + (401 - 273) + 360);
  });
});

describe('a follower that is asked for blocks', () => {
  const following = async (changed: Partial<FollowerOptions> = {}) => {
    const fake = await nodeWith(5);
    const sink = sinkFor(fake);
    const source = sourceOf(fake, undefined, undefined, 60_000);
    const one = follow(sink, source, changed);
    await until('catching up', () => sink.isAt(fake.chain));
    await until('waiting', () => fake.calls.includes('waitforblockheight'));
    return { fake, sink, ...one };
  };

  it('brings what there is before it answers, and holds one call at the node', async () => {
    const { fake, sink, follower } = await following();
    for (let i = 0; i < 3; i++) {
      // Nobody tells whoever waits for a block.
      fake.chain.extendBy(2);
      await follower.catchUp();
      expect(sink.isAt(fake.chain)).toBe(true);
    }
    await follower.catchUp();
    expect(fake.calls.filter((method) => method === 'waitforblockheight')).toHaveLength(1);
    fake.mine();
    await until('the next block', () => sink.isAt(fake.chain));
  });

  it('looks again for who asked while it was looking', async () => {
    const { fake, sink, follower } = await following();
    let looks = 0;
    fake.beforeAnswer = ({ method }) => {
      if (method === 'getblockchaininfo' && ++looks === 1) {
        void follower.catchUp().then(() => expect(sink.isAt(fake.chain)).toBe(true));
        setTimeout(() => fake.chain.extendBy(1), 0);
      }
    };
    await Promise.all([follower.catchUp(), follower.catchUp()]);
    await until('a second look', () => looks >= 2 && sink.isAt(fake.chain));
  });

  it('answers at once when it cannot help', async () => {
    const { fake, follower, log } = await following();
    const at = performance.now();
    await fake.stop();
    await until('the complaint', () => log.length > 0);
    await follower.catchUp();
    await follower.stop();
    await follower.catchUp();
    expect(performance.now() - at).toBeLessThan(1_000);
  });

  it('does not hold its caller up for long', async () => {
    const { fake, follower } = await following();
    fake.fault = () => () => {};
    const at = performance.now();
    await follower.catchUp();
    expect(performance.now() - at).toBeGreaterThan(2_900);
    const waiting = follower.catchUp();
    await follower.stop();
    await waiting;
    expect(performance.now() - at).toBeLessThan(4_000);
  });
});

describe('a chain that begins at a checkpoint', () => {
  it('gets the headers up to it, however many', async () => {
    const fake = await nodeWith(2_100);
    const sink = new FakeSink(fake.chain.blocks[2_050]!);
    sink.needs = { firstHeightBlocks: 40, lastHeightBlocks: 2_050 };
    follow(sink, sourceOf(fake), { birthdayHeightBlocks: 2_090 });
    await until('catching up', () => sink.isAt(fake.chain));
    expect(sink.beginning).toEqual(fake.chain.headers(40, 2_050));
    expect(sink.blocks).toHaveLength(11);
  });

  it('waits for a source that has not come so far', async () => {
    const fake = await nodeWith(5);
    const sink = sinkFor(fake);
    sink.needs = { firstHeightBlocks: 6, lastHeightBlocks: 6 };
    const { log } = follow(sink, sourceOf(fake));
    await until('the wait', () => log.length > 0);
    expect(log[0]).toMatch(
      /ends at height 5, the signer begins at 6: the source is still catching up itself$/,
    );
  });
});

describe('a source that fails', () => {
  it('is tried again, less and less often, and followed when it is back', async () => {
    const fake = await nodeWith(5);
    const { port } = fake;
    const sink = sinkFor(fake);
    const source = sourceOf(fake);
    const { chain } = fake;
    const { log, waits, failures } = follow(sink, source);
    await until('catching up', () => sink.isAt(chain));
    await fake.stop();
    waits.length = 0;
    await until('five tries', () => waits.length >= 9);
    expect(waits.slice(0, 9)).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1000));
    expect(log.filter((line) => line.includes('cannot be reached')).length).toBeLessThanOrEqual(2);
    chain.extendBy(2);
    const back = await FakeBitcoind.start(chain, port);
    afterTest(() => back.stop());
    await until('its return', () => sink.isAt(chain));
    await until('the all-clear', () => log.at(-1) === 'info: the chain is followed again');
    expect(failures).toEqual([]);
  });

  it.each([
    ['garbage', 'no JSON', (r: ServerResponse) => void r.end('<html>hello</html>')],
    [
      'half an answer',
      'ended in the middle',
      (r: ServerResponse) => {
        r.writeHead(200, { 'content-length': '1000' });
        r.write('{"result":');
        setTimeout(() => r.destroy(), 10);
      },
    ],
    [
      'an announced flood',
      'too long',
      (r: ServerResponse) => {
        r.writeHead(200, { 'content-length': String(1 << 30) });
        r.write('x');
      },
    ],
    [
      'a flood',
      'too long',
      (r: ServerResponse) => {
        const more = (): void => {
          while (!r.destroyed && r.write('x'.repeat(65_536)));
          if (!r.destroyed) r.once('drain', more);
        };
        more();
      },
    ],
    [
      'another status',
      'HTTP status 302',
      (r: ServerResponse) => void r.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
    ],
    [
      'a full queue',
      'is busy: Work queue depth exceeded',
      (r: ServerResponse) => void r.writeHead(503).end('Work queue depth exceeded'),
    ],
    ['a no to the caller', 'rpcallowip', (r: ServerResponse) => void r.writeHead(403).end()],
    ['no answer', 'no answer within 300 ms', () => {}],
    ['an error of no form', 'is not what it should be', (r: ServerResponse) => void r.end('{"error":5}')],
    [
      'another answer',
      'is not what it should be',
      (r: ServerResponse) => void r.end('{"result":{"chain":7}}'),
    ],
  ])('with %s is told of and tried again', async (_, text, fault) => {
    const fake = await nodeWith(5);
    const sink = sinkFor(fake);
    fake.fault = () => fault;
    const { log, failures, follower } = follow(sink, sourceOf(fake, undefined, 300));
    await until('the complaint', () => log.some((line) => line.includes(text)));
    expect(follower.status.problem).toContain(text);
    expect(sink.tip()).toBeNull();
    fake.fault = () => undefined;
    await until('catching up', () => sink.isAt(fake.chain));
    expect(failures).toEqual([]);
  });

  it.each([
    ['getblockhash', '[{"result":"zz","error":null,"id":0}]'],
    ['getblockhash', '[]'],
    ['getblockheader', `[{"result":"00","error":null,"id":0}]`],
    ['getblock', '{"result":"0","error":null,"id":0}'],
    ['getblock', `{"result":"${'00'.repeat(100)}","error":null,"id":0}`],
    ['getblock', '{"result":7,"error":null,"id":0}'],
  ])('with a bad answer to %s gives the signer nothing of it', async (method, answer) => {
    const fake = await nodeWith(5);
    const sink = sinkFor(fake);
    fake.fault = ([first]) => (first === method ? (response) => void response.end(answer) : undefined);
    const { log } = follow(sink, sourceOf(fake));
    await until('the complaint', () => log.some((line) => line.includes('(chain-source-answer)')));
    expect(sink.blocks).toEqual([]);
    fake.fault = () => undefined;
    await until('catching up', () => sink.isAt(fake.chain));
  });

  it('of another network is refused in words', async () => {
    const fake = await nodeWith(5);
    fake.chainName = 'test';
    const sink = sinkFor(fake);
    const { log } = follow(sink, sourceOf(fake));
    await until('the complaint', () => log.length > 0);
    expect(log[0]).toMatch(
      /^error: bitcoind at 127.0.0.1:\d+ follows the chain "test", and the signer works on "regtest": set url in \[chain\] to a node of "regtest" \(chain-source-network\)$/,
    );
    expect(sink.tip()).toBeNull();
  });

  it('that starts is waited for', async () => {
    const fake = await nodeWith(5);
    fake.rpcFault = () => ({ code: -28, message: 'Loading block index…' });
    const sink = sinkFor(fake);
    const { log } = follow(sink, sourceOf(fake));
    await until('the complaint', () => log.length > 0);
    expect(log[0]).toMatch(/^warn: .* is starting: Loading block index/);
    fake.rpcFault = () => undefined;
    await until('catching up', () => sink.isAt(fake.chain));
  });

  it('that is pruned says what to do', async () => {
    const fake = await nodeWith(20);
    fake.pruneHeight = 15;
    const sink = sinkFor(fake);
    const { log } = follow(sink, sourceOf(fake));
    await until('the complaint', () => log.length > 0);
    expect(log[0]).toMatch(
      /^error: .* is pruned and has thrown away a block that the signer still has to read\. Take a source that has it .* \(chain-source-pruned\)$/,
    );
    expect(sink.blocks).toEqual([]);
    const fine = sinkFor(fake);
    follow(fine, sourceOf(fake), { birthdayHeightBlocks: 15 });
    await until('what it still has', () => fine.isAt(fake.chain));
  });

  it('that was restarted has a new cookie', async () => {
    const fake = await nodeWith(5);
    const file = fileWith(fake.cookie);
    const sink = sinkFor(fake);
    const { log } = follow(sink, sourceOf(fake, file));
    await until('catching up', () => sink.isAt(fake.chain));
    writeFileSync(file, '__cookie__:second');
    fake.cookie = '__cookie__:second';
    fake.mine();
    await until('block 6', () => sink.isAt(fake.chain));
    expect(log).toEqual([]);
    writeFileSync(file, '__cookie__:wrong');
    fake.cookie = '__cookie__:third';
    fake.mine();
    await until('the complaint', () => log.length > 0);
    expect(log[0]).toMatch(/^error: .* refuses the user or password \(chain-source-unauthorized\)$/);
    expect(log.join()).not.toContain('__cookie__');
    writeFileSync(file, '__cookie__:third');
    await until('block 7', () => sink.isAt(fake.chain));
  });

  it('that reports news at once and has none is not asked without a pause', async () => {
    const fake = await nodeWith(5);
    const sink = sinkFor(fake);
    const real = sourceOf(fake);
    let asked = 0;
    const hasty: ChainSource = {
      name: real.name,
      headersPerRunMax: 2000,
      askedAgainMsMin: 250,
      bestTip: (signal) => {
        asked += 1;
        return real.bestTip(signal);
      },
      headers: (...args) => real.headers(...args),
      block: (...args) => real.block(...args),
      broadcast: (...args) => real.broadcast(...args),
      feerates: async () => null,
      changed: async () => {},
      close: () => {},
    };
    const { waits } = follow(sink, hasty);
    await until('some rounds', () => asked > 5);
    expect(waits.length).toBeGreaterThanOrEqual(asked - 2);
    expect(waits.at(-1)).toBeGreaterThan(200);
  });
});

describe('a signer that refuses', () => {
  it.each(['begin', 'headers', 'block'] as const)('%s for now is asked again soon', async (what) => {
    const fake = await nodeWith(5);
    const sink = sinkFor(fake);
    let times = 0;
    sink.refuse = (asked) => {
      return asked === what && ++times <= 3 ? { ok: false, temporary: true, message: 'not yet' } : undefined;
    };
    const { log, waits } = follow(sink, sourceOf(fake));
    await until('catching up', () => sink.isAt(fake.chain));
    expect(waits.slice(0, 3)).toEqual([1000, 2000, 4000]);
    expect(log[0]).toMatch(/^warn: .*: not yet$/);
  });

  it('for good is asked again later, and told as an error', async () => {
    const fake = await nodeWith(5);
    const sink = sinkFor(fake);
    sink.refuse = (what) =>
      what === 'block' ? { ok: false, temporary: false, message: 'a lie' } : undefined;
    const { log, waits, failures } = follow(sink, sourceOf(fake));
    await until('some tries', () => waits.length >= 7);
    expect(waits.slice(0, 7)).toEqual([15, 30, 60, 120, 240, 300, 300].map((seconds) => seconds * 1000));
    expect(log).toEqual(['error: block 1 is refused: a lie']);
    sink.refuse = () => undefined;
    await until('catching up', () => sink.isAt(fake.chain));
    expect(failures).toEqual([]);
  });

  it('by a rejection ends it, and whoever started it knows', async () => {
    const fake = await nodeWith(5);
    const sink = sinkFor(fake);
    sink.acceptBlock = () => Promise.reject(new Error('the store failed'));
    const { failures, follower } = follow(sink, sourceOf(fake));
    await until('the failure', () => failures.length > 0);
    expect(failures).toEqual([new Error('the store failed')]);
    await follower.stop();
  });
});

describe('publishing', () => {
  const transaction = (salt: number) => {
    const chain = new MinedChain(undefined, salt);
    return { id: `${salt}`, raw: transactionBytes(chain), reason: 'a breach' };
  };
  const transactionBytes = (chain: MinedChain): Uint8Array => {
    chain.extend([], { commits: false });
    // The coinbase, alone after the header and the count.
    return chain.tip.raw.slice(81);
  };

  it('hands out each transaction once a block, while it is wanted', async () => {
    const fake = await nodeWith(3);
    const sink = sinkFor(fake);
    sink.wanted = [transaction(1), transaction(2)];
    const hex = sink.wanted.map(({ raw }) => toHex(raw));
    const { log } = follow(sink, sourceOf(fake));
    await until('both', () => fake.mempool.length === 2 && log.length === 2);
    expect(fake.mempool).toEqual(hex);
    expect(log).toEqual(['info: published 1 (a breach)', 'info: published 2 (a breach)']);
    await until('a poll', () => fake.calls.filter((method) => method === 'waitforblockheight').length > 2);
    expect(fake.mempool).toEqual(hex);
    sink.wanted = sink.wanted.slice(1);
    fake.mine();
    await until('the second again', () => fake.mempool.length === 3);
    expect(fake.mempool[2]).toBe(hex[1]);
    await until('the line', () => log.at(-1) === 'debug: offered 2 (a breach) to the network again');
  });

  it('tells of a refusal once, and tries again after a minute or with the next block', async () => {
    const fake = await nodeWith(3);
    const sink = sinkFor(fake);
    sink.wanted = [transaction(1)];
    const refuseWith = (code: number, message: string): void => {
      fake.rpcFault = ({ method }) => (method === 'sendrawtransaction' ? { code, message } : undefined);
    };
    refuseWith(-26, 'min relay fee not met');
    let laterMs = 0;
    const { log } = follow(sink, sourceOf(fake), { monotonicMs: () => performance.now() + laterMs });
    const tries = (): number => fake.calls.filter((method) => method === 'sendrawtransaction').length;
    const polls = (): number => fake.calls.filter((method) => method === 'waitforblockheight').length;
    await until('some polls', () => polls() > 3);
    expect(tries()).toBe(1);
    laterMs = 60_000;
    await until('another try', () => tries() === 2);
    fake.mine();
    await until('one with the block', () => tries() === 3);
    expect(log.filter((line) => !line.startsWith('debug'))).toEqual([
      'error: the network refuses 1 (a breach): min relay fee not met',
    ]);
    refuseWith(-26, 'txn-mempool-conflict');
    fake.mine();
    await until('the change', () =>
      log.includes('warn: the network refuses 1 (a breach): txn-mempool-conflict'),
    );
    refuseWith(-27, 'Transaction outputs already in utxo set');
    fake.mine();
    await until('the end', () => log.includes('info: published 1 (a breach)'));
  });

  it('tells the signer once a block what transactions pay', async () => {
    const fake = await nodeWith(3);
    const sink = sinkFor(fake);
    fake.feerate = 0.0001;
    follow(sink, sourceOf(fake));
    await until('an estimate', () => sink.feerates.length === 1);
    expect(sink.feerates).toEqual([{ normalPerKw: 30_000, urgentPerKw: 5_000 }]);
    fake.mine();
    await until('another', () => sink.feerates.length === 2);
    fake.feerate = null;
    fake.mine();
    await until('block 5', () => sink.isAt(fake.chain));
    fake.rpcFault = ({ method }) =>
      method === 'estimatesmartfee' ? { code: -32601, message: 'no' } : undefined;
    fake.mine();
    await until('block 6', () => sink.isAt(fake.chain));
    expect(sink.feerates).toHaveLength(2);
  });

  it('leaves it to others when told so', async () => {
    const fake = await nodeWith(3);
    const sink = sinkFor(fake);
    sink.wanted = [transaction(1)];
    follow(sink, sourceOf(fake), { publishes: false });
    await until('catching up', () => sink.isAt(fake.chain));
    fake.mine();
    await until('block 4', () => sink.isAt(fake.chain));
    expect(fake.calls).not.toContain('sendrawtransaction');
    expect(fake.calls).not.toContain('estimatesmartfee');
  });
});

describe('stopping', () => {
  it('is a matter of a second, whatever it is doing', async () => {
    const fake = await nodeWith(5);
    const idle = follow(sinkFor(fake), sourceOf(fake));
    await until('waiting', () => fake.calls.includes('waitforblockheight'));
    const at = performance.now();
    await idle.follower.stop();
    fake.fault = () => () => {};
    const hanging = follow(sinkFor(fake), sourceOf(fake));
    await until('a call', () => fake.calls.at(-1) === 'getblockchaininfo');
    await hanging.follower.stop();
    fake.fault = () => (response) => void response.end('rubbish');
    const failing = follow(sinkFor(fake), sourceOf(fake), { sleep: undefined as never });
    await until('a failure', () => failing.log.length > 0);
    await failing.follower.stop();
    expect(performance.now() - at).toBeLessThan(1500);
    expect([...idle.failures, ...hanging.failures, ...failing.failures]).toEqual([]);
  });

  it('before the start is fine', async () => {
    const fake = await nodeWith(1);
    const { follower } = follow(sinkFor(fake), sourceOf(fake));
    await follower.stop();
    await follower.stop();
  });
});
