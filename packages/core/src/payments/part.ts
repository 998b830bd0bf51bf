/**
 * One channel's part of a payment: the worst that any commitment which could reach the chain makes of it. Outgoing the
 * most, incoming the least; what stands and what is done count together, so that a fulfilment moves nothing.
 */
import { larger, smaller } from '@countersign/bitcoin';
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
  /** Nothing of the hash stands or is on its way in any commitment, and both views agree on what it came to. */
  readonly isOver: boolean;
  /** The peer offers an HTLC of this hash in some commitment, covering or not. */
  readonly hasIncoming: boolean;
  /** The most that any commitment, or the revoked past, has settled. */
  readonly settledMsat: bigint;
}

/** As it is stored. */
const timed = ({ cltvExpiry, amountMsat }: TimedAmount): TimedAmount => ({ cltvExpiry, amountMsat });

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
  let outgoing: readonly TimedAmount[] = [];
  let incoming: readonly TimedAmount[] = [];
  let mostOffered = 0n;
  let isQuiet = true;
  let hasIncoming = false;
  for (const commitment of live) {
    const sums: Readonly<HashSums> = sumsAt(sumsOf(commitment, receivedMaxMsat), hash);
    const isHolder = commitment.view === 'holder';
    const settled = (isHolder ? base.settledHolderMsat : base.settledCounterpartyMsat) + sums.settledMsat;
    const credited = (isHolder ? base.creditedHolderMsat : base.creditedCounterpartyMsat) + sums.creditedMsat;
    settledMsat = larger(settledMsat, settled);
    outMsat = larger(outMsat, sums.offeredMsat + settled);
    inMsat = least(inMsat, sums.receivedMsat + credited);
    creditMaxMsat = larger(creditMaxMsat, credited);
    if (standingMsat === null || sums.receivedMsat < standingMsat) {
      standingMsat = sums.receivedMsat;
      incoming = sums.received;
    }
    if (sums.offeredMsat > mostOffered) {
      mostOffered = sums.offeredMsat;
      outgoing = sums.offered;
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
    outgoing: outgoing.map(timed),
    incoming: incoming.map(timed),
  };
  const agree =
    base.settledHolderMsat === base.settledCounterpartyMsat &&
    base.creditedHolderMsat === base.creditedCounterpartyMsat;
  return { part, isOver: isQuiet && agree, hasIncoming, settledMsat };
}
