/** The start of a chain at genesis or a checkpoint, what the checkpoints say, and which headers may go. */
import { readFileSync } from 'node:fs';
import {
  blockHash,
  compactOfTarget,
  fromHex,
  meetsTarget,
  parseBlockHeader,
  targetBytes,
  targetOfCompact,
  toHex,
} from '@countersign/bitcoin';
import {
  beginChain,
  beginNeeds,
  HEADERS_KEPT,
  headersToDrop,
  NETWORKS,
  networkByName,
} from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { beginChainBy } from '../src/chain/begin.ts';
import { type ChainParams, chainParams } from '../src/chain/params.ts';
import { heightId } from '../src/records/chain.ts';
import { expectRefused, HeaderChain } from './header-chain.ts';
import { MinedChain, REGTEST_BITS } from './mined-chain.ts';

const TAG = 'policy-chain-validated';
const REGTEST = networkByName('regtest')!;
const BITCOIN = networkByName('bitcoin')!;
/** Mainnet’s rules on targets that a test can mine. */
const EASY: ChainParams = { ...chainParams(BITCOIN), limitBits: REGTEST_BITS, versionHeights: [1, 1, 1] };

const PERIOD_HEADERS = (
  JSON.parse(readFileSync(new URL('./vectors/period-headers.json', import.meta.url), 'utf8')) as {
    readonly headers: Readonly<Record<string, string>>;
  }
).headers;

describe('the checkpoints', () => {
  it.each(NETWORKS.map((network) => [network.name, network] as const))(
    'of %s are last blocks of periods, in order, with targets that have a compact form and fall within the limit',
    (_, network) => {
      const all = chainParams(network).checkpoints;
      const heights = all.map(({ heightBlocks }) => heightBlocks);
      expect(heights).toEqual(heights.toSorted((a, b) => a - b));
      for (const { heightBlocks, hash, nextBits } of all) {
        expect(heightBlocks % 2016).toBe(2015);
        expect(hash).toHaveLength(32);
        // Internal order: work shows as zeros at the end.
        expect(toHex(hash.subarray(29))).toBe('000000');
        if (nextBits === null) continue;
        const target = targetOfCompact(nextBits)!;
        expect(compactOfTarget(target)).toBe(nextBits);
        // Within four times of what the checkpoint's own hash proves there is.
        expect(BigInt(`0x${toHex(hash.toReversed())}`)).toBeLessThan(target * 4n);
      }
    },
  );

  it('of mainnet are followed by the real headers, with the target that another source has', () => {
    const checkpoints = new Map(chainParams(BITCOIN).checkpoints.map((one) => [one.heightBlocks, one]));
    const headers = Object.entries(PERIOD_HEADERS);
    expect(headers).toHaveLength(8);
    for (const [height, hex] of headers) {
      const { hash, nextBits } = checkpoints.get(Number(height) - 1)!;
      const { previous, bits } = parseBlockHeader(fromHex(hex));
      expect(toHex(previous)).toBe(toHex(hash));
      expect(bits).toBe(nextBits);
      expect(meetsTarget(blockHash(fromHex(hex)), targetBytes(targetOfCompact(bits)!))).toBe(true);
    }
  });

  it('say which headers a start needs: one where the next target is on record, else the period', () => {
    expect(beginNeeds(BITCOIN, 1_000_000)).toEqual({
      run: { firstHeightBlocks: 953_567, lastHeightBlocks: 953_567 },
    });
    expect(beginNeeds(networkByName('signet')!, 400_000)).toEqual({
      run: { firstHeightBlocks: 306_432, lastHeightBlocks: 308_447 },
    });
    expect(beginNeeds(BITCOIN, 953_567).run?.lastHeightBlocks).toBe(951_551);
    expect(beginNeeds(BITCOIN, 481_823)).toEqual({ run: null });
    expect(beginNeeds(REGTEST, 100)).toEqual({ run: null });
  });
});

describe('a chain begins', () => {
  it.each(NETWORKS.map((network) => [network.name, network] as const))('at genesis of %s', (_, network) => {
    const { chain, headers } = beginChain(network, new Uint8Array(0), 0);
    expect(chain).toEqual({
      tipHeightBlocks: 0,
      tipHash: network.chainHash,
      baseHeightBlocks: 0,
      provenHeightBlocks: 0,
      birthdayHeightBlocks: 1,
      lockedBy: null,
      admitted: null,
      restartHeightBlocks: null,
    });
    expect(headers).toHaveLength(1);
    expect(headers[0]!.hash).toEqual(network.chainHash);
  });

  it('at no other headers than those that end with a checkpoint', () => {
    const mined = new MinedChain();
    mined.extendBy(3);
    expectRefused(TAG, 'do not end with a checkpoint', () => beginChain(REGTEST, mined.headers(0), 10));
    expectRefused(TAG, 'do not end with a checkpoint', () =>
      beginChain(BITCOIN, mined.headers(3), 1_000_000),
    );
    expectRefused(TAG, 'a run of headers', () => beginChain(BITCOIN, new Uint8Array(81), 1_000_000));
    expectRefused(TAG, 'a run of headers', () => beginChain(BITCOIN, new Uint8Array(80 * 2017), 1_000_000));
  });
});

describe('a chain begins at a checkpoint', () => {
  const mined = new MinedChain();
  mined.extendBy(2100);
  const paramsWith = (heightBlocks: number, nextBits: number | null): ChainParams => ({
    ...EASY,
    checkpoints: [{ heightBlocks, hash: mined.blocks[heightBlocks]!.hash, nextBits }],
  });

  it('whose next target is on record by one header, and goes on with it', () => {
    const params = paramsWith(2015, REGTEST_BITS);
    const beginning = beginChainBy(params, mined.headers(2015, 2015), 3000);
    expect(beginning.chain).toMatchObject({
      baseHeightBlocks: 2015,
      tipHeightBlocks: 2015,
      provenHeightBlocks: 2999,
      birthdayHeightBlocks: 3000,
    });
    const chain = new HeaderChain({ params, beginning });
    expect(chain.accept(mined.headers(2016)).records).toHaveLength(85);
    // The run may begin with the first header on record, though its parent is not.
    expect(chain.judge(mined.headers(2015)).forkHeightBlocks).toBe(2100);
    expectRefused(TAG, 'do not connect to any', () => chain.judge(mined.headers(2014)));

    const other = new HeaderChain({ params: paramsWith(2015, 0x1d00ffff), beginning });
    expectRefused(TAG, 'another difficulty', () => other.judge(mined.headers(2016)));
    const none = new HeaderChain({ params: { ...params, checkpoints: [] }, beginning });
    expectRefused(TAG, 'depends on headers that are not on record', () => none.judge(mined.headers(2016)));
  });

  it('and then takes headers that are older than the checkpoint, as far as a median could allow it', () => {
    const params = { ...paramsWith(2015, REGTEST_BITS), isFixed: true };
    const beginning = beginChainBy(params, mined.headers(2015, 2015), 3000);
    const branch = mined.forkAt(2015);
    const startSeconds = branch.tip.timeSeconds;
    for (let i = 1; i <= 5; i++) branch.extend([], { timeSeconds: startSeconds - 100 * i });
    const chain = new HeaderChain({ params, beginning });
    expect(chain.accept(branch.headers(2016)).records).toHaveLength(5);
    // Of six known times the oldest may be the median of eleven.
    const oldest = startSeconds - 500;
    const median = branch.forkAt(2020).extend([], { timeSeconds: oldest });
    expectRefused(TAG, 'median', () => chain.judge(median.header));
    branch.extend([], { timeSeconds: oldest + 1 });
    expect(chain.accept(branch.headers(2021)).records).toHaveLength(1);
  });

  it('whose next target is not on record by all headers of its period, each the parent of the next', () => {
    const params = paramsWith(2015, null);
    const whole = mined.headers(0, 2015);
    expectRefused(TAG, 'needs more headers', () => beginChainBy(params, mined.headers(1, 2015), 3000));
    const torn = whole.slice();
    torn[80 * 1000 + 40] = torn[80 * 1000 + 40]! ^ 1;
    expectRefused(TAG, 'not connected', () => beginChainBy(params, torn, 3000));
    const beginning = beginChainBy(params, whole, 3000);
    expect(beginning.headers).toHaveLength(2016);
    expect(beginning.chain.baseHeightBlocks).toBe(0);
    const fixed = new HeaderChain({ params: { ...params, isFixed: true }, beginning });
    expect(fixed.accept(mined.headers(2016)).records).toHaveLength(85);
    // 2,015 times ten minutes are less than the two weeks, so the next target is lower.
    const chain = new HeaderChain({ params, beginning });
    const refusal = expectRefused(TAG, 'another difficulty', () => chain.judge(mined.headers(2016)));
    expect(refusal.facts).toMatchObject({ height_blocks: 2016, expected_bits: '207fefbd' });
  });

  it('below the birthday only', () => {
    const params = paramsWith(2015, REGTEST_BITS);
    const last = mined.headers(2015, 2015);
    expectRefused(TAG, 'below the birthday', () => beginChainBy(params, last, 2015));
    expect(beginChainBy(params, last, 2016).chain.provenHeightBlocks).toBe(2015);
  });
});

describe('headers on record', () => {
  const at = {
    tipHash: new Uint8Array(32),
    birthdayHeightBlocks: 1,
    lockedBy: null,
    admitted: null,
    restartHeightBlocks: null,
  };

  it('go two periods behind what is proven, and no earlier', () => {
    const chain = { ...at, tipHeightBlocks: 10_000, baseHeightBlocks: 5966, provenHeightBlocks: 10_000 };
    expect(headersToDrop(chain)).toEqual({
      baseHeightBlocks: 10_000 - HEADERS_KEPT + 1,
      ids: [heightId(5966), heightId(5967), heightId(5968)],
    });
    expect(headersToDrop({ ...chain, baseHeightBlocks: 5969 }).ids).toEqual([]);
    expect(headersToDrop({ ...chain, provenHeightBlocks: 9998 }).ids).toEqual([heightId(5966)]);
    expect(headersToDrop({ ...chain, provenHeightBlocks: 6000 }).ids).toEqual([]);
  });

  it('go as well while the birthday is ahead of them', () => {
    const chain = { ...at, tipHeightBlocks: 5000, baseHeightBlocks: 968, provenHeightBlocks: 8000 };
    expect(headersToDrop(chain)).toEqual({ baseHeightBlocks: 969, ids: [heightId(968)] });
  });
});
