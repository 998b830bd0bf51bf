/** W against brute force on small cases, and on cases small enough to be told in words. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  approvedLoss,
  type HtlcAtStake,
  leastWealth,
  type Option,
  type PaymentFacts,
  type Place,
  type Problem,
  type Tally,
} from '../src/index.ts';
import { bruteForceWealth } from './brute-force.ts';

const TIMES = { heightBlocks: 100, reactBlocks: 3, graceBlocks: 2, deltaBlocks: 6 };
const HASHES = ['aa', 'bb', 'cc'];
const NOTHING_KNOWN: PaymentFacts = {
  approvedSat: 0,
  isKnown: false,
  settled: { paidSat: 0, creditedSat: 0 },
};

const tallies = fc.record({ paidSat: fc.nat(40), creditedSat: fc.nat(40) });
const htlcs: fc.Arbitrary<HtlcAtStake> = fc.record({
  hash: fc.constantFrom(...HASHES),
  direction: fc.constantFrom('offered' as const, 'received' as const),
  valueSat: fc.nat(50),
  isOwnable: fc.boolean(),
  expiryBlocks: fc.integer({ min: 95, max: 115 }),
});
const options: fc.Arbitrary<Option> = fc.record({
  name: fc.constant('an option'),
  txid: fc.constant(null),
  directSat: fc.nat(100),
  slackSat: fc.constant(0),
  htlcs: fc.array(htlcs, { maxLength: 3 }),
  tallies: fc
    .array(fc.tuple(fc.constantFrom(...HASHES), tallies), { maxLength: 2 })
    .map((list) => new Map<string, Tally>(list)),
});
const places: fc.Arbitrary<Place> = fc.record({
  name: fc.constant('a place'),
  channel: fc.constant(null),
  options: fc.array(options, { minLength: 1, maxLength: 3 }),
});
const problems: fc.Arbitrary<Problem> = fc
  .record({
    places: fc.array(places, { maxLength: 4 }),
    facts: fc.array(fc.record({ approvedSat: fc.nat(60), isKnown: fc.boolean(), settled: tallies }), {
      minLength: 3,
      maxLength: 3,
    }),
    baseSat: fc.nat(1000),
  })
  .map(({ places: list, facts, baseSat }) => ({
    times: TIMES,
    baseSat,
    places: list,
    paymentOf: (hash) => facts[HASHES.indexOf(hash)]!,
  }));

const htlc = (
  hash: string,
  direction: HtlcAtStake['direction'],
  valueSat: number,
  expiryBlocks: number,
): HtlcAtStake => ({ hash, direction, valueSat, expiryBlocks, isOwnable: true });
const place = (...list: (Partial<Option> & { directSat: number })[]): Place => ({
  name: 'channel',
  channel: null,
  options: list.map((one, i) => ({
    name: `commitment ${i}`,
    txid: null,
    slackSat: 0,
    htlcs: [],
    tallies: new Map(),
    ...one,
  })),
});
const problemOf = (
  list: readonly Place[],
  facts: Readonly<Record<string, Partial<PaymentFacts>>> = {},
): Problem => ({
  times: TIMES,
  baseSat: 0,
  places: list,
  paymentOf: (hash) => ({ ...NOTHING_KNOWN, ...facts[hash] }),
});
const wealthOf = (problem: Problem) => leastWealth(problem).wealthSat;

describe('W', () => {
  it('is what trying every strategy finds', () => {
    fc.assert(
      fc.property(problems, (problem) => {
        expect(leastWealth(problem).wealthSat).toBe(bruteForceWealth(problem));
      }),
      { numRuns: 3000 },
    );
  });

  it('is reached by the strategy that it names', () => {
    fc.assert(
      fc.property(problems, (problem) => {
        const { choices, wealthSat } = leastWealth(problem);
        const chosen = problem.places.map(({ name, options: all }, i) => ({
          name,
          channel: null,
          options: [all[choices[i]!]!],
        }));
        expect(bruteForceWealth({ ...problem, places: chosen })).toBe(wealthSat);
      }),
      { numRuns: 1000 },
    );
  });

  it('takes the commitment that leaves the owner least', () => {
    expect(wealthOf(problemOf([place({ directSat: 900 }, { directSat: 300 })]))).toBe(300);
  });

  it('loses an offered HTLC that no approval and no received one covers', () => {
    const offered = place({ directSat: 600, htlcs: [htlc('aa', 'offered', 400, 120)] });
    expect(wealthOf(problemOf([offered]))).toBe(600);
    expect(wealthOf(problemOf([offered], { aa: { approvedSat: 500 } }))).toBe(1000);
  });

  it('covers a forward by a received HTLC that expires late enough, and by no other', () => {
    const forward = (expiryBlocks: number) =>
      problemOf([
        place({ directSat: 600, htlcs: [htlc('aa', 'offered', 400, 120)] }),
        place({ directSat: 0, htlcs: [htlc('aa', 'received', 410, expiryBlocks)] }),
      ]);
    expect(wealthOf(forward(126))).toBe(1000);
    expect(wealthOf(forward(125))).toBe(600);
  });

  it('counts no received HTLC that covers nothing: its sender may take it back', () => {
    const received = place({ directSat: 10, htlcs: [htlc('aa', 'received', 400, 200)] });
    expect(wealthOf(problemOf([received], { aa: { isKnown: true } }))).toBe(10);
  });

  it('does not let one approval pay twice', () => {
    const settled = { paidSat: 400, creditedSat: 0 };
    const facts = { aa: { approvedSat: 400, settled } };
    const again = place({ directSat: 200, htlcs: [htlc('aa', 'offered', 400, 120)] });
    // The base holds 400 for the first payment; the second HTLC adds nothing.
    expect(approvedLoss({ ...NOTHING_KNOWN, ...facts.aa })).toBe(400);
    expect(wealthOf(problemOf([again], facts))).toBe(200);
  });
});
