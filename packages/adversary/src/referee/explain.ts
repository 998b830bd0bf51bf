/**
 * From one commitment to the next: which HTLCs came and went, and whether those that went were paid or given back. No
 * message tells; it is read from what became of the owner's balance.
 */
import { addTallies, type HtlcAtStake, NO_TALLY, type Tally } from './problem.ts';

export interface Described {
  readonly directSat: number;
  readonly htlcs: readonly HtlcAtStake[];
}

export interface Explanation {
  /** What the difference adds to the tallies, by hash. */
  readonly tallies: ReadonlyMap<string, Tally>;
  /** What no HTLC explains, to the owner's disadvantage when negative. */
  readonly residualSat: number;
}

/** More HTLCs that went at once than this are not tried in every combination. */
const TRIED_MAX = 10;

/** `isKnown`: whether the owner could know the preimage; where a difference can be read in two ways, that decides. */
export function explainStep(
  before: Described,
  after: Described,
  isKnown: (hash: string) => boolean,
): Explanation {
  const { added, removed } = compare(before.htlcs, after.htlcs);
  let expectedSat = after.directSat - before.directSat;
  for (const { direction, valueSat } of added) if (direction === 'offered') expectedSat += valueSat;
  // Of each removed one: did its value come to the owner?
  const predicted = removed.map(({ direction, hash }) => (direction === 'received') === isKnown(hash));
  const toleranceSat = removed.length + added.length + 2;
  const best = choose(removed, predicted, expectedSat, toleranceSat);
  return { tallies: talliesOf(removed, best.comes), residualSat: best.residualSat };
}

function compare(before: readonly HtlcAtStake[], after: readonly HtlcAtStake[]) {
  const key = ({ hash, direction, valueSat, expiryBlocks }: HtlcAtStake) =>
    `${hash}${direction}${valueSat} ${expiryBlocks}`;
  const left = new Map<string, number>();
  for (const htlc of before) left.set(key(htlc), (left.get(key(htlc)) ?? 0) + 1);
  const added = after.filter((htlc) => {
    const count = left.get(key(htlc)) ?? 0;
    if (count > 0) left.set(key(htlc), count - 1);
    return count === 0;
  });
  const removed = before.filter((htlc) => {
    const count = left.get(key(htlc)) ?? 0;
    if (count > 0) left.set(key(htlc), count - 1);
    return count > 0;
  });
  return { added, removed };
}

interface Choice {
  readonly comes: readonly boolean[];
  readonly residualSat: number;
}

/** The predicted reading where it fits; else the one that fits best, of those as near to the predicted one as can be. */
function choose(
  removed: readonly HtlcAtStake[],
  predicted: readonly boolean[],
  expectedSat: number,
  toleranceSat: number,
): Choice {
  const residual = (comes: readonly boolean[]) =>
    removed.reduce((rest, { valueSat }, i) => (comes[i] === true ? rest - valueSat : rest), expectedSat);
  let best: Choice = { comes: predicted, residualSat: residual(predicted) };
  if (Math.abs(best.residualSat) <= toleranceSat || removed.length > TRIED_MAX) return best;
  for (let mask = 1; mask < 2 ** removed.length; mask++) {
    const comes = predicted.map((one, i) => ((mask >> i) % 2 === 1 ? !one : one));
    const residualSat = residual(comes);
    if (Math.abs(residualSat) < Math.abs(best.residualSat)) best = { comes, residualSat };
  }
  return best;
}

function talliesOf(removed: readonly HtlcAtStake[], comes: readonly boolean[]): Map<string, Tally> {
  const tallies = new Map<string, Tally>();
  removed.forEach(({ hash, direction, valueSat }, i) => {
    const isPaid = direction === 'offered' && comes[i] === false;
    const isCredited = direction === 'received' && comes[i] === true;
    if (!isPaid && !isCredited) return;
    const tally = { paidSat: isPaid ? valueSat : 0, creditedSat: isCredited ? valueSat : 0 };
    tallies.set(hash, addTallies(tallies.get(hash) ?? NO_TALLY, tally));
  });
  return tallies;
}

/**
 * Both together, without income: what comes in beyond all that went out under the hash, or still may, is the owner's for good and makes
 * good for nothing that goes out later.
 */
export function withoutIncome(earlier: Tally, step: Tally, coverableSat: number): Tally {
  const { paidSat, creditedSat } = addTallies(earlier, step);
  const coveringSat = Math.max(earlier.creditedSat, Math.min(creditedSat, coverableSat));
  return { paidSat, creditedSat: coveringSat };
}
