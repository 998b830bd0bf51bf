/**
 * Which received HTLCs must have brought their amount to us as they leave one view: what the other view has credited, which is known as a
 * sum for each hash, and what has released a preimage. More of one hash may come than its payee takes.
 */
import type { HtlcRecord } from '../channel/record.ts';
import type { Knowledge } from './explain.ts';
import { HtlcBag, hashHex } from './htlc-set.ts';

/** Sums that are looked at; beyond them the largest that fit are due. */
const SUMS_MAX = 1024;

/** Received HTLCs: what left, and what still stands of those that were there before. */
export interface Leaving {
  readonly knowledge: Pick<Knowledge, 'owedMsat' | 'mustCredit'>;
  readonly left: readonly HtlcRecord[];
  readonly standing: readonly HtlcRecord[];
}

export function dueOf({ knowledge, left, standing }: Leaving): ReadonlySet<HtlcRecord> {
  const due = new Set<HtlcRecord>();
  const standingByHash = byHash(standing);
  for (const [hash, some] of byHash(left)) {
    const { paymentHash } = some[0]!;
    const owedMsat = knowledge.owedMsat(paymentHash);
    const largestFirst = [...some].sort((a, b) => Number(b.amountMsat - a.amountMsat));
    const owed = leastOf(some, standingByHash.get(hash) ?? [], owedMsat) ?? fitting(largestFirst, owedMsat);
    for (const htlc of owed) due.add(htlc);
    if (owed.length === 0 && knowledge.mustCredit(paymentHash)) due.add(largestFirst.at(-1)!);
  }
  return due;
}

function byHash(htlcs: readonly HtlcRecord[]): ReadonlyMap<string, readonly HtlcRecord[]> {
  return Map.groupBy(htlcs, ({ paymentHash }) => hashHex(paymentHash));
}

/** Those of `before` that `after` still has. */
export function stillThere(before: readonly HtlcRecord[], after: readonly HtlcRecord[]): HtlcRecord[] {
  const bag = new HtlcBag(before);
  return after.filter((htlc) => bag.take(htlc));
}

/**
 * What was credited elsewhere are HTLCs of this hash, some of which may still stand here: those are owed when they leave. So much is
 * due of what left as no choice of what stands takes over. Null where no choice comes to what is owed, or there are too many.
 */
function leastOf(
  left: readonly HtlcRecord[],
  standing: readonly HtlcRecord[],
  owedMsat: bigint,
): readonly HtlcRecord[] | null {
  const taken = sumsUpTo(standing, owedMsat);
  const choices = sumsUpTo(left, owedMsat);
  if (taken === null || choices === null) return null;
  let least: bigint | null = null;
  for (const sumMsat of choices.keys())
    if (taken.has(owedMsat - sumMsat) && (least === null || sumMsat < least)) least = sumMsat;
  return least === null ? null : choices.get(least)!;
}

/** Every sum of some of them up to a bound, with which it is. */
function sumsUpTo(
  htlcs: readonly HtlcRecord[],
  boundMsat: bigint,
): ReadonlyMap<bigint, readonly HtlcRecord[]> | null {
  const sums = new Map<bigint, readonly HtlcRecord[]>([[0n, []]]);
  for (const htlc of htlcs) {
    for (const [sumMsat, some] of [...sums]) {
      const moreMsat = sumMsat + htlc.amountMsat;
      if (moreMsat <= boundMsat && !sums.has(moreMsat)) sums.set(moreMsat, [...some, htlc]);
    }
    if (sums.size > SUMS_MAX) return null;
  }
  return sums;
}

function fitting(largestFirst: readonly HtlcRecord[], owedMsat: bigint): readonly HtlcRecord[] {
  let restMsat = owedMsat;
  return largestFirst.filter(({ amountMsat }) => {
    if (amountMsat > restMsat) return false;
    restMsat -= amountMsat;
    return true;
  });
}
