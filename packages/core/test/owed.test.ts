/** What is due of the HTLCs that leave a view: never more than an honest node credits, and in the end all that the other view has credited. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HtlcRecord } from '../src/channel/record.ts';
import { sumMsat } from '../src/ledger/htlc-set.ts';
import { dueOf } from '../src/ledger/owed.ts';
import { record } from './ledger-model.ts';

const of = (amountsMsat: readonly bigint[], label = 'one'): HtlcRecord[] =>
  amountsMsat.map((amountMsat) => record('counterparty', amountMsat, label));

const dueMsat = (
  owedMsat: bigint,
  left: readonly HtlcRecord[],
  standing: readonly HtlcRecord[] = [],
  mustCredit = false,
): bigint => {
  const knowledge = { owedMsat: () => owedMsat, mustCredit: () => mustCredit };
  return sumMsat([...dueOf({ knowledge, left, standing })]);
};

/** Few different amounts, so that many sums are alike. */
const part = fc.record({
  amountMsat: fc.constantFrom(1n, 2n, 3n, 5n, 8n),
  isCredited: fc.boolean(),
  isStanding: fc.boolean(),
});

describe('what is due', () => {
  it('is no more than what an honest node credits now, and all of it once everything has left', () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 9 }), (parts) => {
        const sumOf = (some: readonly { readonly amountMsat: bigint }[]) => sumMsat(some);
        const credited = parts.filter(({ isCredited }) => isCredited);
        const htlcs = new Map(parts.map((one) => [one, of([one.amountMsat])[0]!]));
        const those = (isStanding: boolean) =>
          parts.filter((one) => one.isStanding === isStanding).map((one) => htlcs.get(one)!);
        const owedMsat = sumOf(credited);
        const nowMsat = sumOf(credited.filter(({ isStanding }) => !isStanding));
        expect(dueMsat(owedMsat, those(false), those(true))).toBeLessThanOrEqual(nowMsat);
        expect(dueMsat(owedMsat, [...htlcs.values()])).toBe(owedMsat);
      }),
    );
  });

  it('is what fits, the largest first, where no choice comes to what is owed', () => {
    expect(dueMsat(10n, of([7n, 5n, 2n]))).toBe(9n);
    expect(dueMsat(4n, of([7n, 5n]))).toBe(0n);
  });

  it('counts the HTLCs of each hash for themselves', () => {
    expect(dueMsat(5n, [...of([5n]), ...of([5n], 'other')])).toBe(10n);
    expect(dueMsat(5n, of([5n]), of([5n], 'other'))).toBe(5n);
    expect(dueMsat(5n, of([5n]), of([5n]))).toBe(0n);
  });

  it('takes one HTLC that stands for one that left, and not for the next too', () => {
    expect(dueMsat(10n, of([5n]), of([5n]))).toBe(5n);
  });

  it('is looked for among so many sums and no more', () => {
    const powers = Array.from({ length: 12 }, (_, i) => 2n ** BigInt(i));
    expect(dueMsat(4095n, of(powers))).toBe(4095n);
    expect(dueMsat(1n, of(powers), of(powers))).toBe(0n);
    expect(dueMsat(4095n, of([4095n]), of(powers))).toBe(4095n);
  });

  it('is the smallest where one must be credited and none is owed', () => {
    expect(dueMsat(0n, of([7n, 2n, 5n]), [], true)).toBe(2n);
    expect(dueMsat(0n, of([7n, 2n, 5n]))).toBe(0n);
  });
});
