/**
 * The worst that the attacker can make of one payment hash, once it is fixed which transactions reach the chain. The
 * attacker knows every preimage and decides whether to show it, and when: whoever claims an offered HTLC at the last
 * moment before its expiry shows the preimage then, and the owner takes with it the received HTLCs that expire late enough.
 */
import {
  addTallies,
  approvedLoss,
  type HtlcAtStake,
  type PaymentFacts,
  type Tally,
  type Times,
} from './problem.ts';

export interface PaymentOutcome {
  /** The owner's from this payment, beyond what `approvedLoss` of the settled tallies has in the base already. */
  readonly valueSat: number;
  /** The earliest expiry at which the attacker claims; null: it never shows the preimage. */
  readonly revealBlocks: number | null;
}

/** O(n²) in the HTLCs of the hash, which are few. */
export function worstOutcome(
  htlcs: readonly HtlcAtStake[],
  tally: Tally,
  facts: PaymentFacts,
  times: Times,
): PaymentOutcome {
  const total = addTallies(tally, facts.settled);
  let worst: PaymentOutcome = { valueSat: valueWhen(null, htlcs, total, facts, times), revealBlocks: null };
  for (const htlc of htlcs) {
    if (htlc.direction !== 'offered') continue;
    const valueSat = valueWhen(htlc.expiryBlocks, htlcs, total, facts, times);
    if (valueSat < worst.valueSat) worst = { valueSat, revealBlocks: htlc.expiryBlocks };
  }
  return { valueSat: worst.valueSat - approvedLoss(facts), revealBlocks: worst.revealBlocks };
}

/**
 * The attacker claims exactly the offered HTLCs that expire at `revealBlocks` or later: claiming an earlier one as well
 * would show the preimage earlier, and leaving a later one would only give it back.
 */
function valueWhen(
  revealBlocks: number | null,
  htlcs: readonly HtlcAtStake[],
  total: Tally,
  facts: PaymentFacts,
  times: Times,
): number {
  let recoveredSat = 0;
  let lostSat = 0;
  let claimableSat = 0;
  for (const { direction, valueSat, isOwnable, expiryBlocks } of htlcs) {
    if (direction === 'offered') {
      const isClaimed = revealBlocks !== null && expiryBlocks >= revealBlocks;
      if (isClaimed || !isOwnable) lostSat += valueSat;
      else recoveredSat += valueSat;
    } else if (isOwnable && isInTime(expiryBlocks, revealBlocks, facts.isKnown, times)) {
      claimableSat += valueSat;
    }
  }
  const netSat = total.paidSat + lostSat - total.creditedSat;
  // A received HTLC counts only as far as it makes good for what went out: its own sender may still take the rest back.
  const madeGoodSat = Math.min(claimableSat, Math.max(0, netSat));
  const approvedSat = Math.min(facts.approvedSat, Math.max(0, netSat - madeGoodSat));
  return recoveredSat + madeGoodSat + approvedSat;
}

/** Whether a received HTLC can be claimed before its expiry with what the owner knows by then. */
function isInTime(
  expiryBlocks: number,
  revealBlocks: number | null,
  isKnown: boolean,
  times: Times,
): boolean {
  const { heightBlocks, reactBlocks, graceBlocks, deltaBlocks } = times;
  if (isKnown) return expiryBlocks >= heightBlocks + reactBlocks;
  if (revealBlocks === null) return false;
  // An offered HTLC past its expiry can be claimed until the owner's timeout is confirmed, which it should be by now.
  return expiryBlocks >= Math.max(revealBlocks, heightBlocks - graceBlocks) + deltaBlocks;
}
