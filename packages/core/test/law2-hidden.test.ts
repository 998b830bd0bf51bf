import { describe, expect, it } from 'vitest';
import type { HtlcRecord } from '../src/channel/record.ts';
import {
  type Before,
  explained,
  knowing,
  observableOf,
  record,
  type State,
  start,
  VIEW,
  type View,
  withHtlcs,
} from './ledger-model.ts';

describe('an HTLC that only the other view shows', () => {
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
