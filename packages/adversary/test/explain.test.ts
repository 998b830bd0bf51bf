/** Which HTLCs a step paid and which it gave back, read from the owner's balance. */
import { expect, it } from 'vitest';
import type { HtlcAtStake } from '../src/index.ts';
import { type Described, explainStep, withoutIncome } from '../src/referee/explain.ts';

const htlc = (hash: string, direction: HtlcAtStake['direction'], valueSat: number): HtlcAtStake => ({
  hash,
  direction,
  valueSat,
  isOwnable: true,
  expiryBlocks: 200,
});
const state = (directSat: number, ...htlcs: HtlcAtStake[]): Described => ({ directSat, htlcs });
const nobody = () => false;
const out = htlc('aa', 'offered', 300);
const other = htlc('bb', 'offered', 300);
const into = htlc('cc', 'received', 200);

it('an offered HTLC takes its value from the balance, and a failed one gives it back', () => {
  expect(explainStep(state(1000), state(700, out), nobody)).toEqual({ tallies: new Map(), residualSat: 0 });
  expect(explainStep(state(700, out), state(1000), nobody)).toEqual({ tallies: new Map(), residualSat: 0 });
});

it('an offered HTLC that went without coming back was paid', () => {
  const paid = new Map([['aa', { paidSat: 300, creditedSat: 0 }]]);
  expect(explainStep(state(700, out), state(700), nobody)).toEqual({ tallies: paid, residualSat: 0 });
});

it('a received HTLC is credited when its value came to the balance', () => {
  const credited = new Map([['cc', { paidSat: 0, creditedSat: 200 }]]);
  expect(explainStep(state(700, into), state(900), nobody)).toEqual({ tallies: credited, residualSat: 0 });
  expect(explainStep(state(700, into), state(700), nobody)).toEqual({ tallies: new Map(), residualSat: 0 });
});

it('of two readings the known preimage decides', () => {
  const settled = (hash: string) =>
    explainStep(state(700, out, other), state(1000), (one) => one === hash).tallies;
  expect([...settled('aa').keys()]).toEqual(['aa']);
  expect([...settled('bb').keys()]).toEqual(['bb']);
});

it('what no HTLC explains is left over', () => {
  expect(explainStep(state(1000), state(900), nobody).residualSat).toBe(-100);
  expect(explainStep(state(1000), state(650, out), nobody).residualSat).toBe(-50);
});

it('many at once are read as predicted', () => {
  const many = Array.from({ length: 40 }, (_, i) => htlc(`${i}`, 'offered', 100 + i));
  const { tallies, residualSat } = explainStep(state(0, ...many), state(0), () => true);
  expect(tallies.size).toBe(40);
  expect(residualSat).toBe(0);
});

it('what comes in covers what went out, and is income beyond that', () => {
  const none = { paidSat: 0, creditedSat: 0 };
  const credited = { paidSat: 0, creditedSat: 200 };
  expect(withoutIncome(none, credited, 300)).toEqual(credited);
  expect(withoutIncome(none, credited, 150)).toEqual({ paidSat: 0, creditedSat: 150 });
  expect(withoutIncome(none, credited, -50)).toEqual(none);
  // What covered something when it came stays what it is, whatever became of that.
  expect(withoutIncome(credited, { paidSat: 70, creditedSat: 10 }, 0)).toEqual({
    paidSat: 70,
    creditedSat: 200,
  });
});
