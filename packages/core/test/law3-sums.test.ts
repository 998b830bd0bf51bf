/**
 * Law 3's arithmetic alone: what commitments say about a hash, what a channel's part of a payment is, and the sum that
 * must hold.
 */
import { larger, msat } from '@countersign/bitcoin';
import {
  EMPTY_PAYMENT,
  type PaymentApproval,
  type PaymentPart,
  type PaymentRecord,
  type TimedAmount,
} from '@countersign/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LiveCommitment } from '../src/channel/live.ts';
import type { Fate, HtlcRecord } from '../src/channel/record.ts';
import { hashHex } from '../src/ledger/htlc-set.ts';
import {
  approvedMsat,
  coverMsat,
  deficitMsat,
  isRetired,
  outMsat,
  settleSums,
} from '../src/payments/balance.ts';
import { NO_BASE, partOf } from '../src/payments/part.ts';
import { differingHashes, sumsAt, sumsOf } from '../src/payments/sums.ts';
import { record } from './ledger-model.ts';
import { partWith } from './payment-part.ts';

const MAX_MSAT = 1_000_000_000n;

interface Said {
  readonly view?: LiveCommitment['view'];
  readonly htlcs?: readonly HtlcRecord[];
  readonly trimmed?: readonly HtlcRecord[];
  readonly fates?: readonly Fate[];
}

function live({ view = 'holder', htlcs = [], trimmed = [], fates = [] }: Said): LiveCommitment {
  const ledger = { holderMsat: msat(0n), driftMsat: 0n, trimmed, fates };
  const content = {
    number: 1,
    txid: new Uint8Array(32),
    feeratePerKw: 1000,
    toHolderSat: null,
    toCounterpartySat: null,
    htlcs,
    ledger,
  };
  return { view, funding: 'f:0', content, ledger };
}

const out = record('holder', 5_000_000n, 'h');
const back = record('counterparty', 7_000_000n, 'h', 700_040);
const hash = hashHex(out.paymentHash);
const fate = (how: Fate['how'], amountMsat = 5_000_000n): Fate => ({
  how,
  amountMsat: msat(amountMsat),
  paymentHash: out.paymentHash,
});
const timed = ({ cltvExpiry, amountMsat }: TimedAmount) => ({ cltvExpiry, amountMsat });

describe('what a commitment says about a hash', () => {
  it('what stands, visible and trimmed, and what was settled and credited', () => {
    const late = record('holder', 1_000_000n, 'h', 700_001);
    const one = live({
      htlcs: [out, back, late],
      trimmed: [out, back],
      fates: [fate('settled'), fate('credited', 7n)],
    });
    const sums = sumsAt(sumsOf(one, MAX_MSAT), hash);
    expect(sums).toMatchObject({
      offeredMsat: 11_000_000n,
      receivedMsat: 14_000_000n,
      seenMsat: 14_000_000n,
      settledMsat: 5_000_000n,
      creditedMsat: 7n,
    });
    expect(sums.offered.map(timed)).toEqual([out, late, out].map(timed));
    expect(sums.received.map(timed)).toEqual([back, back].map(timed));
  });

  it('nothing about others', () => {
    const sums = sumsOf(live({ htlcs: [out] }), MAX_MSAT);
    expect(sums.size).toBe(1);
    expect(sumsAt(sums, hashHex(record('holder', 1n, 'other').paymentHash))).toEqual({
      offeredMsat: 0n,
      receivedMsat: 0n,
      seenMsat: 0n,
      settledMsat: 0n,
      creditedMsat: 0n,
      offered: [],
      received: [],
    });
  });

  it('what is received beyond the limit is seen and covers nothing; the limit is part of what is remembered', () => {
    const other = record('counterparty', 10_000_000n, 'other');
    const one = live({ htlcs: [back, other] });
    expect(sumsAt(sumsOf(one, 17_000_000n), hashHex(other.paymentHash)).receivedMsat).toBe(10_000_000n);
    const limited = sumsOf(one, 16_999_999n);
    expect(sumsAt(limited, hashHex(other.paymentHash))).toMatchObject({
      receivedMsat: 0n,
      seenMsat: 10_000_000n,
      received: [],
    });
    expect(sumsAt(limited, hash).receivedMsat).toBe(7_000_000n);
    expect(sumsOf(one, 16_999_999n)).toBe(limited);
  });

  it('the hashes of which two say different things', () => {
    const base = { htlcs: [out, back] };
    const differ = (a: Said, b: Said) =>
      differingHashes(sumsOf(live(a), MAX_MSAT), sumsOf(live(b), MAX_MSAT));
    expect(differ(base, base)).toEqual([]);
    const others: Said[] = [
      {},
      { htlcs: [out] },
      { htlcs: [back] },
      { htlcs: [record('holder', 5_000_001n, 'h'), back] },
      { htlcs: [out, record('counterparty', 7_000_001n, 'h', 700_040)] },
      { htlcs: [record('holder', 5_000_000n, 'h', 700_001), back] },
      { htlcs: [out, record('counterparty', 7_000_000n, 'h', 700_041)] },
      { ...base, fates: [fate('settled')] },
      { ...base, fates: [fate('credited')] },
      { htlcs: [record('holder', 2_000_000n, 'h'), record('holder', 3_000_000n, 'h'), back] },
    ];
    for (const other of others) {
      expect(differ(base, other)).toEqual([hash]);
      expect(differ(other, base)).toEqual([hash]);
    }
    const late = { ...base, htlcs: [...base.htlcs, record('holder', 1n, 'z')] };
    expect(differ(base, late)).toEqual([hashHex(record('holder', 1n, 'z').paymentHash)]);
    const beyond = (max: bigint) => sumsOf(live(base), max);
    expect(differingHashes(beyond(7_000_000n), beyond(6_999_999n))).toEqual([hash]);
  });
});

describe('a channel’s part of a payment', () => {
  const part = (commitments: readonly LiveCommitment[], base = NO_BASE) =>
    partOf('c', hash, base, commitments, MAX_MSAT);

  it('outgoing the most, incoming the least', () => {
    const views = [
      live({ htlcs: [out, back] }),
      live({ view: 'counterparty', htlcs: [out, out, record('counterparty', 6_000_000n, 'h', 700_030)] }),
    ];
    expect(part(views)).toEqual({
      part: {
        channel: 'c',
        outMsat: 10_000_000n,
        inMsat: 6_000_000n,
        standingMsat: 6_000_000n,
        creditMaxMsat: 0n,
        ...NO_BASE,
        outgoing: [{ cltvExpiry: 700_000, amountMsat: 10_000_000n }],
        incoming: [{ cltvExpiry: 700_030, amountMsat: 6_000_000n }],
      },
      isOver: false,
      hasIncoming: true,
      settledMsat: 0n,
      offered: [out, out],
    });
  });

  it('standing and settled together, so that a settlement moves nothing', () => {
    const views = [live({ htlcs: [out] }), live({ view: 'counterparty', fates: [fate('settled')] })];
    expect(part(views)).toMatchObject({
      part: { outMsat: 5_000_000n, outgoing: [timed(out)] },
      settledMsat: 5_000_000n,
      hasIncoming: false,
    });
    const credited = [
      live({ htlcs: [back] }),
      live({ view: 'counterparty', fates: [fate('credited', 7_000_000n)] }),
    ];
    expect(part(credited).part).toMatchObject({
      inMsat: 7_000_000n,
      standingMsat: 0n,
      creditMaxMsat: 7_000_000n,
      incoming: [timed(back)],
    });
  });

  it('an HTLC in one view only covers nothing', () => {
    expect(part([live({ htlcs: [back] }), live({ view: 'counterparty' })]).part).toMatchObject({
      inMsat: 0n,
      standingMsat: 0n,
      incoming: [],
    });
    expect(part([live({ view: 'counterparty' }), live({ htlcs: [back] })]).part).toMatchObject({
      inMsat: 0n,
      standingMsat: 0n,
      incoming: [],
    });
    expect(part([live({}), live({ view: 'counterparty', htlcs: [back] })]).hasIncoming).toBe(true);
  });

  it('each view goes on from its own revoked past', () => {
    const base = {
      settledHolderMsat: 1n,
      settledCounterpartyMsat: 20n,
      creditedHolderMsat: 300n,
      creditedCounterpartyMsat: 4000n,
    };
    const views = [live({ htlcs: [out, back] }), live({ view: 'counterparty', htlcs: [out, back] })];
    expect(part(views, base)).toMatchObject({
      part: { outMsat: 5_000_020n, inMsat: 7_000_300n, creditMaxMsat: 4000n, ...base },
      settledMsat: 20n,
    });
    expect(part([], base)).toMatchObject({
      part: { outMsat: 20n, inMsat: 0n, standingMsat: 0n, creditMaxMsat: 4000n },
    });
    const settled = [
      live({ fates: [fate('settled', 100n), fate('credited', 50n)] }),
      live({ view: 'counterparty' }),
    ];
    expect(part(settled, base)).toMatchObject({
      part: { outMsat: 101n, inMsat: 350n, creditMaxMsat: 4000n },
      settledMsat: 101n,
    });
  });

  it('nothing is secured without a commitment of ours, which the peer cannot keep back', () => {
    const theirs = live({ view: 'counterparty', htlcs: [back], fates: [fate('credited')] });
    expect(part([theirs])).toMatchObject({
      hasIncoming: true,
      part: { inMsat: 0n, standingMsat: 0n, incoming: [] },
    });
    expect(part([theirs, live({ htlcs: [back] })]).part).toMatchObject({
      inMsat: 7_000_000n,
      incoming: [timed(back)],
    });
  });

  it('for every expiry the worst commitment counts, though the totals are the same', () => {
    const early = record('counterparty', 7_000_000n, 'h', 700_010);
    const late = record('holder', 5_000_000n, 'h', 700_001);
    const views = [live({ htlcs: [back, out] }), live({ view: 'counterparty', htlcs: [early, late] })];
    expect(part(views).part).toMatchObject({
      outMsat: 5_000_000n,
      inMsat: 7_000_000n,
      outgoing: [{ cltvExpiry: 700_001, amountMsat: 5_000_000n }],
      incoming: [{ cltvExpiry: 700_010, amountMsat: 7_000_000n }],
    });
  });

  it('is over when nothing of it stands or is on its way', () => {
    const quiet = [live({}), live({ view: 'counterparty' })];
    const past = { ...NO_BASE, settledHolderMsat: 5n, creditedCounterpartyMsat: 7n };
    expect(part(quiet).isOver).toBe(true);
    expect(part(quiet, past).isOver).toBe(true);
    for (const said of [
      { htlcs: [out] },
      { htlcs: [back] },
      { fates: [fate('settled')] },
      { fates: [fate('credited')] },
    ])
      expect(part([...quiet, live(said)]).isOver).toBe(false);
    const beyond = partOf('c', hash, NO_BASE, [live({ htlcs: [back] })], 0n);
    expect(beyond).toMatchObject({ isOver: false, hasIncoming: true, part: { inMsat: 0n } });
  });
});

const paymentWith = (
  fields: Partial<PaymentRecord>,
  ...parts: readonly Partial<PaymentPart>[]
): PaymentRecord => ({
  ...EMPTY_PAYMENT,
  ...fields,
  parts: parts.map(partWith),
});
const approval: PaymentApproval = {
  kind: 'invoice',
  amountMsat: msat(1000n),
  feeBudgetMsat: msat(50n),
  payee: null,
  source: 'operator',
  approvedAtSeconds: 0,
  expiresAtSeconds: 100,
  keepUntilSeconds: 200,
};

describe('the sum of a payment', () => {
  it('adds up over channels (MPP) and what is settled and credited for good', () => {
    const payment = paymentWith(
      { settledMsat: 1n, creditedMsat: 100n, incomeMsat: 30n, dustChargedMsat: 5n },
      { outMsat: 20n, inMsat: 7n },
      { outMsat: 300n, inMsat: 3n },
    );
    expect(outMsat(payment)).toBe(321n);
    expect(coverMsat(payment)).toBe(80n);
    expect(deficitMsat(payment, 0)).toBe(321n - 80n - 5n);
    expect(deficitMsat({ ...payment, dustChargedMsat: 1000n }, 0)).toBe(0n);
  });

  it('income covers nothing, and neither does what comes in for an invoice of ours', () => {
    expect(coverMsat(paymentWith({ creditedMsat: 100n, incomeMsat: 100n }))).toBe(0n);
    expect(coverMsat(paymentWith({ incomeMsat: 100n }, { inMsat: 99n }))).toBe(0n);
    const invoice = { amountMsat: null, expiresAtSeconds: 0 };
    expect(coverMsat(paymentWith({ invoice, creditedMsat: 100n }, { inMsat: 99n }))).toBe(0n);
  });

  it('an approval covers amount and fee until it expires, and then what it covered', () => {
    const payment = paymentWith({ approval, usedMsat: 600n });
    expect(approvedMsat(payment, 99)).toBe(1050n);
    expect(approvedMsat(payment, 100)).toBe(600n);
    expect(approvedMsat({ ...payment, approval: { ...approval, amountMsat: null } }, 99)).toBe(0n);
    expect(approvedMsat({ ...payment, approval: null }, 0)).toBe(0n);
    expect(deficitMsat({ ...payment, parts: [partWith({ outMsat: 1051n })] }, 99)).toBe(1n);
  });

  it('books what of the approval is used, and gives it back when it fails', () => {
    const sent = settleSums(paymentWith({ approval }, { outMsat: 900n }));
    expect(sent.usedMsat).toBe(900n);
    expect(settleSums({ ...sent, parts: [partWith({ outMsat: 400n })] }).usedMsat).toBe(400n);
    expect(settleSums({ ...sent, parts: [] }).usedMsat).toBe(0n);
    // What is covered later by something else stays used: the approval is not for twice.
    expect(
      settleSums({ ...sent, parts: [partWith({ outMsat: 900n }), partWith({ inMsat: 900n })] }).usedMsat,
    ).toBe(900n);
    expect(settleSums(paymentWith({ approval, dustChargedMsat: 100n }, { outMsat: 900n })).usedMsat).toBe(
      800n,
    );
  });

  it('books as income what was credited and had nothing to cover, once and for good', () => {
    const forward = settleSums(paymentWith({}, { outMsat: 900n }, { inMsat: 1000n, creditMaxMsat: 1000n }));
    expect(forward).toMatchObject({ incomeMsat: 100n, usedMsat: 0n });
    const paid = settleSums(paymentWith({ creditedMsat: 1000n }));
    expect(paid.incomeMsat).toBe(1000n);
    const sent = { ...paid, parts: [partWith({ outMsat: 900n })] };
    expect(settleSums({ ...sent, approval })).toMatchObject({ incomeMsat: 1000n, usedMsat: 900n });
    // Of no approval nothing is used, or income would grow by what it leaves uncovered, without end.
    expect(settleSums(sent)).toMatchObject({ incomeMsat: 1000n, usedMsat: 0n });
    // What our own approval pays for covers nothing of the credit: a rebalance brings it back.
    const rebalance = settleSums(
      paymentWith({ approval, usedMsat: 900n }, { outMsat: 900n }, { inMsat: 890n, creditMaxMsat: 890n }),
    );
    expect(rebalance.incomeMsat).toBe(890n);
    const same = paymentWith({}, { outMsat: 5n, inMsat: 5n });
    expect(settleSums(same)).toBe(same);
  });

  it('is retired when nothing of it is left that could matter', () => {
    expect(isRetired(paymentWith({}))).toBe(true);
    expect(isRetired(paymentWith({}, {}))).toBe(false);
    expect(isRetired(paymentWith({ approval }))).toBe(false);
    expect(isRetired(paymentWith({ invoice: { amountMsat: null, expiresAtSeconds: 0 } }))).toBe(false);
    expect(isRetired(paymentWith({ settledMsat: 9n, creditedMsat: 10n, incomeMsat: 1n }))).toBe(true);
    expect(isRetired(paymentWith({ settledMsat: 10n, creditedMsat: 10n, incomeMsat: 1n }))).toBe(false);
    expect(
      isRetired(paymentWith({ settledMsat: 10n, creditedMsat: 10n, incomeMsat: 1n, dustChargedMsat: 1n })),
    ).toBe(true);
  });

  it('never lets a deficit go by bringing the sums up to date, whatever the record', () => {
    const amount = fc.bigInt(0n, 2000n);
    const anyPart = fc.record({ outMsat: amount, inMsat: amount, creditMaxMsat: amount });
    const any = fc.record({
      settledMsat: amount,
      creditedMsat: amount,
      usedMsat: amount,
      incomeMsat: amount,
      parts: fc.array(anyPart, { maxLength: 4 }),
      isApproved: fc.boolean(),
    });
    fc.assert(
      fc.property(any, ({ parts, isApproved, ...fields }) => {
        const payment = paymentWith({ ...fields, approval: isApproved ? approval : null }, ...parts);
        const settled = settleSums(payment);
        expect(deficitMsat(settled, 0)).toBeGreaterThanOrEqual(deficitMsat(payment, 0));
        expect(settled.incomeMsat).toBeGreaterThanOrEqual(payment.incomeMsat);
        expect(settled.usedMsat).toBeLessThanOrEqual(larger(outMsat(settled), payment.usedMsat));
      }),
      { numRuns: 500 },
    );
  });
});
