/**
 * Which of the HTLCs that left did their value come to us from? The visible balance says how much came; of several
 * choices that give exactly that, the likely one is taken, and what fits none is left to drift. Bounded search.
 */
import { sumMsat } from './htlc-set.ts';
import type { Observed } from './observe.ts';

export interface Gain {
  readonly amountMsat: bigint;
  /** Taken first where the balance allows it. */
  readonly isLikely: boolean;
}

/** Branches tried before the search settles for the nearest of the plain answers. */
const BRANCHES_MAX = 20_000;

/** `leastMsat`: our balance without any of the gains. */
export function chooseGains<G extends Gain>(
  gains: readonly G[],
  leastMsat: bigint,
  observed: Observed,
): ReadonlySet<G> {
  const likely = gains.filter(({ isLikely }) => isLikely);
  if (gains.length === 0) return new Set();
  if (observed.holderSat === null) return fitting(likely, hiddenMaxMsat(observed) - leastMsat);
  const seenMsat = observed.holderSat * 1000n;
  const plain = [likely, gains, []];
  // Exact: rounded down to the satoshi, it is what the output shows.
  const restOf = (chosen: readonly G[]) => seenMsat - leastMsat - sumMsat(chosen);
  const isExact = (restMsat: bigint) => restMsat <= 0n && restMsat > -1000n;
  const targetMsat = seenMsat - leastMsat;
  const exact =
    plain.find((chosen) => isExact(restOf(chosen))) ??
    search(gains, targetMsat) ??
    // Where dust moved before, the fraction of a satoshi we had is not known: up to one more may show now.
    search(gains, targetMsat - 999n);
  if (exact !== null) return new Set(exact);
  return new Set(nearest(gains, targetMsat, observed.poolMsat));
}

/** Dust comes and goes beside: an unlikely answer must leave more than an HTLC of it less to explain (CLN trims at 546). */
const UNLIKELY_MSAT = 600_000n;

/**
 * Dust moved too: the answer that leaves least to explain and does not claim more than can be missing, the likely one
 * where it is near enough. Among many gains the search may end early.
 */
function nearest<G extends Gain>(gains: readonly G[], targetMsat: bigint, poolMsat: bigint): readonly G[] {
  const order = inOrder(gains);
  const likely = order.filter(({ isLikely }) => isLikely);
  let best: readonly G[] = [];
  let bestMsat: bigint | null = null;
  const weigh = (chosen: readonly G[], missingMsat: bigint) => {
    if (-missingMsat > poolMsat) return;
    const sizeMsat = missingMsat < 0n ? -missingMsat : missingMsat;
    const likelyChosen = chosen.filter(({ isLikely }) => isLikely).length;
    const odd = likely.length - likelyChosen + (chosen.length - likelyChosen);
    const weightMsat = sizeMsat + BigInt(odd) * UNLIKELY_MSAT;
    if (bestMsat !== null && weightMsat >= bestMsat) return;
    [best, bestMsat] = [chosen, weightMsat];
  };
  let branches = 0;
  const visit = (at: number, missingMsat: bigint, chosen: readonly G[]) => {
    weigh(chosen, missingMsat);
    branches += 1;
    const next = order[at];
    // From here on every gain leads further beyond the target.
    if (next === undefined || missingMsat <= 0n || branches > BRANCHES_MAX) return;
    visit(at + 1, missingMsat - next.amountMsat, [...chosen, next]);
    visit(at + 1, missingMsat, chosen);
  };
  weigh(likely, targetMsat - sumMsat(likely));
  visit(0, targetMsat, []);
  return best;
}

/** The likely ones first, among them the large ones. */
function inOrder<G extends Gain>(gains: readonly G[]): readonly G[] {
  return [...gains].sort((a, b) =>
    a.isLikely !== b.isLikely ? (a.isLikely ? -1 : 1) : a.amountMsat > b.amountMsat ? -1 : 1,
  );
}

/** The most our balance can be without an output: below the bound, and not what the outputs show to be elsewhere. */
function hiddenMaxMsat({ holderBoundSat, poolMsat }: Observed): bigint {
  const boundMsat = holderBoundSat * 1000n;
  return poolMsat < boundMsat ? poolMsat : boundMsat;
}

/**
 * Without an output of ours our balance is at most `hiddenMaxMsat`: what would lift it above did not come to us, however likely
 * (nodes fail HTLCs of invoices whose preimage they know: MPP timeout, wrong secret, paid already).
 */
function fitting<G extends Gain>(likely: readonly G[], roomMsat: bigint): ReadonlySet<G> {
  const chosen = new Set<G>();
  let restMsat = roomMsat;
  for (const one of likely) {
    if (one.amountMsat > restMsat) continue;
    restMsat -= one.amountMsat;
    chosen.add(one);
  }
  return chosen;
}

/** A subset with a sum in [target, target + 999], or null: depth first, the likely and the large ones first. */
function search<G extends Gain>(gains: readonly G[], targetMsat: bigint): readonly G[] | null {
  const order = inOrder(gains);
  const rest = suffixSums(order);
  let branches = 0;
  const visit = (at: number, missingMsat: bigint, chosen: readonly G[]): readonly G[] | null => {
    if (missingMsat <= 0n && missingMsat > -1000n) return chosen;
    branches += 1;
    const next = order[at];
    if (next === undefined || missingMsat <= 0n || branches > BRANCHES_MAX) return null;
    if (missingMsat - rest[at]! > 0n) return null;
    const taken = visit(at + 1, missingMsat - next.amountMsat, [...chosen, next]);
    return taken ?? visit(at + 1, missingMsat, chosen);
  };
  return visit(0, targetMsat, []);
}

/** `sums[i]`: all from `i` on. */
function suffixSums(gains: readonly Gain[]): readonly bigint[] {
  const sums: bigint[] = [];
  let total = 0n;
  for (let i = gains.length - 1; i >= 0; i--) {
    total += gains[i]!.amountMsat;
    sums[i] = total;
  }
  return sums;
}
