/** What law 2's arithmetic is made of: multisets of HTLCs, what a commitment shows, which HTLCs brought us their value. */
import { sat } from '@countersign/bitcoin';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HtlcRecord } from '../src/channel/record.ts';
import { ledgerOf, mayBeTrimmedBelowSat, seenBalanceMsat } from '../src/ledger/explain.ts';
import { compareHtlcs, HtlcBag, hashHex, htlcKey, sharingHtlcs, sumMsat } from '../src/ledger/htlc-set.ts';
import { dustInFlightSat, observe, outputsSat } from '../src/ledger/observe.ts';
import { chooseGains } from '../src/ledger/subset.ts';
import { observableOf, record, start, VIEW, type View, withHtlcs } from './ledger-model.ts';
import { processorMs } from './processor-time.ts';

describe('a multiset of HTLCs', () => {
  const one = record('holder', 5_000_000n, 'a');
  const twin = { ...one, paymentHash: one.paymentHash.slice() };

  it('keys by all four fields, and equal ones share a key', () => {
    expect(htlcKey(one)).toBe(`o 5000000 ${hashHex(one.paymentHash)} 700000`);
    expect(htlcKey(twin)).toBe(htlcKey(one));
    const others = [
      record('counterparty', 5_000_000n, 'a'),
      record('holder', 5_000_001n, 'a'),
      record('holder', 5_000_000n, 'b'),
      record('holder', 5_000_000n, 'a', 700_001),
    ];
    expect(htlcKey(others[0]!)).toMatch(/^r /);
    expect(new Set([one, ...others].map(htlcKey)).size).toBe(5);
  });

  it('takes each as often as it is there', () => {
    const bag = new HtlcBag([one, twin]);
    expect([bag.take(one), bag.take(one), bag.take(one)]).toEqual([true, true, false]);
    expect(bag.rest()).toEqual([]);
    expect(new HtlcBag([one, twin]).rest()).toEqual([one, twin]);
  });

  it.each([
    ['the same objects', one],
    ['equal ones', twin],
  ])('compares two lists by count: %s', (_, again) => {
    const other = record('counterparty', 7_000_000n, 'b');
    expect(compareHtlcs([one, twin], [], [again])).toEqual({ added: [], gone: [one], hidden: [] });
    expect(compareHtlcs([one], [], [again, twin])).toEqual({ added: [twin], gone: [], hidden: [] });
    expect(compareHtlcs([], [one, other], [again])).toEqual({ added: [], gone: [], hidden: [other] });
    expect(compareHtlcs([one], [one], [again, again])).toEqual({ added: [], gone: [], hidden: [] });
    expect(compareHtlcs([one], [other], [])).toEqual({ added: [], gone: [one], hidden: [other] });
  });

  it('shares the objects of equal HTLCs in order, each once', () => {
    const list = Array.from({ length: 12 }, (_, i) => record('holder', 1_000_000n + BigInt(i), `n${i}`));
    const copy = (htlc: HtlcRecord): HtlcRecord => ({ ...htlc, paymentHash: htlc.paymentHash.slice() });
    const shared = sharingHtlcs([...list.slice(2).map(copy), copy(one)], list);
    shared.slice(0, -1).forEach((htlc, i) => {
      expect(htlc).toBe(list[i + 2]);
    });
    expect(shared.at(-1)).not.toBe(one);
    expect(shared.at(-1)).toEqual(one);
    // Two equal ones stay two.
    const pair = sharingHtlcs([copy(one), copy(one)], [one, twin]);
    expect(pair[0]).toBe(one);
    expect(pair[1]).toBe(twin);
    expect(sharingHtlcs([copy(one), copy(one)], [one])[1]).not.toBe(one);
    // Eight may have gone in between, not nine.
    expect(sharingHtlcs([copy(list[7]!)], list)[0]).toBe(list[7]);
    expect(sharingHtlcs([copy(list[8]!)], list)[0]).not.toBe(list[8]);
    for (const changed of [
      { ...one, amountMsat: 1n as never },
      { ...one, cltvExpiry: 1 },
      { ...one, offeredBy: 'counterparty' as const },
      record('holder', 5_000_000n, 'z'),
    ])
      expect(sharingHtlcs([changed], [one])[0]).toBe(changed);
  });

  it('sums to the millisatoshi', () => {
    expect(sumMsat([])).toBe(0n);
    expect(sumMsat([one, twin, record('holder', 1n, 'c')])).toBe(10_000_001n);
  });
});

describe('what a commitment shows', () => {
  const htlcs = [record('holder', 20_000_999n, 'a'), record('counterparty', 30_000_000n, 'b')];
  const state = withHtlcs(start, 479_999_001n, ...htlcs);

  it('balances before fee and anchors, and what is invisible: anchors', () => {
    const observable = observableOf(VIEW, state);
    // 1,124 + 2 × 172 weight at 1,000 per kw, and two anchors.
    expect(observable.content.toHolderSat).toBe(479_999n - 1468n - 660n);
    expect(outputsSat(observable)).toBe(479_999n - 1468n - 660n + 470_000n + 50_000n + 660n);
    expect(observe(observable)).toEqual({
      feeratePerKw: 1000,
      holderSat: 479_999n,
      counterpartySat: 470_000n,
      holderBoundSat: 1000n + 1468n + 660n,
      counterpartyBoundSat: 1000n,
      poolMsat: 1_000_000_000n - 479_999_000n - 470_000_000n - 50_000_999n,
    });
  });

  it('without anchors, and with the peer as the one who pays', () => {
    const view: View = { ...VIEW, format: 'static_remotekey', isOutbound: false };
    expect(observe(observableOf(view, state))).toMatchObject({
      holderSat: 479_999n,
      counterpartySat: 470_000n,
      holderBoundSat: 1000n,
      counterpartyBoundSat: 1000n + 724n + 344n,
    });
    expect(outputsSat(observableOf(view, state))).toBe(479_999n + 470_000n - 1068n + 50_000n);
  });

  it('an anchor beside each main output, and both beside any HTLC', () => {
    const alone = observableOf(VIEW, withHtlcs(start, 1_000_000_000n));
    expect(alone.content.toCounterpartySat).toBeNull();
    expect(outputsSat(alone)).toBe(1_000_000n - 1124n - 660n + 330n);
    const [htlc] = htlcs;
    const beside = observableOf(VIEW, withHtlcs(start, 979_999_001n, htlc!));
    expect(beside.content.toCounterpartySat).toBeNull();
    expect(outputsSat(beside)).toBe(979_999n - 1296n - 660n + 660n + 20_000n);
  });

  it('a rate of 0 means the one that the transaction pays, rounded up', () => {
    const observable = observableOf(VIEW, state);
    const unstated = { ...observable, content: { ...observable.content, number: 0, feeratePerKw: 0 } };
    expect(observe(unstated)).toMatchObject({
      feeratePerKw: 1001,
      holderSat: 480_000n,
      poolMsat: -1n - 998n + 0n,
    });
    // Only commitment 0 may leave it unsaid.
    const later = { ...unstated, content: { ...unstated.content, number: 1 } };
    expect(observe(later)).toMatchObject({ feeratePerKw: 0, holderSat: 478_531n });
    const nothing = { ...unstated, capacitySat: sat(1_000_000n - 1468n - 1n) };
    expect(observe(nothing).feeratePerKw).toBe(0);
  });

  it('dust in flight: what is invisible beyond what balances without output may be', () => {
    const shown = observe(observableOf(VIEW, state));
    expect(dustInFlightSat(shown)).toBe(0n);
    expect(dustInFlightSat({ ...shown, poolMsat: 5_999_999n })).toBe(5999n);
    expect(dustInFlightSat({ ...shown, poolMsat: 5_000_000n, counterpartySat: null })).toBe(4000n);
    expect(dustInFlightSat({ ...shown, poolMsat: 5_000_000n, holderSat: null })).toBe(5000n - 3128n);
    expect(dustInFlightSat({ ...shown, poolMsat: 900_000n, counterpartySat: null })).toBe(0n);
  });

  it('our balance is exact in its satoshi, else what is shown; without output at most the bound', () => {
    const shown = observe(observableOf(VIEW, state));
    expect(seenBalanceMsat(shown, 479_999_000n)).toBe(479_999_000n);
    expect(seenBalanceMsat(shown, 479_999_999n)).toBe(479_999_999n);
    expect(seenBalanceMsat(shown, 480_000_000n)).toBe(479_999_000n);
    expect(seenBalanceMsat(shown, 479_998_999n)).toBe(479_999_000n);
    const hidden = { ...shown, holderSat: null, holderBoundSat: 1000n };
    expect(seenBalanceMsat(hidden, 999_999n)).toBe(999_999n);
    expect(seenBalanceMsat(hidden, 1_000_000n)).toBe(1_000_000n);
    expect(seenBalanceMsat(hidden, 1_000_001n)).toBe(1_000_000n);
    expect(seenBalanceMsat(hidden, -1n)).toBe(0n);
  });

  it('a ledger keeps what it is given', () => {
    expect(ledgerOf(7n, { driftMsat: -1n, trimmed: [], fates: [] })).toEqual({
      holderMsat: 7n,
      driftMsat: -1n,
      trimmed: [],
      fates: [],
    });
  });

  it('HTLCs may be trimmed below 1,000 sat, plus the fee of their transaction', () => {
    expect(mayBeTrimmedBelowSat('anchors_zero_fee_htlc', 'received', 25_000)).toBe(1000n);
    expect(mayBeTrimmedBelowSat('static_remotekey', 'offered', 1000)).toBe(1663n);
    expect(mayBeTrimmedBelowSat('static_remotekey', 'received', 1000)).toBe(1703n);
  });
});

describe('which HTLCs brought us their value', () => {
  const observedAt = (holderSat: bigint | null, poolMsat = 0n) => ({
    ...observe(observableOf(VIEW, start)),
    holderSat,
    poolMsat,
  });
  const gain = (amountMsat: bigint, isLikely = false) => ({ amountMsat, isLikely });
  const [a, b, c] = [gain(1_000_000n), gain(2_000_000n, true), gain(4_000_000n)];
  const chosen = (sats: bigint | null, gains = [a, b, c], poolMsat = 0n) => [
    ...chooseGains(gains, 0n, observedAt(sats, poolMsat)),
  ];

  it('the likely ones where the balance allows it, or shows nothing', () => {
    expect(chosen(2000n)).toEqual([b]);
    expect(chosen(null, [a, b, c], 2_000_000n)).toEqual([b]);
    expect(chosen(5n, [])).toEqual([]);
    // Without output our balance is below the bound (2,784 sat): what would lift it above did not come.
    const [large, fits] = [gain(2_784_001n, true), gain(784_000n, true)];
    expect(chosen(null, [large, b, fits], 9_000_000n)).toEqual([b, fits]);
  });
  it('all, none, or the subset that gives exactly what is shown', () => {
    expect(chosen(7000n)).toEqual([a, b, c]);
    expect(chosen(0n)).toEqual([]);
    expect(chosen(1000n)).toEqual([a]);
    expect(chosen(3000n)).toEqual([b, a]);
    expect(chosen(5000n)).toEqual([c, a]);
    expect(chosen(6000n)).toEqual([b, c]);
  });
  it('to the satoshi, fractions rounded down', () => {
    const fraction = gain(1_000_999n);
    expect(chosen(1000n, [fraction, c])).toEqual([fraction]);
    expect(chosen(1001n, [fraction])).toEqual([fraction]);
    expect(chosen(999n, [fraction])).toEqual([]);
    expect(chosen(1001n, [gain(1_002_000n)], 10_000n)).toEqual([gain(1_002_000n)]);
  });
  it('of two that fit, the likely one', () => {
    const twin = gain(1_000_000n, true);
    expect(chosen(1000n, [a, twin])[0]).toBe(twin);
    expect(chosen(3000n, [gain(3_000_000n), twin, gain(2_000_000n, true)])).toEqual(
      [gain(2_000_000n, true), twin].reverse(),
    );
  });
  it('when none fits, what leaves least to explain and claims no more than is missing', () => {
    // Of those that leave no more than dust, the likeliest.
    expect(chosen(6500n, [a, b, c], 1_000_000n)).toEqual([b, c]);
    expect(chosen(6500n, [a, b, c], 400_000n)).toEqual([b, c]);
    expect(chosen(14_751n, [gain(15_276_000n, true), gain(15_122_000n)], 600_000n)).toEqual([
      gain(15_276_000n, true),
    ]);
    // Both are likely, and only one came.
    expect(chosen(14_411n, [gain(16_343_000n, true), gain(13_977_000n, true)])).toEqual([
      gain(13_977_000n, true),
    ]);
    expect(chosen(500n, [a, b, c], 10_000_000n)).toEqual([]);
    expect(chosen(1600n, [a, b, c], 10_000_000n)).toEqual([b]);
  });
  it('ends the search in time, and then says what came nearest', () => {
    const many = Array.from({ length: 60 }, (_, i) => gain(2_000_000n * BigInt(i + 100)));
    const search = (): void =>
      expect(chooseGains(many, 0n, observedAt(100_001n, 10_000_000_000_000n)).size).toBe(0);
    expect(processorMs(search)).toBeLessThan(2000);
  });
  it('finds every subset that there is, whatever the order', () => {
    const amounts = fc.array(fc.tuple(fc.bigInt(1_000n, 50_000_000n), fc.boolean(), fc.boolean()), {
      maxLength: 9,
    });
    fc.assert(
      fc.property(amounts, fc.bigInt(0n, 999n), (list, fraction) => {
        const gains = list.map(([amountMsat, isLikely]) => gain(amountMsat, isLikely));
        const sum = sumMsat(gains.filter((_, i) => list[i]![2]));
        const least = 100_000_000n + fraction;
        const seen = (least + sum) / 1000n;
        const found = [...chooseGains(gains, least, observedAt(seen))];
        expect((least + sumMsat(found)) / 1000n).toBe(seen);
      }),
      { numRuns: 500 },
    );
  });
});
