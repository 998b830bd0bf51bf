/**
 * A breach: everything of a revoked commitment at once, as long as one transaction can hold it, and in parts for the case
 * that the peer moves an HTLC first, which makes the whole invalid. What costs more than it brings at the rate of the day
 * goes alone, for whatever it can pay.
 */
import {
  type Claim,
  type Frame,
  minOf,
  signedWeightOf,
  spentSat,
  sweepOf,
  transactionOf,
  unclaimedOf,
} from './claim.ts';
import { feeAt, feeLadder, rateAt } from './fee-ladder.ts';
import type { Remedy, Unclaimed } from './remedy.ts';

/** Bitcoin Core relays up to 400,000; the rest is for what another signer of the same plan might add. */
const WEIGHT_MAX = 390_000;

export function justiceOf(
  frame: Frame,
  claims: readonly Claim[],
): { readonly remedies: readonly Remedy[]; readonly unclaimed: readonly Unclaimed[] } {
  const isNow = ({ earliestHeightBlocks }: Claim) => earliestHeightBlocks <= frame.heightBlocks;
  const rungs = feeLadder(frame.limits, frame.feerates, minOf(claims.map((one) => one.deadlineHeightBlocks)));
  const rate = rateAt(rungs, frame.heightBlocks);
  const isWorthIt = (one: Claim) => spentSat([one]) > feeAt(rate, weightAddedBy(one, frame));
  const together = claims.filter((one) => isNow(one) && isWorthIt(one));
  const alone = claims.filter((one) => !together.includes(one));
  const remedies: Remedy[] = [];
  const unclaimed: Unclaimed[] = [];
  for (const one of alone) {
    const remedy = sweepOf(frame, one.kind, [one]);
    if (remedy === null) unclaimed.push(unclaimedOf(one.of, 'below-fee'));
    else remedies.push(remedy);
  }
  for (const part of chunks(frame, together)) {
    const whole = sweepOf(frame, part.length === 1 ? part[0]!.kind : 'justice', part);
    if (whole === null) unclaimed.push(...part.map(({ of }) => unclaimedOf(of, 'below-fee')));
    else remedies.unshift(whole);
  }
  return { remedies: [...remedies, ...fallbacks(frame, together)], unclaimed };
}

function weightAddedBy(claim: Claim, frame: Frame): number {
  const weightOf = (claims: readonly Claim[]) =>
    signedWeightOf(
      transactionOf(claims, frame, 0n),
      claims.map(({ input }) => input),
    );
  return weightOf([claim, claim]) - weightOf([claim]);
}

/** As few as hold all of them. */
function chunks(frame: Frame, claims: readonly Claim[]): readonly (readonly Claim[])[] {
  const parts: Claim[][] = [];
  let weight = Number.POSITIVE_INFINITY;
  for (const claim of claims) {
    const added = weightAddedBy(claim, frame);
    if (weight + added > WEIGHT_MAX) {
      parts.push([]);
      weight = 1000;
    }
    parts.at(-1)!.push(claim);
    weight += added;
  }
  return parts;
}

/** The main outputs, which the peer can't touch before its delay, and each of the others by itself. */
function fallbacks(frame: Frame, claims: readonly Claim[]): readonly Remedy[] {
  const mains = claims.filter(({ of }) => of.role === 'main-holder' || of.role === 'main-counterparty');
  const rest = claims.filter((one) => !mains.includes(one));
  if (claims.length < 2) return [];
  const groups = [...(mains.length > 0 && rest.length > 0 ? [mains] : mains.map((one) => [one]))];
  for (const one of rest) groups.push([one]);
  return groups.flatMap((group) => {
    const kind = group.length === 1 ? group[0]!.kind : 'justice';
    return sweepOf(frame, kind, group, true) ?? [];
  });
}
