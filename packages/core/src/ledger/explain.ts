/**
 * Law 2's arithmetic: does what happened to the HTLCs explain what happened to our balance? Exact where the balance is
 * visible; what no visible HTLC explains is drift. Pure numbers: the judgement and its tags are the caller's.
 */
import {
  type CommitmentFormat,
  type HtlcDirection,
  htlcTrimThresholdSat,
  msat,
  sat,
} from '@countersign/bitcoin';
import { FATES_MAX, type Fate, HTLCS_MAX, type HtlcRecord, type Ledger } from '../channel/record.ts';
import { malformed } from '../form.ts';
import { isStorableMsat } from '../records/codecs.ts';
import { compareHtlcs, HtlcBag, sumMsat } from './htlc-set.ts';
import { DUST_LIMIT_MAX_SAT, type Observed } from './observe.ts';
import { dueOf, stillThere } from './owed.ts';
import { chooseGains, type Gain } from './subset.ts';

export interface Knowledge {
  /** May an offered HTLC of this hash have been settled? Else its removal must bring the amount back. */
  readonly maySettle: (paymentHash: Uint8Array) => boolean;
  /** Is the preimage known? Decides between explanations that the balance alone does not. */
  readonly knows: (paymentHash: Uint8Array) => boolean;
  /** Does an HTLC of this hash cover an outgoing one? Its removal is more likely a fulfilment. */
  readonly backs: (paymentHash: Uint8Array) => boolean;
  /** What the other view has credited of this hash and this one has not: so much of what leaves must be credited here too. */
  readonly owedMsat: (paymentHash: Uint8Array) => bigint;
  /** Must one of the received HTLCs of this hash be credited, if any of them leaves? */
  readonly mustCredit: (paymentHash: Uint8Array) => boolean;
}

export interface Step {
  readonly before: Pick<Ledger, 'holderMsat' | 'driftMsat' | 'trimmed'>;
  readonly visibleBefore: readonly HtlcRecord[];
  readonly visible: readonly HtlcRecord[];
  readonly observed: Observed;
  readonly format: CommitmentFormat;
  readonly broadcaster: 'holder' | 'counterparty';
  /** Visible in the other view's commitments: may be invisible here, the dust limits of the two sides differ. */
  readonly elsewhere: readonly HtlcRecord[];
  readonly knowledge: Knowledge;
}

export type Explanation =
  | {
      readonly ok: true;
      readonly holderMsat: bigint;
      readonly driftMsat: bigint;
      readonly trimmed: readonly HtlcRecord[];
      /** Of this step alone. */
      readonly fates: readonly Fate[];
      readonly added: readonly HtlcRecord[];
    }
  | {
      readonly ok: false;
      /** What our balance must be at least, and what of that only an unproven settlement takes away. */
      readonly expectedMsat: bigint;
      readonly unprovenMsat: bigint;
      readonly mustCreditMsat: bigint;
    };

/** The amount below which an HTLC may have no output at this fee rate, whatever the dust limit. */
export function mayBeTrimmedBelowSat(
  format: CommitmentFormat,
  direction: HtlcDirection,
  feeratePerKw: number,
): bigint {
  return htlcTrimThresholdSat(format, direction, feeratePerKw, sat(DUST_LIMIT_MAX_SAT));
}

function mayBeTrimmed(step: Step, htlc: HtlcRecord): boolean {
  const direction = htlc.offeredBy === step.broadcaster ? 'offered' : 'received';
  return htlc.amountMsat / 1000n < mayBeTrimmedBelowSat(step.format, direction, step.observed.feeratePerKw);
}

/** HTLCs that left the list, sorted by what may have become of them. */
interface Departures {
  /** Must have brought their amount to us. */
  readonly certain: readonly HtlcRecord[];
  readonly unproven: readonly HtlcRecord[];
  readonly mustCredit: readonly HtlcRecord[];
  /** May have brought it; the likely ones are credited where the balance fits. */
  readonly possible: readonly (Gain & { readonly htlc: HtlcRecord })[];
  /** Still in flight, invisible. */
  readonly trimmed: readonly HtlcRecord[];
}

function sortDepartures(step: Step, gone: readonly HtlcRecord[], hidden: readonly HtlcRecord[]): Departures {
  const { knowledge, observed } = step;
  const elsewhere = new HtlcBag(hidden.length === 0 ? [] : step.elsewhere);
  const trimmed: HtlcRecord[] = [];
  let roomMsat = observed.poolMsat;
  const stays = (htlc: HtlcRecord) => {
    if (roomMsat < htlc.amountMsat || !mayBeTrimmed(step, htlc)) return false;
    roomMsat -= htlc.amountMsat;
    trimmed.push(htlc);
    return true;
  };
  // HTLC fees move HTLCs across the trim line when the rate changes; without them only the other view can show one.
  const feesTrim = step.format === 'static_remotekey';
  // One whose preimage is known is the first to be through when the room is not enough for all.
  const order = (htlcs: readonly HtlcRecord[]) =>
    [...htlcs].sort(
      (a, b) => Number(knowledge.knows(a.paymentHash)) - Number(knowledge.knows(b.paymentHash)),
    );
  const left = [
    ...order(hidden).filter((htlc) => !((feesTrim || elsewhere.take(htlc)) && stays(htlc))),
    ...order(gone).filter((htlc) => !(feesTrim && stays(htlc))),
  ];
  const unproven = left.filter((h) => h.offeredBy === 'holder' && !knowledge.maySettle(h.paymentHash));
  const received = left.filter((h) => h.offeredBy === 'counterparty');
  const mustCredit =
    received.length === 0
      ? []
      : [...dueOf({ knowledge, left: received, standing: standingOf(step, trimmed) })];
  const certain = [...unproven, ...mustCredit];
  const isCertain = new Set(certain);
  const possible = left
    .filter((htlc) => !isCertain.has(htlc))
    .map((htlc) => ({
      htlc,
      amountMsat: htlc.amountMsat,
      isLikely:
        htlc.offeredBy === 'counterparty'
          ? knowledge.knows(htlc.paymentHash) || knowledge.backs(htlc.paymentHash)
          : !knowledge.knows(htlc.paymentHash),
    }));
  // What could still be in flight may have come back too, if the balance says so: sooner than that one was credited
  // whose preimage nobody knows.
  const returned = trimmed.map((htlc) => ({ htlc, amountMsat: htlc.amountMsat, isLikely: false }));
  return { certain, unproven, mustCredit, possible: [...returned, ...possible], trimmed };
}

/**
 * What is in flight and invisible. What came back has left room: a received one that was taken for failed, for want of
 * room, may be in flight all the same.
 */
function stillTrimmed(step: Step, left: Departures, gained: ReadonlySet<HtlcRecord>): readonly HtlcRecord[] {
  const trimmed = left.trimmed.filter((htlc) => !gained.has(htlc));
  if (step.format !== 'static_remotekey' || trimmed.length === left.trimmed.length) return trimmed;
  let roomMsat = step.observed.poolMsat - sumMsat(trimmed);
  const known = new Set(left.trimmed);
  for (const { htlc } of left.possible) {
    if (htlc.offeredBy === 'holder' || gained.has(htlc) || known.has(htlc)) continue;
    if (htlc.amountMsat > roomMsat || !mayBeTrimmed(step, htlc)) continue;
    roomMsat -= htlc.amountMsat;
    trimmed.push(htlc);
  }
  return trimmed;
}

/** Received, here before and still here, with an output or without. */
function standingOf({ before, visibleBefore, visible }: Step, trimmed: readonly HtlcRecord[]): HtlcRecord[] {
  const there = stillThere([...visibleBefore, ...before.trimmed], visible);
  return [...there, ...trimmed].filter(({ offeredBy }) => offeredBy === 'counterparty');
}

function fatesOf(left: Departures, gained: ReadonlySet<HtlcRecord>): readonly Fate[] {
  const fates: Fate[] = [];
  const note = (htlc: HtlcRecord, isOurs: boolean) => {
    const { paymentHash, amountMsat, offeredBy } = htlc;
    if (offeredBy === 'holder' && !isOurs) fates.push({ paymentHash, amountMsat, how: 'settled' });
    if (offeredBy === 'counterparty' && isOurs) fates.push({ paymentHash, amountMsat, how: 'credited' });
  };
  const inFlight = new Set(left.trimmed);
  for (const htlc of left.certain) note(htlc, true);
  for (const { htlc } of left.possible) {
    if (gained.has(htlc) || !inFlight.has(htlc)) note(htlc, gained.has(htlc));
  }
  return fates;
}

/**
 * Small HTLCs of the other view that explain what was lost here, now or before: offered by us, trimmed in this one, and
 * still in flight. CLN shows them in our commitment only after the peer's, where they are trimmed, was signed.
 */
function hiddenHere(step: Step, known: readonly HtlcRecord[], lostMsat: bigint): readonly HtlcRecord[] {
  const small = step.elsewhere.filter((htlc) => htlc.offeredBy === 'holder' && mayBeTrimmed(step, htlc));
  if (lostMsat <= 0n || small.length === 0) return [];
  const bag = new HtlcBag([...known, ...step.visible, ...step.visibleBefore, ...step.before.trimmed]);
  const found: HtlcRecord[] = [];
  let rest = lostMsat + 999n;
  let roomMsat = step.observed.poolMsat - sumMsat(known);
  for (const htlc of small) {
    if (bag.take(htlc) || htlc.amountMsat > rest || htlc.amountMsat > roomMsat) continue;
    rest -= htlc.amountMsat;
    roomMsat -= htlc.amountMsat;
    found.push(htlc);
  }
  return found;
}

/**
 * What is invisible is known only as a sum, so an offered HTLC that was taken for hidden may have been other dust. Where
 * the books do not come out even with such HTLCs, because one shows as new or went without a preimage, they are tried
 * without: what they stood for is drift, and counts as dust outflow.
 *
 * An attacker may so let an HTLC vanish unpaid that was visible, and covered by an incoming one, before a fee rate hid it. He
 * gains what any dust lets him, part (c) of the promise, and no more: with each step our balance, the HTLCs that we offer and
 * what is proven settled change by the drift alone. So the amount that law 3 stops counting is the one that the budget of
 * dust outflow is charged with, and beyond the budget the step is refused.
 */
export function explain(step: Step): Explanation {
  const known = explainWith(step);
  if (known.ok) return known;
  const { trimmed, driftMsat } = step.before;
  const shown = new HtlcBag(step.visible);
  for (const htlc of step.visibleBefore) shown.take(htlc);
  const doubtful = new Set(
    trimmed.filter(
      (htlc) =>
        htlc.offeredBy === 'holder' && (shown.take(htlc) || !step.knowledge.maySettle(htlc.paymentHash)),
    ),
  );
  if (doubtful.size === 0) return known;
  const before = {
    ...step.before,
    trimmed: trimmed.filter((htlc) => !doubtful.has(htlc)),
    driftMsat: driftMsat - sumMsat([...doubtful]),
  };
  const without = explainWith({ ...step, before });
  return without.ok ? without : known;
}

function explainWith(step: Step): Explanation {
  const { before, observed } = step;
  const { added, gone, hidden } = compareHtlcs(step.visibleBefore, before.trimmed, step.visible);
  const left = sortDepartures(step, gone, hidden);
  const offered = added.filter((htlc) => htlc.offeredBy === 'holder');
  const leastMsat = before.holderMsat - sumMsat(offered) + sumMsat(left.certain);
  const gains = chooseGains(left.possible, leastMsat, observed);
  const gained = new Set(left.possible.filter((one) => gains.has(one)).map(({ htlc }) => htlc));
  const explainedMsat = leastMsat + sumMsat([...gained]);
  const seenMsat = seenBalanceMsat(observed, explainedMsat);
  const lossMsat = explainedMsat - seenMsat;
  // What we lost must still be there, in the fee: in flight. What is not went to the peer.
  const roomMsat = observed.poolMsat - (observed.holderSat === null ? seenMsat : 0n);
  if (explainedMsat < 0n || lossMsat > roomMsat) {
    const unprovenMsat = sumMsat(left.unproven);
    return {
      ok: false,
      expectedMsat: leastMsat,
      unprovenMsat,
      mustCreditMsat: sumMsat(left.mustCredit),
    };
  }
  const trimmed = stillTrimmed(step, left, gained);
  const found = hiddenHere(step, trimmed, lossMsat - before.driftMsat);
  const foundMsat = sumMsat(found);
  const holderMsat = seenBalanceMsat(observed, lossMsat > 0n ? explainedMsat - foundMsat : explainedMsat);
  const driftMsat = before.driftMsat + holderMsat - explainedMsat + foundMsat;
  return {
    ok: true,
    holderMsat,
    // A fraction of a satoshi that `found` has too many is no gain.
    driftMsat: foundMsat > 0n && driftMsat > 0n ? 0n : driftMsat,
    trimmed: [...trimmed, ...found],
    fates: fatesOf(left, gained),
    added,
  };
}

/**
 * Our balance as far as it is certain: exact where the output shows what was expected, else the satoshis that are
 * shown; without an output what was expected, up to the bound.
 */
export function seenBalanceMsat(observed: Observed, expectedMsat: bigint): bigint {
  if (observed.holderSat === null) {
    const boundMsat = observed.holderBoundSat * 1000n;
    return expectedMsat > boundMsat ? boundMsat : expectedMsat < 0n ? 0n : expectedMsat;
  }
  const seenMsat = observed.holderSat * 1000n;
  return expectedMsat >= seenMsat && expectedMsat < seenMsat + 1000n ? expectedMsat : seenMsat;
}

/** A ledger as it is stored; refuses one that is too long or too large for a record, as no honest channel's is. */
export function ledgerOf(holderMsat: bigint, rest: Omit<Ledger, 'holderMsat'>): Ledger {
  const { trimmed, fates, driftMsat } = rest;
  if (trimmed.length > HTLCS_MAX || fates.length > FATES_MAX || !isStorableMsat(driftMsat)) {
    malformed('more happened between the commitments than can be kept on record', {
      htlcs_trimmed: trimmed.length,
      htlcs_ended: fates.length,
      drift_msat: driftMsat,
    });
  }
  return { holderMsat: msat(holderMsat), ...rest };
}
