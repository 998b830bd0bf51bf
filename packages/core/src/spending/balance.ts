/**
 * Our balance in a funding: the most or the least that any commitment gives us which may reach the chain. Law 2 keeps it
 * for every commitment, before the fee where we pay it; our next one, not judged yet, does not count.
 */
import { type Msat, msat, msatToSatFloor, type Sat } from '@countersign/bitcoin';
import type { CommitmentContent, FundingCandidate } from '../channel/record.ts';

/** Null: law 2 has not judged this commitment yet. */
export const holderMsatOf = ({ ledger }: CommitmentContent): Msat | null => ledger?.holderMsat ?? null;

const ascending = (amounts: readonly bigint[]): readonly bigint[] =>
  amounts.toSorted((a, b) => (a < b ? -1 : 1));

/** Zero where there are none. */
export const largest = (amounts: readonly bigint[]): bigint => ascending(amounts).at(-1) ?? 0n;

function balancesOf({ validated, issued }: FundingCandidate): readonly bigint[] {
  return [...validated, ...issued].flatMap((content) => holderMsatOf(content) ?? []);
}

/** Whole satoshis; nothing where there is no commitment. */
export function largestBalanceSat(candidate: FundingCandidate): Sat {
  return msatToSatFloor(msat(largest(balancesOf(candidate))));
}

/** Whole satoshis; nothing where there is no commitment. */
export function smallestBalanceSat(candidate: FundingCandidate): Sat {
  return msatToSatFloor(msat(ascending(balancesOf(candidate))[0] ?? 0n));
}
