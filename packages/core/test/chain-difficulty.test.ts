/**
 * Difficulty: the cases of Bitcoin Core's pow_tests, the exceptions of the test networks, BIP 94, and retargets that every header
 * of a mined chain goes through.
 */
import { hash256, targetOfCompact } from '@countersign/bitcoin';
import { NETWORKS, networkByName } from '@countersign/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expectedBits, retargetedBits, type Timed } from '../src/chain/difficulty.ts';
import { chainParams, RETARGET_SECONDS } from '../src/chain/params.ts';

const paramsOf = (name: string) => chainParams(networkByName(name)!);
const MAINNET = paramsOf('bitcoin');
const TESTNET3 = paramsOf('testnet');
const TESTNET4 = paramsOf('testnet4');
const LIMIT = 0x1d00ffff;

describe('the networks', () => {
  it.each(NETWORKS.map((network) => [network.name, network] as const))(
    '%s begins at the header whose hash is its chain hash, with work for its bits',
    (_, network) => {
      const { genesis, limitBits } = chainParams(network);
      expect(hash256(genesis)).toEqual(network.chainHash);
      expect(new DataView(genesis.buffer).getUint32(72, true)).toBe(limitBits);
      expect(targetOfCompact(limitBits)).not.toBeNull();
    },
  );
});

describe('a retarget', () => {
  it.each([
    ['with no constraint (32256)', 1_261_130_161, 1_262_152_739, 0x1d00ffff, 0x1d00d86a],
    ['at the limit (2016)', 1_231_006_505, 1_233_061_996, 0x1d00ffff, 0x1d00ffff],
    ['at the least time (68544)', 1_279_008_237, 1_279_297_671, 0x1c05a3f4, 0x1c0168fd],
    ['at the most time', 1_263_163_443, 1_269_211_443, 0x1c387f6f, 0x1d00e1fd],
  ])('%s is that of Bitcoin Core', (_, firstSeconds, lastSeconds, bits, expected) => {
    const first = { timeSeconds: firstSeconds, bits };
    expect(retargetedBits(MAINNET, first, { timeSeconds: lastSeconds, bits })).toBe(expected);
  });

  it('starts from the last block of the period, by BIP 94 from the first', () => {
    const first = { timeSeconds: 0, bits: 0x1c05a3f4 };
    const last = { timeSeconds: RETARGET_SECONDS, bits: LIMIT };
    expect(retargetedBits(TESTNET3, first, last)).toBe(LIMIT);
    expect(retargetedBits(TESTNET4, first, last)).toBe(0x1c05a3f4);
  });

  it('never is above the limit, nor changes the target by more than four times', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0x0101, max: 0x7fffff }),
        fc.integer({ min: 0x10, max: 0x1c }),
        fc.integer({ min: 0, max: 0xffff_ffff }),
        fc.integer({ min: 0, max: 0xffff_ffff }),
        (word, size, firstSeconds, lastSeconds) => {
          const bits = ((size << 24) | word) >>> 0;
          const before = targetOfCompact(bits)!;
          const timed = (timeSeconds: number): Timed => ({ timeSeconds, bits });
          const after = targetOfCompact(retargetedBits(MAINNET, timed(firstSeconds), timed(lastSeconds)))!;
          expect(after).toBeLessThanOrEqual(before * 4n);
          expect(after).toBeLessThanOrEqual(targetOfCompact(LIMIT)!);
          expect(after).toBeGreaterThanOrEqual(before / 4n - (before >> 14n) - 1n);
        },
      ),
    );
  });
});

describe('the bits of the next header', () => {
  const chainOf =
    (...headers: readonly Timed[]) =>
    (height: number): Timed | null =>
      headers[height - 4030] ?? null;
  const real = { timeSeconds: 1000, bits: 0x1c05a3f4 };
  const easy = { timeSeconds: 3000, bits: LIMIT };

  it('are the last within a period', () => {
    const headerAt = chainOf(real, real, real, real);
    expect(expectedBits(MAINNET, headerAt, 4034, 99_999)).toBe(real.bits);
  });

  it('are the least difficulty after more than twenty minutes, on testnets only', () => {
    const headerAt = chainOf(real);
    for (const params of [TESTNET3, TESTNET4]) {
      expect(expectedBits(params, headerAt, 4031, 1000 + 1201)).toBe(LIMIT);
      expect(expectedBits(params, headerAt, 4031, 1000 + 1200)).toBe(real.bits);
    }
    expect(expectedBits(MAINNET, headerAt, 4031, 1000 + 1201)).toBe(real.bits);
  });

  it('are those of the last ordinary header after an exception, on testnets', () => {
    // Heights 4030 to 4034; 4032 begins a period.
    expect(expectedBits(TESTNET3, chainOf(real, easy), 4032, 3001)).toBeNull();
    expect(expectedBits(TESTNET3, chainOf(real, real, real, easy, easy), 4035, 3001)).toBe(real.bits);
    expect(expectedBits(TESTNET3, chainOf(real, real, easy, easy, easy), 4035, 3001)).toBe(LIMIT);
  });

  it('are unknown where a header they depend on is', () => {
    expect(expectedBits(MAINNET, chainOf(), 4031, 1)).toBeNull();
    expect(expectedBits(MAINNET, chainOf(real, real), 4032, 1)).toBeNull();
    expect(expectedBits(TESTNET3, chainOf(easy, easy), 4032, 3001)).toBeNull();
    expect(expectedBits(TESTNET3, (height) => (height < 4031 ? null : easy), 4032 - 1 + 1, 3001)).toBeNull();
    expect(expectedBits(TESTNET3, (height) => (height === 4040 ? easy : null), 4041, 3001)).toBeNull();
  });

  it('are always the same on regtest', () => {
    const regtest = paramsOf('regtest');
    const last = { timeSeconds: 5, bits: regtest.limitBits };
    expect(expectedBits(regtest, () => last, 2016, 1_000_000)).toBe(regtest.limitBits);
    expect(expectedBits(regtest, () => last, 2017, 1_000_000)).toBe(regtest.limitBits);
  });
});
