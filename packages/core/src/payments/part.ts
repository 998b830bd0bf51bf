/**
 * One channel's part of a payment: the worst that any commitment which could reach the chain makes of it. Outgoing the
 * most, incoming the least; what stands and what is done count together, so that a fulfilment moves nothing.
 */
import { larger, msat, smaller } from '@countersign/bitcoin';
import type { LiveCommitment } from '../channel/live.ts';
import type { PaymentPart, TimedAmount } from '../records/payment.ts';
import { type HashSums, sumsAt, sumsOf } from './sums.ts';

/** What a part keeps of the revoked past of each view. */
export type PartBase = Pick<
  PaymentPart,
  'settledHolderMsat' | 'settledCounterpartyMsat' | 'creditedHolderMsat' | 'creditedCounterpartyMsat'
>;

export const NO_BASE: PartBase = {
  settledHolderMsat: 0n,
  settledCounterpartyMsat: 0n,
  creditedHolderMsat: 0n,
  creditedCounterpartyMsat: 0n,
};

export interface PartView {
  readonly part: PaymentPart;
  /** Nothing of the hash stands or is on its way in any commitment: what each view came to is final. */
  readonly isOver: boolean;
  /** The peer offers an HTLC of this hash in some commitment, covering or not. */
  readonly hasIncoming: boolean;
  /** The most that any commitment, or the revoked past, has settled. */
  readonly settledMsat: bigint;
  /** The HTLCs of the commitment in which we offer the most. */
  readonly offered: readonly TimedAmount[];
}

const least = (a: bigint | null, b: bigint): bigint => (a === null ? b : smaller(a, b));

export function partOf(
  channel: string,
  hash: string,
  base: PartBase,
  live: readonly LiveCommitment[],
  receivedMaxMsat: bigint,
): PartView {
  let settledMsat = larger(base.settledHolderMsat, base.settledCounterpartyMsat);
  let outMsat = settledMsat;
  let inMsat: bigint | null = null;
  let standingMsat: bigint | null = null;
  let creditMaxMsat = larger(base.creditedHolderMsat, base.creditedCounterpartyMsat);
  let offered: readonly TimedAmount[] = [];
  let mostOffered = 0n;
  const outgoing: Standing[] = [];
  const incoming: Standing[] = [];
  let isQuiet = true;
  let hasIncoming = false;
  // The peer may keep its own commitment back until the HTLC has expired: without one of ours nothing is secured.
  const isOurs = live.some(({ view, isBuried }) => view === 'holder' || isBuried === true);
  for (const commitment of live) {
    const sums: Readonly<HashSums> = sumsAt(sumsOf(commitment, receivedMaxMsat), hash);
    const isHolder = commitment.view === 'holder';
    const settled = (isHolder ? base.settledHolderMsat : base.settledCounterpartyMsat) + sums.settledMsat;
    const credited = (isHolder ? base.creditedHolderMsat : base.creditedCounterpartyMsat) + sums.creditedMsat;
    settledMsat = larger(settledMsat, settled);
    outMsat = larger(outMsat, sums.offeredMsat + settled);
    inMsat = least(inMsat, isOurs ? sums.receivedMsat + credited : 0n);
    creditMaxMsat = larger(creditMaxMsat, credited);
    standingMsat = least(standingMsat, isOurs ? sums.receivedMsat : 0n);
    outgoing.push({ timelessMsat: 0n, timed: sums.offered });
    if (isOurs) incoming.push({ timelessMsat: credited, timed: sums.received });
    if (sums.offeredMsat > mostOffered) {
      mostOffered = sums.offeredMsat;
      offered = sums.offered;
    }
    if (sums.seenMsat > 0n) hasIncoming = true;
    const moves = sums.offeredMsat + sums.seenMsat + sums.settledMsat + sums.creditedMsat;
    if (moves !== 0n) isQuiet = false;
  }
  const part: PaymentPart = {
    channel,
    outMsat,
    inMsat: inMsat ?? 0n,
    standingMsat: standingMsat ?? 0n,
    creditMaxMsat,
    settledHolderMsat: base.settledHolderMsat,
    settledCounterpartyMsat: base.settledCounterpartyMsat,
    creditedHolderMsat: base.creditedHolderMsat,
    creditedCounterpartyMsat: base.creditedCounterpartyMsat,
    outgoing: worstByExpiry(outgoing, larger),
    incoming: worstByExpiry(incoming, smaller),
  };
  return { part, isOver: isQuiet, hasIncoming, settledMsat, offered };
}

/** What one commitment has of a hash: until an expiry, and for good. */
interface Standing {
  readonly timelessMsat: bigint;
  readonly timed: readonly TimedAmount[];
}

/**
 * For every expiry, the worst of all commitments counts: what expires then or later in the one that has the most of it
 * (the least). An HTLC in the place of another with the same hash and amount would not show in the totals.
 */
function worstByExpiry(
  commitments: readonly Standing[],
  worse: (a: bigint, b: bigint) => bigint,
): readonly TimedAmount[] {
  const expiries = new Set(commitments.flatMap(({ timed }) => timed.map(({ cltvExpiry }) => cltvExpiry)));
  if (expiries.size === 0) return [];
  const sums = commitments.map(({ timelessMsat, timed }) => sumsFrom(timelessMsat, timed));
  const worstFrom = (cltvExpiry: number) =>
    sums.map((sumFrom) => sumFrom(cltvExpiry)).reduce((a, b) => worse(a, b));
  const steps: TimedAmount[] = [];
  let later = worstFrom(Number.POSITIVE_INFINITY);
  for (const cltvExpiry of [...expiries].sort((a, b) => b - a)) {
    const total = worstFrom(cltvExpiry);
    if (total !== later) steps.push({ cltvExpiry, amountMsat: msat(total - later) });
    later = total;
  }
  return steps;
}

/**
 * What ends at a height or later, with what never ends. To be asked for falling heights: each amount is looked at once,
 * since a payment may have thousands of parts.
 */
export function sumsFrom(
  timelessMsat: bigint,
  amounts: readonly TimedAmount[],
): (cltvExpiry: number) => bigint {
  const latestLast = [...amounts].sort((a, b) => a.cltvExpiry - b.cltvExpiry);
  let sum = timelessMsat;
  return (cltvExpiry) => {
    for (let next = latestLast.at(-1); next !== undefined && next.cltvExpiry >= cltvExpiry; ) {
      sum += next.amountMsat;
      latestLast.pop();
      next = latestLast.at(-1);
    }
    return sum;
  };
}
