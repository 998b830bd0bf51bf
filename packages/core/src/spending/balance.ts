/**
 * Our balance in a commitment, and in a funding as the sum of its commitments that may reach the chain: the larger
 * view where a transaction spends it, the smaller where one creates it.
 */
import {
  ANCHOR_SAT,
  commitmentFeeSat,
  hasAnchors,
  type Msat,
  msat,
  msatToSatFloor,
  type Sat,
  sat,
} from '@countersign/bitcoin';
import type { ChannelSetup, CommitmentContent, FundingCandidate } from '../channel/record.ts';

/**
 * Before the commitment fee, where we pay it. Where law 2 has not judged a commitment yet, it is what the outputs say:
 * our own, and as the funder what the others leave.
 */
export function holderMsatOf(
  candidate: FundingCandidate,
  setup: ChannelSetup,
  content: CommitmentContent,
): Msat {
  if (content.ledger !== null) return content.ledger.holderMsat;
  const ours = content.toHolderSat ?? sat(0);
  if (!setup.isOutbound) return msat(ours * 1000n);
  const anchors = hasAnchors(setup.format) ? 2n * ANCHOR_SAT : 0n;
  const fee = commitmentFeeSat(setup.format, content.feeratePerKw, content.htlcs.length);
  if (content.feeratePerKw > 0) return msat((ours + fee + anchors) * 1000n);
  // CLN names no fee rate with commitment 0: what the outputs leave is the fee, and all of it ours.
  const htlcs = content.htlcs.reduce((sum, htlc) => sum + msatToSatFloor(htlc.amountMsat), 0n);
  const left = candidate.valueSat - (content.toCounterpartySat ?? 0n) - htlcs;
  return msat((left > 0n ? left : 0n) * 1000n);
}

function balancesOf(setup: ChannelSetup, candidate: FundingCandidate): readonly bigint[] {
  return [...candidate.validated, ...candidate.issued].map((content) =>
    holderMsatOf(candidate, setup, content),
  );
}

/** The most that any unrevoked commitment on it gives us, whole satoshis; nothing where there is none. */
export function largestBalanceSat(setup: ChannelSetup, candidate: FundingCandidate): Sat {
  return msatToSatFloor(msat(largest(balancesOf(setup, candidate))));
}

/** The least that any unrevoked commitment on it gives us, whole satoshis; nothing where there is none. */
export function smallestBalanceSat(setup: ChannelSetup, candidate: FundingCandidate): Sat {
  return msatToSatFloor(msat(ascending(balancesOf(setup, candidate))[0] ?? 0n));
}

const ascending = (amounts: readonly bigint[]): readonly bigint[] =>
  amounts.toSorted((a, b) => (a < b ? -1 : 1));

/** Zero where there are none. */
export const largest = (amounts: readonly bigint[]): bigint => ascending(amounts).at(-1) ?? 0n;
