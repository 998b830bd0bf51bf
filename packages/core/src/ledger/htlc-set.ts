/**
 * HTLCs of a commitment as a multiset: two may be equal in every field (BOLT 2). Keys and sums are computed once for
 * each stored object, so that a step over hundreds of unchanged HTLCs costs no more than looking them up.
 */
import { equalBytes, toHex } from '@countersign/bitcoin';
import type { HtlcRecord } from '../channel/record.ts';

const hashHexes = new WeakMap<Uint8Array, string>();

/** A payment hash in hex, the id of its payment record. */
export function hashHex(paymentHash: Uint8Array): string {
  let hex = hashHexes.get(paymentHash);
  if (hex === undefined) {
    hex = toHex(paymentHash);
    hashHexes.set(paymentHash, hex);
  }
  return hex;
}

const keys = new WeakMap<HtlcRecord, string>();

/** All four fields: direction, amount, hash, expiry. */
export function htlcKey(htlc: HtlcRecord): string {
  let key = keys.get(htlc);
  if (key === undefined) {
    const side = htlc.offeredBy === 'holder' ? 'o' : 'r';
    key = `${side} ${htlc.amountMsat} ${hashHex(htlc.paymentHash)} ${htlc.cltvExpiry}`;
    keys.set(htlc, key);
  }
  return key;
}

export class HtlcBag {
  readonly #entries = new Map<string, HtlcRecord[]>();

  constructor(htlcs: readonly HtlcRecord[]) {
    for (const htlc of htlcs) {
      const key = htlcKey(htlc);
      const equal = this.#entries.get(key);
      if (equal === undefined) this.#entries.set(key, [htlc]);
      else equal.push(htlc);
    }
  }

  /** Removes one equal to `htlc`; false when there is none. */
  take(htlc: HtlcRecord): boolean {
    const equal = this.#entries.get(htlcKey(htlc));
    return equal !== undefined && equal.pop() !== undefined;
  }

  /** What was not taken. */
  rest(): readonly HtlcRecord[] {
    return [...this.#entries.values()].flat();
  }
}

export interface HtlcChanges {
  readonly added: readonly HtlcRecord[];
  /** Visible before and not now. */
  readonly gone: readonly HtlcRecord[];
  /** Known and invisible before, and not visible now either. */
  readonly hidden: readonly HtlcRecord[];
}

/** From one commitment's HTLCs, visible and trimmed, to the visible ones of the next. */
export function compareHtlcs(
  visible: readonly HtlcRecord[],
  trimmed: readonly HtlcRecord[],
  next: readonly HtlcRecord[],
): HtlcChanges {
  // The same objects first, which is what most of a next commitment is made of; what is left is few.
  const same = new Set(visible);
  const others = next.filter((htlc) => !same.delete(htlc));
  const before = new HtlcBag([...same]);
  const hidden = new HtlcBag(trimmed);
  const added = others.filter((htlc) => !before.take(htlc) && !hidden.take(htlc));
  return { added, gone: before.rest(), hidden: hidden.rest() };
}

/** How far ahead an equal one is looked for: so many may have gone between two that stayed. */
const AHEAD_MAX = 8;

/**
 * `next` with the objects of `before` in the place of equal ones, as far as both lists keep their order: what is known of
 * an HTLC is known by its object, and one object is kept for all commitments that it stands in.
 */
export function sharingHtlcs(
  next: readonly HtlcRecord[],
  before: readonly HtlcRecord[],
): readonly HtlcRecord[] {
  let from = 0;
  return next.map((htlc) => {
    for (let at = from; at < before.length && at < from + AHEAD_MAX; at++) {
      const known = before[at]!;
      if (!isEqualHtlc(known, htlc)) continue;
      from = at + 1;
      return known;
    }
    return htlc;
  });
}

function isEqualHtlc(a: HtlcRecord, b: HtlcRecord): boolean {
  return (
    a.amountMsat === b.amountMsat &&
    a.cltvExpiry === b.cltvExpiry &&
    a.offeredBy === b.offeredBy &&
    equalBytes(a.paymentHash, b.paymentHash)
  );
}

export function sumMsat(htlcs: readonly { readonly amountMsat: bigint }[]): bigint {
  let total = 0n;
  for (const { amountMsat } of htlcs) total += amountMsat;
  return total;
}
