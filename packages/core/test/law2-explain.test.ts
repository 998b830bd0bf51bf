import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HtlcRecord } from '../src/channel/record.ts';
import type { Knowledge } from '../src/ledger/explain.ts';
import { sumMsat } from '../src/ledger/htlc-set.ts';
import {
  type Before,
  explained,
  knowing,
  observableOf,
  record,
  type State,
  start,
  VIEW,
  withHtlcs,
} from './ledger-model.ts';

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
    // Of the two that came under one hash the payee may have taken one, and none is too few.
    const must: Knowledge = { ...knowing(back), mustCredit: () => true };
    expect(explained(VIEW, incoming, withHtlcs(start, 530_000_000n), must)).toMatchObject({
      ok: true,
      fates: [{ how: 'credited', amountMsat: 30_000_000n }],
    });
    expect(explained(VIEW, incoming, withHtlcs(start, 500_000_000n), must)).toMatchObject({
      ok: false,
      expectedMsat: 530_000_000n,
    });
    const owed: Knowledge = { ...knowing(back), owedMsat: () => 60_000_000n };
    expect(explained(VIEW, incoming, withHtlcs(start, 530_000_000n), owed)).toMatchObject({
      ok: false,
      expectedMsat: 560_000_000n,
    });
  });

  it('more is offered than we have: refused whatever is shown', () => {
    const much = record('holder', 500_000_001n, 'much');
    expect(explained(VIEW, start, { ...start, holderMsat: 0n, htlcs: [much] }).ok).toBe(false);
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
