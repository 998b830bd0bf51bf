/**
 * Heartbeats of a running signer on a real journal: what they tell, how their sequence goes on over starts, failures and
 * rollbacks, and the file they are kept in.
 */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { InvariantError } from '@countersign/bitcoin';
import {
  type Alarm,
  compareSequences,
  type Deadline,
  type Heartbeat,
  networkByName,
  type Preset,
  verifyHeartbeat,
} from '@countersign/core';
import { type Journal, StoreError } from '@countersign/store';
import { afterAll, describe, expect, it } from 'vitest';
import { MinedChain } from '../../core/test/mined-chain.ts';
import { RefusalCounts } from '../src/heartbeat/refusal-counts.ts';
import {
  effectivePolicy,
  HeartbeatMaker,
  type HeartbeatSource,
  HeartbeatWriter,
  Memory,
  NO_CHAIN,
  parseConfig,
  policySummary,
  type Signer,
  signerFacts,
} from '../src/index.ts';
import {
  channelClient,
  failing,
  forgetRequest,
  inDirectory,
  late,
  master,
  openStore,
  peerId,
  ringOf,
  secp,
  setupRequest,
  signerOn,
} from './support.ts';

const NOW = 1_800_000_000;
const node = ringOf(1).nodeId;
const regtest = networkByName('regtest')!;

/** What the text says, once it is verified with the node id. */
function read(text: string): Heartbeat {
  const verdict = verifyHeartbeat(secp, text, node);
  if (!verdict.ok) throw new Error(`${verdict.fault}: ${verdict.message}`);
  return verdict.heartbeat;
}

function makerOn(
  journal: Journal,
  { preset = 'hub', source = NO_CHAIN }: { preset?: Preset; source?: HeartbeatSource | 'chain' } = {},
): { signer: Signer; maker: HeartbeatMaker } {
  const config = parseConfig(`[policy]\npreset = "${preset}"\n`, 'countersign.toml');
  const effective = () => effectivePolicy(config, regtest, signerFacts(new Memory(journal)));
  const nowSeconds = () => NOW;
  const signer = signerOn(journal, { policy: effective().policy, nowSeconds });
  const maker = new HeartbeatMaker({
    signer,
    journal,
    effectivePolicy: effective,
    source: source === 'chain' ? signer.chain : source,
    startedAtSeconds: NOW - 60,
    nowSeconds,
  });
  return { signer, maker };
}

const onJournal = (body: (journal: Journal) => Promise<void>): Promise<void> =>
  inDirectory(async (directory) => {
    const journal = openStore(directory);
    await body(journal);
    await journal.close();
  });

const deadline: Deadline = {
  channel: `${Buffer.from(peerId).toString('hex')}/1`,
  heightBlocks: 120,
  blocksLeft: 20,
  level: 'warn',
  what: 'penalty',
  amountMsat: 5n,
};
const alarm: Alarm = {
  code: 'hashrate',
  severity: 'warn',
  channel: null,
  sinceHeightBlocks: 90,
  message: 'blocks come slowly',
  facts: { expected_seconds: 600 },
};

describe('a heartbeat of the signer', () => {
  it('tells what the records, the refusals and the policy say', () =>
    onJournal(async (journal) => {
      const { signer, maker } = makerOn(journal);
      await signer.answer(channelClient(1), setupRequest(1));
      await signer.answer(channelClient(2), setupRequest(2, { fundingTxid: new Uint8Array(32).fill(9) }));
      await signer.answer(master, forgetRequest(7));
      for (let i = 0; i < 3; i++) await signer.answer(channelClient(1), forgetRequest(1));
      const heartbeat = read(await maker.make());
      expect(heartbeat).toMatchObject({
        chainHash: Buffer.from(regtest.chainHash.toReversed()).toString('hex'),
        nodeId: Buffer.from(node).toString('hex'),
        timeSeconds: NOW,
        startedAtSeconds: NOW - 60,
        chain: null,
        deadlines: [],
        alarms: [],
        counters: {
          channels: null,
          pendingApprovals: 0,
          refusals: { byTag: { 'policy-client-permission': 3 } },
        },
        policy: {
          preset: 'hub',
          promise: 'limited',
          weakened: ['policy-commitment-payment-settled-preimage'],
        },
      });
      expect(heartbeat.counters.channelsLive).toBeGreaterThan(0);
      expect(heartbeat.counters.commits).toBeGreaterThan(0);
      signer.recordRefusal({
        code: 'malformed',
        tag: 'policy-generic-error',
        law: 'form',
        severity: 'error',
        temporary: false,
        message: 'x',
        facts: {},
        request: 'unknown',
        channel: null,
      });
      expect(read(await maker.make()).counters.refusals.byTag).toMatchObject({ 'policy-generic-error': 1 });
      await journal.settled();
    }));

  it('tells what the chain’s side says', () =>
    onJournal(async (journal) => {
      const chain = {
        tipHeightBlocks: 100,
        tipHash: new Uint8Array(32),
        provenHeightBlocks: 99,
        medianTimeSeconds: 5,
      };
      const channels = { opening: 0, open: 1, closing: 2, closed: 3 };
      const asked: number[] = [];
      const source: HeartbeatSource = {
        observe: (nowSeconds) => {
          asked.push(nowSeconds);
          return { chain, channels, deadlines: [deadline], alarms: [alarm] };
        },
      };
      const { maker } = makerOn(journal, { source });
      expect(read(await maker.make())).toMatchObject({
        chain: { tipHeightBlocks: 100, lagBlocks: 1 },
        counters: { channels },
        deadlines: [deadline],
        alarms: [alarm],
      });
      expect(asked).toEqual([NOW]);
    }));

  it('tells of the chain that the running signer follows', () =>
    onJournal(async (journal) => {
      const { signer, maker } = makerOn(journal, { source: 'chain' });
      expect(read(await maker.make())).toMatchObject({ chain: null, counters: { channels: null } });
      const mined = new MinedChain();
      mined.extendBy(12);
      await signer.chain.begin({ birthdayHeightBlocks: 1, sourceHeightBlocks: 0 }, new Uint8Array(0));
      await signer.chain.acceptHeaders(mined.headers(1));
      for (const { raw } of mined.blocks.slice(1, 12)) await signer.chain.acceptBlock(raw);
      await signer.answer(channelClient(1), setupRequest(1));
      const { chain, counters, alarms, deadlines } = read(await maker.make());
      expect(chain).toEqual({
        tipHeightBlocks: 12,
        tipHash: Buffer.from(mined.tip.hash).reverse().toString('hex'),
        provenHeightBlocks: 11,
        medianTimeSeconds: signer.chain.view()!.medianTimeSeconds,
        lagBlocks: 1,
      });
      expect(counters.channels).toEqual({ opening: 1, open: 0, closing: 0, closed: 0 });
      expect([alarms, deadlines]).toEqual([[], []]);
    }));

  it('warns that the promise is void', () =>
    onJournal(async (journal) => {
      const { maker } = makerOn(journal, { preset: 'permissive' });
      const { policy, alarms } = read(await maker.make());
      expect(policy).toMatchObject({ preset: 'permissive', promise: 'void' });
      expect(policy.weakened).toContain('policy-commitment-dust-exposure');
      expect(alarms).toMatchObject([{ code: 'promise-void', severity: 'warn' }]);
    }));

  it('rises with each one, and over starts without a clock', () =>
    inDirectory(async (directory) => {
      const sequences = [];
      for (let i = 0; i < 3; i++) {
        const journal = openStore(directory);
        const { signer, maker } = makerOn(journal);
        // As the process does, or not at all.
        if (i > 0) signer.recordEvent({ event: 'signer-started', facts: {} });
        const [a, b] = await Promise.all([maker.make(), maker.make()]);
        sequences.push(...[a, b, await maker.make()].map((text) => read(text).sequence));
        await journal.close();
      }
      for (const [i, sequence] of sequences.slice(1).entries())
        expect(compareSequences(sequence, sequences[i]!)).toBeGreaterThan(0);
    }));

  it('falls back when the store was rolled back', () =>
    inDirectory(async (directory) => {
      const life = async (at: string, events: number): Promise<Heartbeat> => {
        const journal = openStore(at);
        const { signer, maker } = makerOn(journal);
        for (let i = 0; i < events; i++) signer.recordEvent({ event: 'signer-started', facts: {} });
        const heartbeat = read(await maker.make());
        await journal.close();
        return heartbeat;
      };
      await life(directory, 1);
      const copy = `${directory}-copy`;
      cpSync(directory, copy, { recursive: true });
      await life(directory, 3);
      const newest = await life(directory, 1);
      const rolledBack = await life(copy, 1);
      expect(compareSequences(rolledBack.sequence, newest.sequence)).toBeLessThan(0);
    }));

  it('waits until something of this start is durable', () =>
    onJournal(async (store) => {
      const journal = late(store);
      const { signer, maker } = makerOn(journal);
      signer.recordEvent({ event: 'signer-started', facts: {} });
      const making = maker.make();
      expect(await Promise.race([making.then(() => 'made'), sleep(30, 'waiting')])).toBe('waiting');
      journal.release();
      expect(read(await making).sequence).toEqual({ start: 1, count: 1 });
    }));

  it('tells that the store failed, and goes on', () =>
    onJournal(async (store) => {
      const journal = failing(store, 1);
      const { signer, maker } = makerOn(journal);
      signer.recordEvent({ event: 'signer-started', facts: {} });
      expect(read(await maker.make()).alarms).toEqual([]);
      await signer.answer(channelClient(1), setupRequest(1));
      await signer.answer(channelClient(1), setupRequest(1));
      const { alarms, counters, sequence, policy } = read(await maker.make());
      expect(alarms).toMatchObject([
        { code: 'store-failed', severity: 'critical', facts: { code: 'store-disk-full' } },
      ]);
      expect(counters).toMatchObject({ channelsLive: null, pendingApprovals: null });
      expect(counters.refusals.byTag['store-disk-full']).toBeGreaterThan(0);
      expect(sequence.count).toBe(2);
      expect(policy.preset).toBe('hub');
    }));

  it('there is none if the store fails before anything is durable', () =>
    onJournal(async (store) => {
      const { maker } = makerOn(failing(store, 0));
      await expect(maker.make()).rejects.toThrow(StoreError);
    }));

  it('lets a bug of ours out', () =>
    onJournal(async (journal) => {
      const { signer } = makerOn(journal);
      let isBroken = false;
      const maker = new HeartbeatMaker({
        signer,
        journal,
        effectivePolicy: () => {
          if (isBroken) throw new InvariantError('a bug');
          return effectivePolicy(parseConfig('', 'x'), regtest);
        },
        source: NO_CHAIN,
        startedAtSeconds: NOW,
        nowSeconds: () => NOW,
      });
      isBroken = true;
      await expect(maker.make()).rejects.toThrow('a bug');
    }));
});

describe('the policy in a heartbeat', () => {
  const summaryOf = (text: string, deliversPreimages = true) =>
    policySummary(
      effectivePolicy(parseConfig(text, 'countersign.toml'), regtest, {
        deliversPreimages,
        hasChainView: true,
      }),
    );

  it('names the rules that carry the promise and do not refuse', () => {
    expect(summaryOf('[policy]\npreset = "hub"\n')).toEqual({ preset: 'hub', promise: 'kept', weakened: [] });
    const lines = [
      '[policy]',
      'preset = "hub"',
      '[policy.rules]',
      '"policy-commitment-fee-range" = "warn"',
      '"policy-onchain-wallet-path-predictable" = "warn"',
      `[policy.peer."${Buffer.from(peerId).toString('hex')}"]`,
      'rules = { "policy-commitment-dust-exposure" = "warn", "policy-commitment-fee-range" = "warn" }',
    ];
    expect(summaryOf(`${lines.join('\n')}\n`)).toEqual({
      preset: 'hub',
      promise: 'void',
      weakened: ['policy-commitment-fee-range', 'policy-commitment-dust-exposure'],
    });
    expect(summaryOf('[policy]\npreset = "hub"\n', false)).toMatchObject({
      promise: 'limited',
      weakened: ['policy-commitment-payment-settled-preimage'],
    });
  });
});

describe('counts of refusals', () => {
  it('are bounded', () => {
    const counts = new RefusalCounts();
    for (let i = 0; i < 1000; i++) counts.add(`tag-${i % 500}`);
    expect(counts.byTag.size).toBe(257);
    expect(counts.byTag.get('tag-3')).toBe(2);
    expect([...counts.byTag.values()].reduce((a, b) => a + b)).toBe(1000);
  });
});

describe('the file of the heartbeat', () => {
  const root = mkdtempSync(join(tmpdir(), 'countersign-heartbeat-'));
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  /** A writer whose time passes when the test says so. */
  function writing(path: string, make: () => Promise<string>) {
    const problems: string[] = [];
    const bugs: unknown[] = [];
    const waiting: { run: () => void; delayMs: number }[] = [];
    const writer = HeartbeatWriter.start({
      make,
      path,
      everySeconds: 30,
      onProblem: (text) => void problems.push(text),
      onBug: (error) => void bugs.push(error),
      schedule: (run, delayMs) => {
        const entry = { run, delayMs };
        waiting.push(entry);
        return () => void waiting.splice(waiting.indexOf(entry), 1);
      },
    });
    /** Until the round is over; then the next one is due. */
    const settled = async (): Promise<void> => {
      await expect.poll(() => waiting.length).toBeGreaterThan(0);
      expect(waiting.map(({ delayMs }) => delayMs)).toEqual([30_000]);
    };
    const pass = async (): Promise<void> => {
      waiting.shift()!.run();
      await settled();
    };
    return { writer, problems, bugs, waiting, settled, pass };
  }

  it('is replaced as a whole, every so many seconds', async () => {
    const directory = mkdtempSync(join(root, 'd'));
    const path = join(directory, 'heartbeat.json');
    let count = 0;
    const { writer, problems, settled, pass, waiting } = writing(path, async () =>
      `${++count}\n`.repeat(1000),
    );
    await settled();
    const { ino, mode } = statSync(path);
    expect(mode & 0o777 & ~0o644).toBe(0);
    expect(readFileSync(path, 'utf8')).toBe('1\n'.repeat(1000));
    await pass();
    expect(readFileSync(path, 'utf8')).toBe('2\n'.repeat(1000));
    expect(statSync(path).ino).not.toBe(ino);
    expect(readdirSync(directory)).toEqual(['heartbeat.json']);
    await writer.stop();
    expect(waiting).toEqual([]);
    expect(problems).toEqual([]);
  });

  it('does not write through what lies in its way', async () => {
    const directory = mkdtempSync(join(root, 'd'));
    const precious = join(directory, 'precious');
    writeFileSync(precious, 'precious');
    const path = join(directory, 'heartbeat.json');
    symlinkSync(precious, `${path}.new`);
    symlinkSync(precious, path);
    const { writer, settled } = writing(path, async () => 'alive');
    await settled();
    expect(readFileSync(precious, 'utf8')).toBe('precious');
    expect(readFileSync(path, 'utf8')).toBe('alive');
    await writer.stop();
  });

  it('says once that it cannot be written, and tries again', async () => {
    const directory = join(mkdtempSync(join(root, 'd')), 'later');
    const path = join(directory, 'heartbeat.json');
    let failure: Error | null = null;
    const { writer, problems, bugs, settled, pass } = writing(path, async () => {
      if (failure !== null) throw failure;
      return 'alive';
    });
    await settled();
    await pass();
    expect(problems).toEqual([
      expect.stringMatching(/^cannot write the heartbeat to .*heartbeat\.json: ENOENT/),
    ]);
    mkdirSync(directory);
    await pass();
    expect(readFileSync(path, 'utf8')).toBe('alive');
    failure = new StoreError('store-failed', 'earlier');
    await pass();
    await pass();
    expect(problems.slice(1)).toEqual([expect.stringContaining('(store-failed)')]);
    expect(bugs).toEqual([]);
    const bug = new InvariantError('broken');
    failure = bug;
    await pass();
    failure = new TypeError('a bug');
    await pass();
    expect(bugs).toEqual([bug, failure]);
    await writer.stop();
  });

  it('is not written any more once it is stopped', async () => {
    const path = join(mkdtempSync(join(root, 'd')), 'heartbeat.json');
    const { promise, resolve } = Promise.withResolvers<string>();
    const { writer, waiting } = writing(path, () => promise);
    const stopped = writer.stop();
    resolve('too late');
    await stopped;
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
    expect(waiting).toEqual([]);
  });

  it('goes by a timer of its own that keeps no process alive', async () => {
    const path = join(mkdtempSync(join(root, 'd')), 'heartbeat.json');
    let count = 0;
    const writer = HeartbeatWriter.start({
      make: async () => `${++count}`,
      path,
      everySeconds: 0.005,
      onProblem: () => {},
      onBug: () => {},
    });
    await expect.poll(() => count).toBeGreaterThan(2);
    await writer.stop();
    const last = count;
    await sleep(30);
    expect(count).toBe(last);
  });
});
