/**
 * Law 2's arithmetic alone: what HTLCs explain, what is drift, what is nobody's to take. Attacks A23, A24, A27b, A27c.
 */
import { sat } from '@countersign/bitcoin';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HtlcRecord } from '../src/channel/record.ts';
import { type Knowledge, ledgerOf, mayBeTrimmedBelowSat, seenBalanceMsat } from '../src/ledger/explain.ts';
import { compareHtlcs, HtlcBag, hashHex, htlcKey, sharingHtlcs, sumMsat } from '../src/ledger/htlc-set.ts';
import { dustInFlightSat, observe, outputsSat } from '../src/ledger/observe.ts';
import { chooseGains } from '../src/ledger/subset.ts';
import { type Before, explained, observableOf, record, type State, VIEW, type View } from './ledger-model.ts';

const knowing = (...known: readonly HtlcRecord[]): Knowledge => {
  const hashes = new Set(known.map(({ paymentHash }) => hashHex(paymentHash)));
  const knows = (hash: Uint8Array) => hashes.has(hashHex(hash));
  return { maySettle: knows, knows, backs: () => false, owedMsat: () => 0n, mustCredit: () => false };
};
const start: State = { holderMsat: 500_000_000n, feeratePerKw: 1000, htlcs: [] };
const withHtlcs = (state: State, holderMsat: bigint, ...htlcs: readonly HtlcRecord[]): State => ({
  ...state,
  holderMsat,
  htlcs,
});

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
    expect(chosen(null)).toEqual([b]);
    expect(chosen(5n, [])).toEqual([]);
    // Without output our balance is below the bound (2,784 sat): what would lift it above did not come.
    const [large, fits] = [gain(2_784_001n, true), gain(784_000n, true)];
    expect(chosen(null, [large, b, fits])).toEqual([b, fits]);
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
    const started = Date.now();
    expect(chooseGains(many, 0n, observedAt(100_001n, 10_000_000_000_000n)).size).toBe(0);
    expect(Date.now() - started).toBeLessThan(2000);
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

describe('a step explained', () => {
  const out = record('holder', 20_000_000n, 'out');
  const back = record('counterparty', 30_000_000n, 'in');
  const both = withHtlcs(start, 480_000_000n, out, back);

  it('adding takes from who offers', () => {
    expect(explained(VIEW, start, both)).toEqual({
      ok: true,
      holderMsat: 480_000_000n,
      driftMsat: 0n,
      trimmed: [],
      fates: [],
      added: [out, back],
    });
  });

  it.each([
    ['failed both', 500_000_000n, [], [], true],
    ['settled', 480_000_000n, ['settled'], [out], true],
    ['credited', 530_000_000n, ['credited'], [back], true],
    ['settled and credited', 510_000_000n, ['settled', 'credited'], [out, back], true],
    ['settled without preimage', 480_000_000n, [], [], false],
  ] as const)('removing: %s', (_, holderMsat, hows, known, ok) => {
    const step = explained(VIEW, both, withHtlcs(start, holderMsat), knowing(...known));
    expect(step.ok).toBe(ok);
    if (!step.ok) {
      expect(step).toEqual({
        ok: false,
        expectedMsat: 500_000_000n,
        unprovenMsat: 20_000_000n,
        mustCreditMsat: 0n,
      });
      return;
    }
    expect(step).toMatchObject({ holderMsat, driftMsat: 0n, trimmed: [], added: [] });
    expect(step.fates.map(({ how }) => how)).toEqual(hows);
  });

  it('a credit that is due is due, and a gift is nobody’s loss', () => {
    const due: Knowledge = { ...knowing(back), mustCredit: () => true };
    const one = withHtlcs(start, 500_000_000n, back);
    expect(explained(VIEW, one, start, due)).toEqual({
      ok: false,
      expectedMsat: 530_000_000n,
      unprovenMsat: 0n,
      mustCreditMsat: 30_000_000n,
    });
    expect(explained(VIEW, one, withHtlcs(start, 531_000_000n), due)).toMatchObject({
      ok: true,
      holderMsat: 531_000_000n,
      driftMsat: 1_000_000n,
      fates: [{ how: 'credited', amountMsat: 30_000_000n }],
    });
  });

  it('two equal HTLCs, one gone: its value counts once (A23)', () => {
    const twins = withHtlcs(start, 460_000_000n, out, { ...out });
    const one = (holderMsat: bigint) => withHtlcs(start, holderMsat, out);
    expect(explained(VIEW, twins, one(480_000_000n))).toMatchObject({ ok: true, fates: [], driftMsat: 0n });
    expect(explained(VIEW, twins, one(460_000_000n)).ok).toBe(false);
    expect(explained(VIEW, twins, one(460_000_000n), knowing(out))).toMatchObject({
      ok: true,
      fates: [{ how: 'settled', amountMsat: 20_000_000n }],
    });
    // One settled and one failed, in one step.
    expect(explained(VIEW, twins, withHtlcs(start, 480_000_000n), knowing(out))).toMatchObject({
      ok: true,
      holderMsat: 480_000_000n,
      fates: [{ how: 'settled', amountMsat: 20_000_000n }],
    });
    expect(explained(VIEW, twins, withHtlcs(start, 459_000_000n), knowing(out)).ok).toBe(false);
    const incoming = withHtlcs(start, 500_000_000n, back, { ...back });
    const must: Knowledge = { ...knowing(back), mustCredit: () => true };
    expect(explained(VIEW, incoming, withHtlcs(start, 530_000_000n), must)).toMatchObject({
      ok: false,
      expectedMsat: 560_000_000n,
    });
  });

  it('more is offered than we have: refused whatever is shown', () => {
    const much = record('holder', 500_000_001n, 'much');
    expect(explained(VIEW, start, { ...start, holderMsat: 0n, htlcs: [much] }).ok).toBe(false);
  });

  it('an HTLC taken for hidden that shows as new was other dust', () => {
    const taken = record('holder', 647_500n, 'taken for hidden');
    const before: Before = {
      holderMsat: 500_000_000n as Before['holderMsat'],
      driftMsat: 0n,
      trimmed: [taken],
    };
    // It shows, our balance pays for it now, and what was invisible before has gone to the peer.
    const next = withHtlcs(start, 499_352_500n, taken);
    expect(explained(VIEW, start, next, knowing(), before)).toMatchObject({
      ok: true,
      holderMsat: 499_352_500n,
      driftMsat: -647_500n,
      trimmed: [],
    });
    // What it can't be is refused as before.
    const less = withHtlcs(start, 400_000_000n, taken);
    expect(explained(VIEW, start, less, knowing(), before)).toMatchObject({ ok: false });
    const other = withHtlcs(start, 400_000_000n);
    expect(explained(VIEW, start, other, knowing(), before)).toMatchObject({ ok: false });
  });

  it('HTLCs taken from dust are booked at once when they were known elsewhere', () => {
    // Trimmed here (our limit 546), visible there (their limit 354).
    const small = record('holder', 450_000n, 'small');
    const next = withHtlcs(start, 499_550_000n, small);
    const step = explained(VIEW, start, next, knowing(), undefined, [small]);
    expect(step).toEqual({
      ok: true,
      holderMsat: 499_550_000n,
      driftMsat: 0n,
      trimmed: [small],
      fates: [],
      added: [],
    });
    if (!step.ok) return;
    // Settled later, it is booked by its hash and no drift; failed, it comes back (A27c).
    const before: Before = { ...step, holderMsat: step.holderMsat as Before['holderMsat'] };
    const settled = withHtlcs(start, 499_550_000n);
    expect(explained(VIEW, next, settled, knowing(small), before)).toMatchObject({
      ok: true,
      holderMsat: 499_550_000n,
      driftMsat: 0n,
      trimmed: [],
      fates: [{ how: 'settled', amountMsat: 450_000n }],
    });
    expect(explained(VIEW, next, start, knowing(), before)).toMatchObject({
      ok: true,
      driftMsat: 0n,
      fates: [],
      trimmed: [],
    });
    // Without a preimage it may have been other dust all along: it is drift then.
    expect(explained(VIEW, next, settled, knowing(), before)).toMatchObject({
      ok: true,
      holderMsat: 499_550_000n,
      driftMsat: -450_000n,
      trimmed: [],
      fates: [],
    });
    // While it stands in the other view it is in flight, not drift.
    expect(explained(VIEW, next, next, knowing(), before, [small])).toMatchObject({
      ok: true,
      driftMsat: 0n,
      trimmed: [small],
    });
    // Twice the value of the one is not explained by it.
    const twice = withHtlcs(start, 499_100_000n, small, { ...small });
    expect(explained(VIEW, start, twice, knowing(), undefined, [small])).toMatchObject({
      ok: true,
      holderMsat: 499_100_000n,
      driftMsat: -450_000n,
      trimmed: [small],
    });
  });

  it('a loss is not explained by a large HTLC elsewhere, nor by one of the peer', () => {
    const large = record('holder', 1_000_000n, 'large');
    const theirs = record('counterparty', 450_000n, 'theirs');
    const dusty: State = { ...start, holderMsat: 499_000_000n, htlcs: [record('holder', 1_000_000n, 'x')] };
    const observable = observableOf({ ...VIEW, dustLimitSat: 1001n }, dusty);
    expect(observable.content.htlcs).toEqual([]);
    for (const other of [large, theirs])
      expect(
        explained({ ...VIEW, dustLimitSat: 1001n }, start, dusty, knowing(), undefined, [other]),
      ).toMatchObject({
        ok: true,
        driftMsat: -1_000_000n,
        trimmed: [],
      });
  });

  it('one that is known already, or larger than what was lost, explains no further loss', () => {
    const small = record('holder', 450_000n, 'small');
    const larger = record('holder', 900_000n, 'larger');
    const known = withHtlcs(start, 499_550_000n, small);
    const step = explained(VIEW, start, known, knowing(), undefined, [small]);
    if (!step.ok) return expect.fail('refused');
    const before: Before = { ...step, holderMsat: step.holderMsat as Before['holderMsat'] };
    const lost = withHtlcs(start, 499_100_000n, small, record('holder', 450_000n, 'unseen'));
    expect(explained(VIEW, known, lost, knowing(), before, [small, larger])).toMatchObject({
      ok: true,
      holderMsat: 499_100_000n,
      driftMsat: -450_000n,
      trimmed: [small],
    });
  });

  it('what was lost before the other view showed it is no loss any more, while it is in flight', () => {
    const small = record('holder', 450_000n, 'small');
    const lost = withHtlcs(start, 499_550_000n, small);
    const before: Before = {
      holderMsat: 499_550_000n as Before['holderMsat'],
      driftMsat: -450_000n,
      trimmed: [],
    };
    expect(explained(VIEW, lost, lost, knowing(), before, [small])).toMatchObject({
      ok: true,
      holderMsat: 499_550_000n,
      driftMsat: 0n,
      trimmed: [small],
    });
    // Gone to the peer it is not in flight.
    const gone = withHtlcs(start, 499_550_000n);
    expect(explained(VIEW, lost, gone, knowing(), before, [small])).toMatchObject({
      driftMsat: -450_000n,
      trimmed: [],
    });
  });

  it('a fraction of a satoshi that an HTLC elsewhere has too many is no gain', () => {
    const small = record('holder', 450_999n, 'small');
    const next = withHtlcs(start, 499_549_001n, small);
    const step = explained(VIEW, { ...start, holderMsat: 500_000_000n }, next, knowing(), undefined, [small]);
    expect(step).toMatchObject({ ok: true, trimmed: [small], holderMsat: 499_549_001n, driftMsat: 0n });
    const shown = withHtlcs(start, 499_550_000n, small);
    expect(explained(VIEW, start, shown, knowing(), undefined, [small])).toMatchObject({
      ok: true,
      trimmed: [small],
      holderMsat: 499_550_000n,
      driftMsat: 0n,
    });
  });
});

describe('fee rates that move HTLCs across the trim line (static_remotekey)', () => {
  const view: View = { ...VIEW, format: 'static_remotekey' };
  const out = record('holder', 3_000_000n, 'out');
  const back = record('counterparty', 3_000_000n, 'in');
  const low = withHtlcs(start, 497_000_000n, out, back);
  const high: State = { ...low, feeratePerKw: 10_000 };

  it('trimmed-known, neither added nor removed, and back again', () => {
    const up = explained(view, low, high);
    expect(up).toEqual({
      ok: true,
      holderMsat: 497_000_000n,
      driftMsat: 0n,
      trimmed: [out, back],
      fates: [],
      added: [],
    });
    expect(explained(view, high, high)).toMatchObject({
      ok: true,
      trimmed: [out, back],
      driftMsat: 0n,
      fates: [],
    });
    expect(explained(view, high, low)).toEqual({
      ok: true,
      holderMsat: 497_000_000n,
      driftMsat: 0n,
      trimmed: [],
      fates: [],
      added: [],
    });
  });

  it('settled or failed while trimmed, booked by its hash', () => {
    const gone = (holderMsat: bigint, ...htlcs: readonly HtlcRecord[]): State => ({
      ...high,
      holderMsat,
      htlcs,
    });
    expect(explained(view, high, gone(497_000_000n, back), knowing(out))).toMatchObject({
      ok: true,
      trimmed: [back],
      driftMsat: 0n,
      fates: [{ how: 'settled' }],
    });
    const failed = explained(view, high, gone(500_000_000n, back));
    expect(failed).toMatchObject({ ok: true, driftMsat: 0n, fates: [], trimmed: [back] });
    if (!failed.ok) return;
    // Then the other one fails as well.
    const after: Before = { ...failed, holderMsat: failed.holderMsat as Before['holderMsat'] };
    expect(explained(view, gone(500_000_000n, back), gone(500_000_000n), knowing(), after)).toMatchObject({
      ok: true,
      driftMsat: 0n,
      trimmed: [],
      fates: [],
    });
    expect(explained(view, high, gone(500_000_000n), knowing(out, back))).toMatchObject({
      ok: true,
      driftMsat: 0n,
    });
    expect(explained(view, high, gone(497_000_000n, back))).toMatchObject({ ok: true });
  });

  it('one that came back leaves room for another, as far as it goes', () => {
    const larger = record('counterparty', 4_000_000n, 'larger');
    const all: State = { ...high, htlcs: [out, back, larger] };
    const next: State = { ...high, holderMsat: 500_000_000n, htlcs: [back] };
    expect(explained(view, all, next)).toMatchObject({ ok: true, trimmed: [back], fates: [], driftMsat: 0n });
  });

  it('not in the type whose HTLC transactions pay nothing', () => {
    const anchors = withHtlcs(start, 497_000_000n, out);
    expect(explained(VIEW, anchors, { ...anchors, feeratePerKw: 10_000 })).toMatchObject({
      ok: true,
      trimmed: [],
      added: [],
    });
    // Gone from the list it is gone: its value must be back.
    const hidden = withHtlcs(start, 497_000_000n);
    expect(explained(VIEW, anchors, hidden)).toMatchObject({ ok: false, unprovenMsat: 3_000_000n });
  });
});

describe('leaks', () => {
  it('a satoshi per update, to the peer, is refused; into the fee it is drift, every one of them (A24)', () => {
    expect(explained(VIEW, start, withHtlcs(start, 499_998_000n)).ok).toBe(false);
    let before: Before = { holderMsat: 500_000_000n as Before['holderMsat'], driftMsat: 0n, trimmed: [] };
    let lostMsat = 0n;
    for (let i = 0; i < 10_000; i++) {
      // A tenth of a satoshi less each time, in both directions, as rounding would.
      const holderMsat = 500_000_000n - BigInt(i + 1) * 100n;
      const step = explained(VIEW, start, withHtlcs(start, holderMsat), knowing(), before);
      if (!step.ok) break;
      lostMsat = 500_000_000n - step.holderMsat;
      before = { ...step, holderMsat: step.holderMsat as Before['holderMsat'] };
      expect(before.driftMsat).toBe(-lostMsat);
    }
    expect(lostMsat).toBeGreaterThan(0n);
    expect(-before.driftMsat).toBe(lostMsat);
  });

  it('350 sat per update through HTLCs that no message mentions are drift, every one of them (A27b)', () => {
    let before: Before = { holderMsat: 500_000_000n as Before['holderMsat'], driftMsat: 0n, trimmed: [] };
    let holderMsat = 500_000_000n;
    for (let i = 0; i < 300; i++) {
      const dust = record('holder', 350_000n, `dust ${i}`);
      const inFlight = withHtlcs(start, holderMsat - 350_000n, dust);
      const added = explained(VIEW, withHtlcs(start, holderMsat), inFlight, knowing(), before);
      holderMsat -= 350_000n;
      if (!added.ok) return expect.fail('an honest dust HTLC is refused');
      before = { ...added, holderMsat: added.holderMsat as Before['holderMsat'] };
      const settled = explained(VIEW, inFlight, withHtlcs(start, holderMsat), knowing(), {
        ...before,
        trimmed: [],
      });
      if (!settled.ok) return expect.fail('an honest dust HTLC is refused');
      before = { ...settled, holderMsat: settled.holderMsat as Before['holderMsat'] };
    }
    expect(before.driftMsat).toBe(-300n * 350_000n);
  });
});

describe('any honest life', () => {
  const view = fc.record({
    format: fc.constantFrom('static_remotekey' as const, 'anchors_zero_fee_htlc' as const),
    isOutbound: fc.boolean(),
    broadcaster: fc.constantFrom('holder' as const, 'counterparty' as const),
    capacitySat: fc.constant(10_000_000n),
    dustLimitSat: fc.constantFrom(354n, 546n),
  });
  const action = fc.record({
    kind: fc.constantFrom('add', 'add', 'settle', 'fail', 'rate'),
    offeredBy: fc.constantFrom('holder' as const, 'counterparty' as const),
    /** Above every trim line of the anchors type; in the other some rates trim them. */
    amountMsat: fc.bigInt(1_001_000n, 20_000_000n),
    pick: fc.nat(1000),
    feeratePerKw: fc.integer({ min: 253, max: 20_000 }),
  });

  it('is explained to the millisatoshi, with no drift', () => {
    fc.assert(
      fc.property(view, fc.array(action, { maxLength: 30 }), (side, actions) => {
        let state: State = { holderMsat: 5_000_000_000n, feeratePerKw: 1000, htlcs: [] };
        let before: Before = {
          holderMsat: 5_000_000_000n as Before['holderMsat'],
          driftMsat: 0n,
          trimmed: [],
        };
        const done: HtlcRecord[] = [];
        for (const [i, { kind, offeredBy, amountMsat, pick, feeratePerKw }] of actions.entries()) {
          const gone = state.htlcs[pick % Math.max(1, state.htlcs.length)];
          let next = state;
          // What is added while it is trimmed is invisible, and another property.
          if (kind === 'add' && (side.format !== 'static_remotekey' || state.feeratePerKw < 600)) {
            const spent = offeredBy === 'holder' ? amountMsat : 0n;
            next = {
              ...state,
              holderMsat: state.holderMsat - spent,
              htlcs: [...state.htlcs, record(offeredBy, amountMsat, `h${i}`)],
            };
          } else if (kind === 'rate') next = { ...state, feeratePerKw };
          else if (gone !== undefined && kind !== 'add') {
            const isSettled = kind === 'settle';
            if (isSettled) done.push(gone);
            const toUs = (gone.offeredBy === 'counterparty') === isSettled;
            next = {
              ...state,
              holderMsat: state.holderMsat + (toUs ? gone.amountMsat : 0n),
              htlcs: state.htlcs.filter((one) => one !== gone),
            };
          }
          const step = explained(side, state, next, knowing(...done), before);
          if (!step.ok) return expect.fail(`refused: ${kind}`);
          expect(step.driftMsat).toBe(0n);
          expect(step.holderMsat).toBe(next.holderMsat);
          expect(sumMsat(step.trimmed) + sumMsat(observableOf(side, next).content.htlcs)).toBe(
            sumMsat(next.htlcs),
          );
          before = { ...step, holderMsat: step.holderMsat as Before['holderMsat'] };
          state = next;
        }
      }),
      { numRuns: 300 },
    );
  });

  it('conserves: our balance never falls by more than drift, offers and proven settlements say', () => {
    fc.assert(
      fc.property(
        view,
        fc.array(action, { maxLength: 12 }),
        fc.bigInt(-30_000_000n, 30_000_000n),
        (side, actions, theftMsat) => {
          let htlcs: readonly HtlcRecord[] = [];
          let holderMsat = 5_000_000_000n;
          actions.forEach(({ offeredBy, amountMsat }, i) => {
            htlcs = [...htlcs, record(offeredBy, amountMsat, `h${i}`)];
            if (offeredBy === 'holder') holderMsat -= amountMsat;
          });
          const from: State = { holderMsat, feeratePerKw: 300, htlcs };
          const kept = htlcs.filter((_, i) => i % 2 === 0);
          const to: State = { holderMsat: holderMsat + theftMsat, feeratePerKw: 300, htlcs: kept };
          const known = htlcs.filter((_, i) => i % 3 === 0);
          const step = explained(side, from, to, knowing(...known));
          if (!step.ok) return;
          const gone = htlcs.filter((htlc) => !kept.includes(htlc) && !step.trimmed.includes(htlc));
          const returned = gone.filter(
            (htlc) =>
              htlc.offeredBy === 'holder' &&
              !step.fates.some((fate) => fate.paymentHash === htlc.paymentHash),
          );
          const credited = gone.filter((htlc) =>
            step.fates.some((fate) => fate.how === 'credited' && fate.paymentHash === htlc.paymentHash),
          );
          expect(step.holderMsat).toBe(holderMsat + sumMsat(returned) + sumMsat(credited) + step.driftMsat);
          for (const fate of step.fates) {
            if (fate.how === 'settled')
              expect(known.some((htlc) => htlc.paymentHash === fate.paymentHash)).toBe(true);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
