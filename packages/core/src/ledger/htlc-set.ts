/**
 * HTLCs of a commitment as a multiset: two may be equal in every field (BOLT 2). Keys and sums are computed once for
 * each stored object, so that a step over hundreds of unchanged HTLCs costs no more than looking them up.
 */
import { toHex } from '@countersign/bitcoin';
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
  const before = new HtlcBag(visible);
  const hidden = new HtlcBag(trimmed);
  const added = next.filter((htlc) => !before.take(htlc) && !hidden.take(htlc));
  return { added, gone: before.rest(), hidden: hidden.rest() };
}

export function sumMsat(htlcs: readonly { readonly amountMsat: bigint }[]): bigint {
  let total = 0n;
  for (const { amountMsat } of htlcs) total += amountMsat;
  return total;
}
