/**
 * What remedies pay: the caller's rates within the policy's, a ladder up to a deadline whose every rung replaces the one
 * before (BIP 125), at last all but dust; and never more than a share where nobody contests (rules, law 5).
 */
import { p2wpkhOfKey } from '@countersign/bitcoin';
import { defaultLimits } from '@countersign/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { claimFee, feeAt, feeLadder, rateAt } from '../src/remedies/fee-ladder.ts';
import { bytesOf, regtest, secp } from './test-signer.ts';

const limits = { ...defaultLimits(regtest), onchainFeerateMaxPerKw: 100_000 };
const destination = p2wpkhOfKey(secp.publicKey(bytesOf('destination')));
/** BOLT 3 "Dust Limits" of P2WPKH. */
const DUST = 294n;

const until = (deadlineHeightBlocks: number, fromHeightBlocks = 0) => ({
  fromHeightBlocks,
  deadlineHeightBlocks,
});

describe('the ladder', () => {
  const rungs = feeLadder(limits, { normalPerKw: 1000, urgentPerKw: 3000 }, until(1000));

  it('rises as the deadline nears', () => {
    expect(rungs).toEqual([
      { fromHeightBlocks: 0, feeratePerKw: 1000 },
      { fromHeightBlocks: 928, feeratePerKw: 3000 },
      { fromHeightBlocks: 988, feeratePerKw: 6000 },
      { fromHeightBlocks: 992, feeratePerKw: 12_000 },
      { fromHeightBlocks: 995, feeratePerKw: 24_000 },
      { fromHeightBlocks: 997, feeratePerKw: 48_000 },
      { fromHeightBlocks: 998, feeratePerKw: 100_000 },
    ]);
    const at = [0, 927, 928, 987, 988, 997, 998, 2000].map((height) => rateAt(rungs, height));
    expect(at).toEqual([1000, 1000, 3000, 3000, 6000, 48_000, 100_000, 100_000]);
  });
  it('begins at the normal rate in a short window too', () => {
    const rates = (blocks: number) => {
      const ladder = feeLadder(limits, { normalPerKw: 1000, urgentPerKw: 3000 }, until(1000, 1000 - blocks));
      return Array.from({ length: blocks + 1 }, (_, i) => rateAt(ladder, 1000 - blocks + i));
    };
    expect(rates(6)).toEqual([1000, 1000, 1000, 3000, 100_000, 100_000, 100_000]);
    expect(rates(22).map((rate) => rate / 1000)).toEqual([
      ...Array.from({ length: 11 }, () => 1),
      ...Array.from({ length: 9 }, () => 3),
      100,
      100,
      100,
    ]);
    expect(rates(0)).toEqual([100_000]);
  });
  it('has one rung where nobody waits', () => {
    expect(feeLadder(limits, { normalPerKw: 1000, urgentPerKw: 3000 }, null)).toEqual([
      { fromHeightBlocks: 0, feeratePerKw: 1000 },
    ]);
  });
  it('stays within the policy, whatever the caller says', () => {
    const low = feeLadder(limits, { normalPerKw: 0, urgentPerKw: 1 }, until(1000));
    expect(low[0]!.feeratePerKw).toBe(253);
    const high = feeLadder(limits, { normalPerKw: 900_000, urgentPerKw: 1 }, until(1000));
    expect(high).toEqual([{ fromHeightBlocks: 0, feeratePerKw: 100_000 }]);
  });
  it('every rung pays for replacing the one before', () => {
    const rate = fc.integer({ min: 0, max: 200_000 });
    fc.assert(
      fc.property(
        rate,
        rate,
        fc.nat(900_000),
        fc.nat(900_000),
        (normalPerKw, urgentPerKw, deadline, from) => {
          const ladder = feeLadder(limits, { normalPerKw, urgentPerKw }, until(deadline, from));
          ladder.slice(1).forEach((rung, i) => {
            expect(rung.feeratePerKw - ladder[i]!.feeratePerKw).toBeGreaterThanOrEqual(253);
            expect(rung.fromHeightBlocks).toBeGreaterThanOrEqual(ladder[i]!.fromHeightBlocks);
          });
          expect(ladder.at(-1)!.feeratePerKw).toBeLessThanOrEqual(100_000);
        },
      ),
    );
  });
});

describe('the fee', () => {
  const ask = (valueSat: bigint, feeratePerKw: number, isUncontested = false) =>
    claimFee(limits, { feeratePerKw, weight: 500, valueSat, destination, isUncontested });

  it('is the rate’s, rounded up', () => {
    expect(ask(1_000_000n, 1000)).toBe(500n);
    expect(ask(1_000_000n, 1001)).toBe(501n);
    expect(feeAt(253, 1)).toBe(1n);
  });
  it('leaves dust at the last, in the way of a deadline', () => {
    expect(ask(20_000n, 100_000)).toBe(20_000n - DUST);
  });
  it('is null when nothing but dust would be left at the least rate', () => {
    const leastSat = feeAt(253, 500);
    expect(ask(leastSat + DUST, 1000)).toBe(leastSat);
    expect(ask(leastSat + DUST - 1n, 1000)).toBeNull();
  });
  it('has an absolute limit', () => {
    const capped = { ...limits, onchainFeeMaxSat: 10_000n };
    const question = {
      feeratePerKw: 100_000,
      weight: 500,
      valueSat: 1_000_000n,
      destination,
      isUncontested: false,
    };
    expect(claimFee(capped, question)).toBe(10_000n);
  });
  it('takes no more than half of what nobody contests, and the usual rate of a small output', () => {
    expect(ask(30_001n, 100_000, true)).toBe(15_000n);
    expect(ask(30_000n, 100_000, true)).toBe(12_500n);
    expect(ask(430n, 300, true)).toBe(430n - DUST);
    expect(ask(4_000n, 100_000, true)).toBe(4_000n - DUST);
  });
});
