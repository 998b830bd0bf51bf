/** Law 2's arithmetic at its edges: which way a single HTLC or millisatoshi tips the explanation of a step. */
import { describe, expect, it } from 'vitest';
import type { HtlcRecord } from '../src/channel/record.ts';
import { type Explanation, explain, type Knowledge, ledgerOf } from '../src/ledger/explain.ts';
import { observe } from '../src/ledger/observe.ts';
import { RefusalSignal } from '../src/refusal.ts';
import {
  type Before,
  NO_KNOWLEDGE,
  observableOf,
  record,
  type State,
  VIEW,
  type View,
} from './ledger-model.ts';

const START_MSAT = 500_000_000n;

const before = (changes: { holderMsat?: bigint; driftMsat?: bigint; trimmed?: readonly HtlcRecord[] } = {}) =>
  ({ holderMsat: START_MSAT, driftMsat: 0n, trimmed: [], ...changes }) as Before;

const now = (holderMsat: bigint, ...htlcs: readonly HtlcRecord[]): State => ({
  holderMsat,
  feeratePerKw: 1000,
  htlcs,
});

interface Case {
  readonly view?: View;
  readonly before?: Before;
  readonly visibleBefore?: readonly HtlcRecord[];
  /** HTLCs below the view's dust limit are in the fee. */
  readonly to: State;
  readonly knowledge?: Partial<Knowledge>;
  readonly elsewhere?: readonly HtlcRecord[];
}

function step(one: Case): Explanation {
  const view = one.view ?? VIEW;
  const next = observableOf(view, one.to);
  return explain({
    before: one.before ?? before(),
    visibleBefore: one.visibleBefore ?? [],
    visible: next.content.htlcs,
    observed: observe(next),
    format: view.format,
    broadcaster: view.broadcaster,
    elsewhere: one.elsewhere ?? [],
    knowledge: { ...NO_KNOWLEDGE, ...one.knowledge },
  });
}

const anyOf = (...htlcs: readonly HtlcRecord[]) => {
  const hashes = htlcs.map(({ paymentHash }) => paymentHash.join());
  return (hash: Uint8Array) => hashes.includes(hash.join());
};

describe('an HTLC that is not shown any more (static_remotekey)', () => {
  // At 1,000 per kw the transaction of an offered one costs 663 sat, of a received one 703.
  const plain: View = { ...VIEW, format: 'static_remotekey', dustLimitSat: 1100n };
  const from = { ...before(), holderMsat: 498_000_000n } as Before;

  it.each([
    ['holder', 'holder', 1663n],
    ['holder', 'counterparty', 1703n],
    ['counterparty', 'holder', 1703n],
    ['counterparty', 'counterparty', 1663n],
  ] as const)(
    'is in flight below the line of its direction: commitment of the %s, offered by the %s',
    (broadcaster, offeredBy, line) => {
      const view: View = { ...plain, broadcaster };
      const shown = (amountSat: bigint) => {
        const one = record(offeredBy, amountSat * 1000n, 'one');
        return step({
          view,
          before: from,
          visibleBefore: [one],
          to: now(498_000_000n, one),
          knowledge: { maySettle: () => true },
        });
      };
      expect(shown(line - 1n)).toMatchObject({
        ok: true,
        trimmed: [{ amountMsat: (line - 1n) * 1000n }],
        fates: [],
      });
      expect(shown(line)).toMatchObject({ ok: true, trimmed: [] });
    },
  );

  it('is in flight only as far as there is room in the fee', () => {
    const one = record('counterparty', 1_500_000n, 'one');
    const dust = (amountMsat: bigint) => now(498_000_000n, record('counterparty', amountMsat, 'other'));
    const at = (amountMsat: bigint) =>
      step({ view: plain, before: from, visibleBefore: [one], to: dust(amountMsat) });
    expect(at(1_500_000n)).toMatchObject({ ok: true, trimmed: [one] });
    expect(at(1_499_000n)).toMatchObject({ ok: true, trimmed: [] });
  });

  it('leaves room for another when it came back', () => {
    const a = record('holder', 1_500_000n, 'a');
    const settled = record('holder', 1_400_000n, 'settled');
    const stands = record('holder', 1_000_000n, 'stands');
    const received = (amountMsat: bigint) => record('counterparty', amountMsat, 'received');
    const dust = (amountMsat: bigint) => record('counterparty', amountMsat, 'other');
    // `a` came back: what is settled is not in flight for that, though it would fit.
    expect(
      step({
        view: plain,
        before: from,
        visibleBefore: [a, settled],
        to: now(499_500_000n, dust(1_500_000n)),
        knowledge: { knows: anyOf(settled), maySettle: anyOf(settled) },
      }),
    ).toMatchObject({ ok: true, trimmed: [], fates: [{ how: 'settled', amountMsat: 1_400_000n }] });
    // 1,600 sat of room are left beside what stands.
    const after = (amountMsat: bigint) =>
      step({
        view: { ...plain, dustLimitSat: 3000n },
        before: from,
        visibleBefore: [a, stands, received(amountMsat)],
        to: now(499_500_000n, dust(2_600_000n)),
      });
    expect(after(1_600_000n)).toMatchObject({ ok: true, trimmed: [stands, received(1_600_000n)], fates: [] });
    expect(after(1_600_001n)).toMatchObject({ ok: true, trimmed: [stands], fates: [] });
  });
});

describe('with anchors', () => {
  const small = record('holder', 450_000n, 'small');
  const dust = (amountMsat: bigint) => record('counterparty', amountMsat, 'other dust');
  const high: View = { ...VIEW, dustLimitSat: 900n };

  it('an HTLC that was shown is not hidden later, for the fee rate moves no trim line: it is drift', () => {
    const shown = record('holder', 800_000n, 'shown');
    const from = before({ holderMsat: 499_200_000n });
    expect(
      step({ view: high, before: from, visibleBefore: [shown], to: now(499_200_000n, shown) }),
    ).toMatchObject({
      ok: true,
      trimmed: [],
      driftMsat: -800_000n,
    });
  });

  it('one that was hidden is in flight only while the other view shows it', () => {
    const from = before({ holderMsat: 499_550_000n, trimmed: [small] });
    const to = now(499_550_000n, dust(450_000n));
    expect(step({ before: from, to, elsewhere: [small] })).toMatchObject({
      ok: true,
      trimmed: [small],
      driftMsat: 0n,
    });
    expect(step({ before: from, to })).toMatchObject({ ok: true, trimmed: [], driftMsat: -450_000n });
  });

  it('one that came back leaves no room for a received one', () => {
    const received = record('counterparty', 600_000n, 'received');
    expect(
      step({
        view: high,
        before: before({ holderMsat: 499_550_000n, trimmed: [small] }),
        visibleBefore: [received],
        to: now(START_MSAT, dust(700_000n)),
        elsewhere: [small],
      }),
    ).toMatchObject({ ok: true, trimmed: [], fates: [], driftMsat: 0n });
  });

  it('nothing is hidden where nothing is missing', () => {
    const tiny = record('holder', 500n, 'tiny');
    expect(step({ to: now(START_MSAT, dust(300_000n)), elsewhere: [tiny] })).toMatchObject({
      trimmed: [],
      driftMsat: 0n,
    });
  });

  it('one elsewhere explains a loss only if the loss is as large, and as often as it is there', () => {
    const one = (amountMsat: bigint, label = 'one') => record('holder', amountMsat, label);
    const lost = (roomMsat: bigint, elsewhere: readonly HtlcRecord[], from = before()) =>
      step({ view: high, before: from, to: now(from.holderMsat - 400_000n, dust(roomMsat)), elsewhere });
    expect(lost(850_000n, [one(400_000n)])).toMatchObject({ trimmed: [one(400_000n)], driftMsat: 0n });
    // A fraction of a satoshi more may be missing than shows.
    expect(lost(850_000n, [one(400_999n)])).toMatchObject({ trimmed: [one(400_999n)], driftMsat: 0n });
    expect(lost(850_000n, [one(401_000n)])).toMatchObject({ trimmed: [], driftMsat: -400_000n });
    expect(lost(850_000n, [one(400_000n), one(400_000n, 'two')])).toMatchObject({ trimmed: [one(400_000n)] });
    // What was lost before counts, and the room in the fee is the limit.
    const earlier = before({ driftMsat: -400_000n });
    const both = [one(400_000n), one(400_000n, 'two')];
    expect(lost(800_000n, both, earlier)).toMatchObject({ trimmed: both, driftMsat: 0n });
    expect(lost(799_000n, both, earlier)).toMatchObject({ trimmed: [both[0]], driftMsat: -400_000n });
  });

  it('what is known to be hidden takes up its room', () => {
    const other = record('holder', 400_000n, 'another');
    const at = (roomMsat: bigint) =>
      step({
        view: high,
        before: before({ holderMsat: 499_550_000n, trimmed: [small] }),
        to: now(499_150_000n, dust(roomMsat)),
        elsewhere: [small, other],
      });
    expect(at(850_000n)).toMatchObject({ trimmed: [small, other], driftMsat: 0n });
    expect(at(849_000n)).toMatchObject({ trimmed: [small], driftMsat: -400_000n });
  });

  it('an earlier loss that is explained now leaves the balance exact', () => {
    const from = before({ holderMsat: 499_550_400n, driftMsat: -450_000n });
    expect(step({ before: from, to: now(499_550_400n, small), elsewhere: [small] })).toMatchObject({
      holderMsat: 499_550_400n,
      driftMsat: 0n,
      trimmed: [small],
    });
  });
});

describe('what was taken for hidden and may have been other dust', () => {
  const taken = record('holder', 647_500n, 'taken for hidden');
  const small = record('holder', 450_000n, 'small');

  it('is only the HTLC in doubt: another that stands stays', () => {
    const from = before({ holderMsat: 499_000_000n, trimmed: [taken, small] });
    const dust = record('counterparty', 450_000n, 'room');
    expect(step({ before: from, to: now(498_352_500n, taken, dust), elsewhere: [small] })).toMatchObject({
      ok: true,
      holderMsat: 498_352_500n,
      driftMsat: -647_500n,
      trimmed: [small],
    });
  });

  it('is never a received one, which must be credited if its preimage was released', () => {
    const received = record('counterparty', 450_000n, 'received');
    const from = before({ trimmed: [received] });
    const knowledge = { mustCredit: () => true };
    expect(step({ before: from, to: now(START_MSAT), knowledge })).toMatchObject({
      ok: false,
      mustCreditMsat: 450_000n,
    });
    expect(step({ before: from, to: now(START_MSAT + 450_000n), knowledge })).toMatchObject({
      ok: true,
      fates: [{ how: 'credited', amountMsat: 450_000n }],
    });
  });
});

describe('which of equal HTLCs', () => {
  const pair = (offeredBy: HtlcRecord['offeredBy']) => [
    record(offeredBy, 20_000_000n, 'one'),
    record(offeredBy, 20_000_000n, 'other'),
  ];

  it('offered ones settled: the one whose preimage is known', () => {
    const [one, other] = pair('holder');
    for (const known of [one!, other!]) {
      const result = step({
        before: before({ holderMsat: 460_000_000n }),
        visibleBefore: [one!, other!],
        to: now(480_000_000n),
        knowledge: { maySettle: () => true, knows: anyOf(known) },
      });
      expect(result).toMatchObject({
        ok: true,
        fates: [{ how: 'settled', paymentHash: known.paymentHash }],
        driftMsat: 0n,
      });
    }
  });

  it.each(['knows', 'backs'] as const)('received ones were credited: the likelier, by %s', (what) => {
    const [one, other] = pair('counterparty');
    for (const likely of [one!, other!]) {
      const result = step({
        visibleBefore: [one!, other!],
        to: now(520_000_000n),
        knowledge: { [what]: anyOf(likely) },
      });
      expect(result).toMatchObject({
        ok: true,
        fates: [{ how: 'credited', paymentHash: likely.paymentHash }],
        driftMsat: 0n,
      });
    }
  });
});

describe('what the other view has credited', () => {
  const one = record('counterparty', 30_000_000n, 'owed');
  const twin = { ...one, cltvExpiry: one.cltvExpiry + 1 };
  const owing = (owedMsat: bigint) =>
    step({ visibleBefore: [one, twin], to: now(START_MSAT), knowledge: { owedMsat: () => owedMsat } });

  it('is owed here too, HTLC by HTLC', () => {
    expect(owing(29_999_999n)).toMatchObject({ ok: true, fates: [] });
    for (const owed of [30_000_000n, 59_999_999n])
      expect(owing(owed)).toMatchObject({
        ok: false,
        expectedMsat: 530_000_000n,
        mustCreditMsat: 30_000_000n,
      });
    expect(owing(60_000_000n)).toMatchObject({
      ok: false,
      expectedMsat: 560_000_000n,
      mustCreditMsat: 60_000_000n,
    });
  });

  it('is owed by the HTLC that it fits: another of the hash, which nobody took, may fail', () => {
    const [large, small] = [30_000_000n, 10_000_000n].map((amount) => record('counterparty', amount, 'owed'));
    for (const [taken, given] of [
      [large!, 530_000_000n],
      [small!, 510_000_000n],
    ] as const) {
      const knowledge = { owedMsat: () => taken.amountMsat };
      const gone = (holderMsat: bigint) =>
        step({ visibleBefore: [small!, large!], to: now(holderMsat), knowledge });
      expect(gone(given)).toMatchObject({
        ok: true,
        driftMsat: 0n,
        fates: [{ how: 'credited', amountMsat: taken.amountMsat }],
      });
      expect(gone(given - 1_000n)).toMatchObject({ ok: false, mustCreditMsat: taken.amountMsat });
    }
  });

  it('is owed by hash', () => {
    const another = record('counterparty', 30_000_000n, 'another');
    const result = step({
      visibleBefore: [one, another],
      to: now(START_MSAT),
      knowledge: { owedMsat: (hash) => (anyOf(one)(hash) ? 30_000_000n : 0n) },
    });
    expect(result).toMatchObject({ ok: false, mustCreditMsat: 30_000_000n });
  });
});

describe('a balance without an output', () => {
  it('is lost only to what stands in the fee beside it', () => {
    const view: View = { ...VIEW, isOutbound: false, dustLimitSat: 2000n };
    const from = before({ holderMsat: 1_500_000n });
    // Up to 1,000 sat may have no output; 500 sat more must be dust.
    expect(step({ view, before: from, to: now(1_500_000n) })).toMatchObject({
      ok: true,
      holderMsat: 1_000_000n,
      driftMsat: -500_000n,
    });
    expect(step({ view, before: from, to: now(1_499_000n) })).toMatchObject({
      ok: false,
      expectedMsat: 1_500_000n,
    });
  });

  it('may be nothing', () => {
    const view: View = { ...VIEW, isOutbound: false };
    expect(step({ view, before: before({ holderMsat: 0n }), to: now(0n) })).toMatchObject({
      ok: true,
      holderMsat: 0n,
      driftMsat: 0n,
    });
  });

  it('that nothing would be left of is refused', () => {
    const view: View = { ...VIEW, isOutbound: false };
    const all = record('holder', 1_000_000n, 'all');
    expect(step({ view, before: before({ holderMsat: 1_000_000n }), to: now(0n, all) })).toMatchObject({
      ok: true,
      holderMsat: 0n,
    });
    expect(step({ view, before: before({ holderMsat: 999_999n }), to: now(0n, all) })).toMatchObject({
      ok: false,
    });
  });
});

it('policy-generic-error: trips on a ledger that no record holds, and says what is too much', () => {
  const factsOf = (rest: Parameters<typeof ledgerOf>[1]) => {
    try {
      ledgerOf(0n, rest);
    } catch (error) {
      if (error instanceof RefusalSignal) return error.facts;
      throw error;
    }
    return null;
  };
  const many = (count: number) => Array.from({ length: count }, () => record('holder', 1n, 'one'));
  expect(factsOf({ driftMsat: 0n, trimmed: many(2000), fates: [] })).toEqual({
    htlcs_trimmed: 2000,
    htlcs_ended: 0,
    drift_msat: 0n,
  });
  expect(factsOf({ driftMsat: 2n ** 70n, trimmed: [], fates: [] })).toMatchObject({ drift_msat: 2n ** 70n });
  expect(factsOf({ driftMsat: 0n, trimmed: many(1), fates: [] })).toBeNull();
});
