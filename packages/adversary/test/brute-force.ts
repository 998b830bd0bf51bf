/**
 * W by trying everything: every option of every place, and for every hash every set of offered HTLCs that the attacker may
 * claim, each at its own last moment. No grouping, no thresholds, no bounds.
 */
import type { HtlcAtStake, Option, PaymentFacts, Problem } from '../src/referee/problem.ts';

export function bruteForceWealth(problem: Problem): number {
  let leastSat = Number.POSITIVE_INFINITY;
  for (const options of product(problem.places.map((place) => place.options))) {
    let valueSat = problem.baseSat;
    for (const option of options) valueSat += option.directSat;
    for (const hash of hashesOf(options)) valueSat += worstOfHash(problem, hash, options);
    leastSat = Math.min(leastSat, valueSat);
  }
  return leastSat;
}

function product<T>(lists: readonly (readonly T[])[]): T[][] {
  return lists.reduce<T[][]>(
    (found, list) => found.flatMap((one) => list.map((item) => [...one, item])),
    [[]],
  );
}

function hashesOf(options: readonly Option[]): Set<string> {
  return new Set(
    options.flatMap(({ htlcs, tallies }) => [...htlcs.map(({ hash }) => hash), ...tallies.keys()]),
  );
}

function worstOfHash(problem: Problem, hash: string, options: readonly Option[]): number {
  const facts = problem.paymentOf(hash);
  const htlcs = options.flatMap((one) => one.htlcs.filter((htlc) => htlc.hash === hash));
  let { paidSat, creditedSat } = facts.settled;
  for (const { tallies } of options) {
    paidSat += tallies.get(hash)?.paidSat ?? 0;
    creditedSat += tallies.get(hash)?.creditedSat ?? 0;
  }
  const already = Math.min(facts.approvedSat, Math.max(0, facts.settled.paidSat - facts.settled.creditedSat));
  const offered = htlcs.filter(({ direction }) => direction === 'offered');
  let leastSat = Number.POSITIVE_INFINITY;
  for (let mask = 0; mask < 2 ** offered.length; mask++) {
    const claimed = offered.filter((_, i) => (mask >> i) % 2 === 1);
    const valueSat = worthOf(problem, facts, htlcs, claimed, paidSat, creditedSat);
    leastSat = Math.min(leastSat, valueSat);
  }
  return leastSat - already;
}

/** Each claim is made when its HTLC expires; the first of them shows the preimage. */
function worthOf(
  { times }: Problem,
  facts: PaymentFacts,
  htlcs: readonly HtlcAtStake[],
  claimed: readonly HtlcAtStake[],
  paidSat: number,
  creditedSat: number,
): number {
  const shownAt = Math.min(...claimed.map(({ expiryBlocks }) => expiryBlocks));
  let [backSat, goneSat, openSat] = [0, 0, 0];
  for (const htlc of htlcs) {
    if (htlc.direction === 'offered') {
      if (claimed.includes(htlc) || !htlc.isOwnable) goneSat += htlc.valueSat;
      else backSat += htlc.valueSat;
      continue;
    }
    const lastUse = facts.isKnown
      ? times.heightBlocks + times.reactBlocks
      : Math.max(shownAt, times.heightBlocks - times.graceBlocks) + times.deltaBlocks;
    if (htlc.isOwnable && htlc.expiryBlocks >= lastUse) openSat += htlc.valueSat;
  }
  const outSat = Math.max(0, paidSat + goneSat - creditedSat);
  const inSat = Math.min(openSat, outSat);
  return backSat + inSat + Math.min(facts.approvedSat, outSat - inSat);
}
