/**
 * Runs of headers as an attacker would show them (A70) and as honest nodes do: connections, proof of work, difficulty, times,
 * versions, forks, repeats, and the start of a chain.
 */
import { concat, fromHex, hash256, toHex } from '@countersign/bitcoin';
import { Draft, judgeHeaders, networkByName, policyOf, RUN_HEADERS_MAX } from '@countersign/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expectedBits, type Timed } from '../src/chain/difficulty.ts';
import { workOf } from '../src/chain/headers.ts';
import { type ChainParams, chainParams } from '../src/chain/params.ts';
import { RefusalSignal } from '../src/refusal.ts';
import { expectRefused, HeaderChain, LATE_SECONDS, refusalOf } from './header-chain.ts';
import { MemoryState } from './memory-state.ts';
import { MinedChain, mineHeader, REGTEST_BITS } from './mined-chain.ts';

const TAG = 'policy-chain-validated';
const REGTEST = networkByName('regtest')!;

function minedTo(heightBlocks: number): MinedChain {
  const chain = new MinedChain();
  chain.extendBy(heightBlocks);
  return chain;
}

/** One more header on top, with what the test wants of it. */
const onTop = (
  chain: MinedChain,
  fields: { timeSeconds?: number; bits?: number; version?: number },
): Uint8Array =>
  mineHeader({
    version: 0x2000_0000,
    previous: chain.tip.hash,
    merkleRoot: new Uint8Array(32),
    timeSeconds: chain.tip.timeSeconds + 600,
    bits: REGTEST_BITS,
    nonce: 0,
    ...fields,
  }).header;

describe('policy-chain-validated', () => {
  it('policy-chain-validated: passes honest headers in runs of any length', () => {
    const mined = minedTo(60);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 1 }), (lengths) => {
        const chain = new HeaderChain();
        for (let at = 1, i = 0; at <= 60; i++) {
          const length = lengths[i % lengths.length]!;
          const { forkHeightBlocks, records } = chain.accept(mined.headers(at, at + length - 1));
          expect(forkHeightBlocks).toBe(at - 1);
          expect(records).toHaveLength(Math.min(length, 61 - at));
          at += length;
        }
        expect(toHex(chain.chain.tipHash)).toBe(toHex(mined.tip.hash));
        expect(workOf(chain.header(60)!)).toBe(122n);
      }),
      { numRuns: 20 },
    );
  });

  it('policy-chain-validated: trips on bytes that are no run of headers', () => {
    const chain = new HeaderChain();
    const mined = minedTo(1);
    for (const bytes of [
      new Uint8Array(0),
      new Uint8Array(79),
      concat(mined.tip.header, Uint8Array.of(0)),
      new Uint8Array(80 * (RUN_HEADERS_MAX + 1)),
    ]) {
      expectRefused(TAG, 'a run of headers', () => chain.judge(bytes));
    }
  });

  it('policy-chain-validated: trips on headers that connect to none on record', () => {
    const chain = new HeaderChain();
    const mined = minedTo(5);
    const refusal = expectRefused(TAG, 'do not connect to any', () => chain.judge(mined.headers(3)));
    expect(refusal.temporary).toBe(false);
    expect(refusal.facts).toMatchObject({ first_height_blocks: 0, tip_height_blocks: 0 });
    // A hole in the run.
    const holed = concat(mined.headers(1, 2), mined.headers(4, 5));
    expectRefused(TAG, 'does not connect to the one before', () => chain.judge(holed));
  });

  it('policy-chain-validated: trips on a header without the work it claims', () => {
    const chain = new HeaderChain();
    const mined = minedTo(3);
    const header = onTop(mined, {});
    const view = new DataView(header.buffer);
    while (hash256(header)[31]! < 0x80) view.setUint32(76, view.getUint32(76, true) + 1, true);
    const refusal = expectRefused(TAG, 'proof of work', () => chain.judge(concat(mined.headers(1), header)));
    expect(refusal.facts).toMatchObject({ height_blocks: 4, bits: '207fffff' });
  });

  it('policy-chain-validated: trips on another difficulty, harder or easier', () => {
    const chain = new HeaderChain();
    const mined = minedTo(3);
    const harder = onTop(mined, { bits: 0x207ffffe });
    const refusal = expectRefused(TAG, 'another difficulty', () =>
      chain.judge(concat(mined.headers(1), harder)),
    );
    expect(refusal.facts).toEqual({ height_blocks: 4, bits: '207ffffe', expected_bits: '207fffff' });
    for (const bits of [0x2100ffff, 0x20ffffff, 0, 0x01000000, 0xff7fffff]) {
      const header = mined.tip.header.slice();
      new DataView(header.buffer).setUint32(72, bits, true);
      expectRefused(TAG, 'a target that the network does not have', () =>
        chain.judge(concat(mined.headers(1, 2), header)),
      );
    }
  });

  it('policy-chain-validated: trips on mainnet for headers of a chain that took no work', () => {
    const chain = new HeaderChain({ network: 'bitcoin' });
    const { header } = mineHeader({
      version: 0x2000_0000,
      previous: networkByName('bitcoin')!.chainHash,
      merkleRoot: new Uint8Array(32),
      timeSeconds: 1_231_469_665,
      bits: REGTEST_BITS,
      nonce: 0,
    });
    expectRefused(TAG, 'a target that the network does not have', () => chain.judge(header));
    new DataView(header.buffer).setUint32(72, 0x1d00ffff, true);
    expectRefused(TAG, 'proof of work', () => chain.judge(header));
  });

  it('policy-chain-validated: passes the first header after genesis of mainnet', () => {
    const first = fromHex(
      '010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299',
    );
    const chain = new HeaderChain({ network: 'bitcoin' });
    expect(chain.accept(first).records).toHaveLength(1);
    expect(workOf(chain.header(1)!)).toBe(2n * 0x100010001n);
  });

  it('policy-chain-validated: trips at the median of the last eleven, passes a second later', () => {
    const mined = minedTo(20);
    const median = mined.blocks[15]!.timeSeconds;
    const chain = new HeaderChain();
    chain.accept(mined.headers(1));
    const refusal = expectRefused(TAG, 'median', () => chain.judge(onTop(mined, { timeSeconds: median })));
    expect(refusal.facts).toMatchObject({ time_seconds: median, median_seconds: median });
    expect(chain.judge(onTop(mined, { timeSeconds: median + 1 })).records).toHaveLength(1);
    // The same within one run.
    const whole = new HeaderChain();
    const run = (timeSeconds: number) => concat(mined.headers(1), onTop(mined, { timeSeconds }));
    expectRefused(TAG, 'median', () => whole.judge(run(median)));
    expect(whole.judge(run(median + 1)).records).toHaveLength(21);
  });

  it('policy-chain-validated: trips for now on headers from the future, passes at two hours', () => {
    const mined = minedTo(3);
    const nowSeconds = mined.tip.timeSeconds;
    const chain = new HeaderChain({ nowSeconds });
    chain.accept(mined.headers(1));
    const late = onTop(mined, { timeSeconds: nowSeconds + 7201 });
    expect(expectRefused(TAG, 'future', () => chain.judge(late)).temporary).toBe(true);
    expect(chain.judge(onTop(mined, { timeSeconds: nowSeconds + 7200 })).records).toHaveLength(1);
    chain.nowSeconds++;
    expect(chain.judge(late).records).toHaveLength(1);
  });

  it('policy-chain-validated: trips on a version that is too old', () => {
    const mined = minedTo(2);
    const chain = new HeaderChain();
    chain.accept(mined.headers(1));
    const refusal = expectRefused(TAG, 'version', () => chain.judge(onTop(mined, { version: 3 })));
    expect(refusal.facts).toEqual({ height_blocks: 3, version: 3, version_min: 4 });
    expect(chain.judge(onTop(mined, { version: 4 })).records).toHaveLength(1);
    // Each height asks for one more from itself on.
    for (const [height, required] of [
      [4, 3],
      [3, 4],
    ] as const) {
      const params = { ...chainParams(REGTEST), versionHeights: [1, 2, height] as const };
      const dated = new HeaderChain({ params });
      dated.accept(mined.headers(1));
      expectRefused(TAG, 'version', () => dated.judge(onTop(mined, { version: required - 1 })));
      expect(dated.judge(onTop(mined, { version: required })).records).toHaveLength(1);
    }
  });

  it('policy-chain-validated: trips before a chain has begun', () => {
    const place = {
      draft: new Draft(new MemoryState()),
      policy: policyOf(REGTEST, 'hub'),
      nowSeconds: LATE_SECONDS,
    };
    expectRefused(TAG, 'no chain has begun', () => judgeHeaders(place, minedTo(1).headers(1)));
  });

  it('set to warn takes other difficulties and times, once warned of each, but never less work or no connection', () => {
    const severities = new Map([[TAG, 'warn' as const]]);
    const mined = minedTo(20);
    const chain = new HeaderChain({ severities, nowSeconds: mined.tip.timeSeconds - 9000 });
    const old = onTop(mined, { timeSeconds: mined.blocks[2]!.timeSeconds, bits: 0x207ffffe, version: 1 });
    const { records, warnings } = chain.judge(concat(mined.headers(1), old));
    expect(records).toHaveLength(21);
    expect(warnings.map(({ message }) => message)).toEqual([
      'the header is from the future by the signer’s clock',
      'the header has another difficulty than the chain demands',
      'the header is not younger than the median of those before it',
      'the header has a version that its height no longer admits',
    ]);
    expectRefused(TAG, 'do not connect', () => chain.judge(mined.headers(3)));
  });
});

describe('a run on known ground', () => {
  it('changes nothing when all of it is on record, and skips what is', () => {
    const mined = minedTo(12);
    const chain = new HeaderChain();
    chain.accept(mined.headers(1, 8));
    expect(chain.judge(mined.headers(2, 5))).toEqual({ forkHeightBlocks: 5, records: [], warnings: [] });
    expect(chain.judge(mined.headers(0, 8)).records).toEqual([]);
    const longer = chain.judge(mined.headers(0));
    expect(longer.forkHeightBlocks).toBe(8);
    expect(longer.records.map(({ header }) => toHex(header))).toEqual(
      mined.blocks.slice(9).map(({ header }) => toHex(header)),
    );
  });

  it('that forks off wins with more work only', () => {
    const mined = minedTo(12);
    const fork = mined.forkAt(7);
    const chain = new HeaderChain();
    chain.accept(mined.headers(1));
    fork.extendBy(4);
    expect(chain.judge(fork.headers(8)).records).toEqual([]);
    fork.extendBy(1);
    expect(chain.judge(fork.headers(8))).toMatchObject({ forkHeightBlocks: 7, records: [], warnings: [] });
    fork.extendBy(1);
    const { forkHeightBlocks, records } = chain.accept(fork.headers(8));
    expect(forkHeightBlocks).toBe(7);
    expect(records).toHaveLength(6);
    expect(toHex(chain.chain.tipHash)).toBe(toHex(fork.tip.hash));
    // And back again.
    mined.extendBy(2);
    expect(chain.accept(mined.headers(5)).forkHeightBlocks).toBe(7);
    expect(workOf(chain.header(14)!)).toBe(30n);
  });

  it('does not become valid by having less work', () => {
    const mined = minedTo(12);
    const chain = new HeaderChain();
    chain.accept(mined.headers(1));
    const fork = mined.forkAt(7);
    expectRefused(TAG, 'median', () => chain.judge(onTop(fork, { timeSeconds: 1 })));
  });

  it('is looked for no deeper than two periods', () => {
    const mined = minedTo(4050);
    const chain = new HeaderChain();
    for (let at = 1; at <= 4050; at += 2000) chain.accept(mined.headers(at, at + 1999));
    const first = 4050 - 4031;
    const refusal = expectRefused(TAG, 'do not connect to any', () =>
      chain.judge(mined.headers(first - 1, first + 10)),
    );
    expect(refusal.facts.first_height_blocks).toBe(first);
    expect(chain.judge(mined.headers(first, first + 10)).forkHeightBlocks).toBe(first + 10);
    expect(chain.judge(mined.headers(first + 1, first + 10)).forkHeightBlocks).toBe(first + 10);
  });

  it('cannot be changed while it is judged or after', () => {
    const mined = minedTo(2);
    const chain = new HeaderChain();
    const run = Buffer.from(mined.headers(1));
    const { records } = chain.judge(run);
    run.fill(0);
    expect(records.map(({ hash }) => toHex(hash))).toEqual(
      mined.blocks.slice(1).map(({ hash }) => toHex(hash)),
    );
  });

  it('with any bytes is judged or refused by this rule alone', () => {
    const mined = minedTo(20);
    const chain = new HeaderChain();
    chain.accept(mined.headers(1, 15));
    const run = mined.headers(10);
    fc.assert(
      fc.property(fc.nat({ max: run.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const other = run.slice();
        other[at] = other[at]! ^ by;
        try {
          const { records } = chain.judge(other);
          // Only the last header can be another without breaking what follows, and it proves its own work.
          expect(Math.floor(at / 80)).toBe(run.length / 80 - 1);
          expect(records.length).toBeGreaterThan(0);
        } catch (error) {
          if (!(error instanceof RefusalSignal)) throw error;
          expect(error.rule.tag).toBe(TAG);
        }
      }),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(refusalOf(() => chain.judge(bytes)).rule.tag).toBe(TAG);
      }),
    );
  });
});

/** Mainnet's rules on targets that a test can mine. */
const EASY: ChainParams = {
  ...chainParams(networkByName('bitcoin')!),
  ...{ limitBits: 0x207fffff, versionHeights: [1, 1, 1] },
  genesis: chainParams(REGTEST).genesis,
};

/** Headers of a chain that follows `params`, each so many seconds after the one before it. */
function minedBy(params: ChainParams, count: number, secondsAt: (height: number) => number): Uint8Array[] {
  const headers: Uint8Array[] = [params.genesis];
  const timed: Timed[] = [{ timeSeconds: 1_296_688_602, bits: params.limitBits }];
  for (let height = 1; height <= count; height++) {
    const timeSeconds = timed[height - 1]!.timeSeconds + secondsAt(height);
    const bits = expectedBits(params, (at) => timed[at] ?? null, height, timeSeconds)!;
    const previous = hash256(headers[height - 1]!);
    const { header } = mineHeader({
      version: 4,
      previous,
      merkleRoot: new Uint8Array(32),
      timeSeconds,
      bits,
      nonce: 0,
    });
    headers.push(header);
    timed.push({ timeSeconds, bits });
  }
  return headers;
}

function acceptAll(chain: HeaderChain, headers: readonly Uint8Array[], from = 1): void {
  for (let at = from; at < headers.length; at += RUN_HEADERS_MAX) {
    chain.accept(concat(...headers.slice(at, at + RUN_HEADERS_MAX)));
  }
}

const bitsOf = (header: Uint8Array): number =>
  new DataView(header.buffer, header.byteOffset).getUint32(72, true);

describe('a chain with retargets', () => {
  it('policy-chain-validated: passes and trips at a change of difficulty, across runs', () => {
    const headers = minedBy(EASY, 4040, (height) => (height < 2016 ? 200 : 900));
    const chain = new HeaderChain({ params: EASY });
    acceptAll(chain, headers);
    expect(chain.chain.tipHeightBlocks).toBe(4040);
    expect(bitsOf(headers[2015]!)).toBe(0x207fffff);
    expect(bitsOf(headers[2016]!)).toBe(0x202aa53f);
    expect(bitsOf(headers[4032]!)).toBe(0x203fefbf);

    const early = new HeaderChain({ params: EASY });
    acceptAll(early, headers.slice(0, 2016));
    const same = mineHeader({
      version: 4,
      previous: hash256(headers[2015]!),
      merkleRoot: new Uint8Array(32),
      timeSeconds: 1_296_688_602 + 2016 * 200,
      bits: 0x207fffff,
      nonce: 0,
    }).header;
    const refusal = expectRefused(TAG, 'another difficulty', () => early.judge(same));
    expect(refusal.facts).toMatchObject({ height_blocks: 2016, bits: '207fffff', expected_bits: '202aa53f' });
    // And a whole fork from before the change.
    expectRefused(TAG, 'another difficulty', () => early.judge(concat(...headers.slice(2010, 2016), same)));
  });

  it('policy-chain-validated: trips on a period that begins before the last one ends (BIP 94), passes at ten minutes', () => {
    const params = { ...EASY, enforcesBip94: true };
    const headers = minedBy(params, 2015, () => 600);
    const chain = new HeaderChain({ params });
    acceptAll(chain, headers);
    const at = (secondsAfter: number) => {
      const timeSeconds = 1_296_688_602 + 2015 * 600 + secondsAfter;
      return mineHeader({
        version: 4,
        previous: hash256(headers[2015]!),
        merkleRoot: new Uint8Array(32),
        timeSeconds,
        bits: expectedBitsAfter(headers, params),
        nonce: 0,
      }).header;
    };
    const refusal = expectRefused(TAG, 'BIP 94', () => chain.judge(at(-601)));
    expect(refusal.facts).toMatchObject({ height_blocks: 2016, overlap_seconds_max: 600 });
    expect(chain.judge(at(-600)).records).toHaveLength(1);
    // Within a period the median alone bounds the time.
    const within = new HeaderChain({ params });
    acceptAll(within, headers.slice(0, 2015));
    const early = minedBy(params, 2015, (height) => (height === 2015 ? -601 : 600));
    expect(within.judge(early[2015]!).records).toHaveLength(1);
    const old = new HeaderChain({ params: EASY });
    acceptAll(old, headers);
    expect(old.judge(at(-601)).records).toHaveLength(1);
  });

  it('policy-chain-validated: passes the exceptions of testnets and trips when they are overdone', () => {
    const params = { ...EASY, allowsMinDifficulty: true };
    const seconds = (height: number) => (height < 2016 ? 150 : height % 5 === 0 ? 1300 : 600);
    const headers = minedBy(params, 2060, seconds);
    const chain = new HeaderChain({ params });
    acceptAll(chain, headers);
    expect(bitsOf(headers[2020]!)).toBe(0x207fffff);
    expect(bitsOf(headers[2021]!)).toBe(bitsOf(headers[2019]!));
    const soon = mineHeader({
      version: 4,
      previous: hash256(headers[2060]!),
      merkleRoot: new Uint8Array(32),
      timeSeconds: new DataView(headers[2060]!.buffer).getUint32(68, true) + 1200,
      bits: 0x207fffff,
      nonce: 0,
    }).header;
    expectRefused(TAG, 'another difficulty', () => chain.judge(soon));
  });
});

function expectedBitsAfter(headers: readonly Uint8Array[], params: ChainParams): number {
  const timed = (height: number): Timed | null => {
    const header = headers[height];
    if (header === undefined) return null;
    const view = new DataView(header.buffer, header.byteOffset);
    return { timeSeconds: view.getUint32(68, true), bits: view.getUint32(72, true) };
  };
  return expectedBits(params, timed, headers.length, 0)!;
}
