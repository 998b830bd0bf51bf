/** A follower between a bitcoind on the loopback interface and a signer's side that believes the longest chain. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CATCH_UP_MS } from '../src/follower.ts';
import type { FollowerOptions } from '../src/index.ts';
import { sleep } from '../src/wait.ts';
import { FakeSink } from './fake-sink.ts';
import { follow, isSettled, NEVER_MS, nodeWith, sinkFor, sourceOf, until } from './support.ts';

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
  // How long it holds its caller up is a matter of the test, not of how busy the machine is.
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  const following = async (changed: Partial<FollowerOptions> = {}) => {
    const fake = await nodeWith(5);
    const sink = sinkFor(fake);
    const source = sourceOf(fake, undefined, NEVER_MS, NEVER_MS);
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
        setImmediate(() => fake.chain.extendBy(1));
      }
    };
    await Promise.all([follower.catchUp(), follower.catchUp()]);
    await until('a second look', () => looks >= 2 && sink.isAt(fake.chain));
  });

  it('answers at once when it cannot help', async () => {
    // It would look again at its next try only.
    const { fake, follower, log } = await following({ sleep: (_, signal) => sleep(NEVER_MS, signal) });
    await fake.stop();
    await until('the complaint', () => log.length > 0);
    expect(await isSettled(follower.catchUp())).toBe(true);
    await follower.stop();
    expect(await isSettled(follower.catchUp())).toBe(true);
  });

  it('does not hold its caller up for long', async () => {
    const { fake, follower } = await following();
    fake.fault = () => () => {};
    const held = follower.catchUp();
    vi.advanceTimersByTime(CATCH_UP_MS - 1);
    expect(await isSettled(held)).toBe(false);
    vi.advanceTimersByTime(1);
    expect(await isSettled(held)).toBe(true);
    const waiting = follower.catchUp();
    await follower.stop();
    expect(await isSettled(waiting)).toBe(true);
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

describe('stopping', () => {
  it('waits for nothing, whatever it is doing', async () => {
    const fake = await nodeWith(5);
    const source = () => sourceOf(fake, undefined, NEVER_MS, NEVER_MS);
    const idle = follow(sinkFor(fake), source());
    await until('waiting', () => fake.calls.includes('waitforblockheight'));
    await idle.follower.stop();
    fake.fault = () => () => {};
    const hanging = follow(sinkFor(fake), source());
    await until('a call', () => fake.calls.at(-1) === 'getblockchaininfo');
    await hanging.follower.stop();
    fake.fault = () => (response) => void response.end('rubbish');
    const failing = follow(sinkFor(fake), source(), { sleep: (_, signal) => sleep(NEVER_MS, signal) });
    await until('a failure', () => failing.log.length > 0);
    await failing.follower.stop();
    expect([...idle.failures, ...hanging.failures, ...failing.failures]).toEqual([]);
  });

  it('before the start is fine', async () => {
    const fake = await nodeWith(1);
    const { follower } = follow(sinkFor(fake), sourceOf(fake));
    await follower.stop();
    await follower.stop();
  });
});
