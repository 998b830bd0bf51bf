/**
 * A breach: everything of a revoked commitment in as few transactions as are safe. What only we can spend until the peer's
 * delay ends goes together, so that nothing the peer publishes makes it invalid. HTLC outputs, which the peer may move to
 * the second level at any time, go apart from it, and one by one in case that it does; there the delay begins again, so
 * a moved one is not lost. What is contested by now, or costs more than it brings at the rate of the day, goes alone.
 */
import {
  type Claim,
  type Frame,
  signedWeightOf,
  spentSat,
  sweepOf,
  transactionOf,
  unclaimedOf,
  windowOf,
} from './claim.ts';
import { feeAt, feeLadder, rateAt } from './fee-ladder.ts';
import type { Remedy, Unclaimed } from './remedy.ts';

/** Bitcoin Core relays up to 400,000; the rest is for what another signer of the same plan might add. */
const WEIGHT_MAX = 390_000;

interface Groups {
  /** Nobody else can spend them now. */
  readonly safe: readonly Claim[];
  readonly movable: readonly Claim[];
  readonly alone: readonly Claim[];
}

export function justiceOf(
  frame: Frame,
  claims: readonly Claim[],
): { readonly remedies: readonly Remedy[]; readonly unclaimed: readonly Unclaimed[] } {
  const { safe, movable, alone } = groupsOf(frame, claims);
  const remedies: Remedy[] = [];
  const unclaimed: Unclaimed[] = [];
  for (const group of [...chunks(frame, safe), ...chunks(frame, movable), ...alone.map((one) => [one])]) {
    const remedy = sweepOf(frame, kindOf(group), group);
    if (remedy === null) unclaimed.push(...group.map(({ of }) => unclaimedOf(of, 'below-fee')));
    else remedies.push(remedy);
  }
  if (movable.length < 2) return { remedies, unclaimed };
  const fallbacks = movable.flatMap((one) => sweepOf(frame, one.kind, [one], true) ?? []);
  return { remedies: [...remedies, ...fallbacks], unclaimed };
}

const kindOf = (group: readonly Claim[]): Remedy['kind'] =>
  group.every(({ kind }) => kind === 'to-remote') ? 'to-remote' : 'justice';

function groupsOf(frame: Frame, claims: readonly Claim[]): Groups {
  const { heightBlocks } = frame;
  const isAlone = ({ deadlineHeightBlocks, earliestHeightBlocks }: Claim) =>
    earliestHeightBlocks > heightBlocks ||
    (deadlineHeightBlocks !== null && deadlineHeightBlocks <= heightBlocks + 1);
  const others = claims.filter((one) => !isAlone(one));
  const isMovable = ({ of }: Claim) => of.role === 'htlc';
  const safe = worthIt(
    frame,
    others.filter((one) => !isMovable(one)),
  );
  const movable = worthIt(frame, others.filter(isMovable));
  const together = new Set([...safe, ...movable]);
  return { safe, movable, alone: claims.filter((one) => !together.has(one)) };
}

/** Those that bring more than they cost beside the others. */
function worthIt(frame: Frame, claims: readonly Claim[]): readonly Claim[] {
  const { limits, feerates, heightBlocks } = frame;
  const rungs = feeLadder(limits, feerates, windowOf(claims));
  const rate = rateAt(rungs, heightBlocks);
  return claims.filter((one) => spentSat([one]) > feeAt(rate, weightAddedBy(one, frame)));
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
