/**
 * What one commitment says about each payment hash: offered and received HTLCs that stand in it, and what was settled and
 * credited on the way to it. Computed once for each stored commitment.
 */
import type { LiveCommitment } from '../channel/live.ts';
import type { CommitmentContent } from '../channel/record.ts';
import { hashHex } from '../ledger/htlc-set.ts';
import type { TimedAmount } from '../records/payment.ts';

export interface HashSums {
  offeredMsat: bigint;
  /** Only what may cover a forward: visible now or before, and within the in-flight limit. */
  receivedMsat: bigint;
  /** With what may not: whether there is an incoming HTLC at all. */
  seenMsat: bigint;
  settledMsat: bigint;
  creditedMsat: bigint;
  offered: readonly TimedAmount[];
  received: readonly TimedAmount[];
}

export type CommitmentSums = ReadonlyMap<string, HashSums>;

const NOTHING: Readonly<HashSums> = {
  offeredMsat: 0n,
  receivedMsat: 0n,
  seenMsat: 0n,
  settledMsat: 0n,
  creditedMsat: 0n,
  offered: [],
  received: [],
};

const cache = new WeakMap<CommitmentContent, { readonly limitMsat: bigint; readonly sums: CommitmentSums }>();

/** `receivedMaxMsat`: what the peer offers beyond it, in the order of the list, covers nothing. */
export function sumsOf({ content, ledger }: LiveCommitment, receivedMaxMsat: bigint): CommitmentSums {
  const known = cache.get(content);
  if (known !== undefined && known.limitMsat === receivedMaxMsat) return known.sums;
  const sums = new Map<string, HashSums>();
  const at = (hash: Uint8Array): HashSums => {
    const hex = hashHex(hash);
    let entry = sums.get(hex);
    if (entry === undefined) {
      entry = { ...NOTHING };
      sums.set(hex, entry);
    }
    return entry;
  };
  let receivedMsat = 0n;
  for (const htlc of content.htlcs) {
    const { offeredBy, paymentHash, amountMsat } = htlc;
    const entry = at(paymentHash);
    if (offeredBy === 'holder') {
      entry.offeredMsat += amountMsat;
      entry.offered = withOne(entry.offered, htlc);
      continue;
    }
    entry.seenMsat += amountMsat;
    receivedMsat += amountMsat;
    if (receivedMsat > receivedMaxMsat) continue;
    entry.receivedMsat += amountMsat;
    entry.received = withOne(entry.received, htlc);
  }
  for (const htlc of ledger.trimmed) {
    const { offeredBy, paymentHash, amountMsat } = htlc;
    const entry = at(paymentHash);
    if (offeredBy === 'counterparty') {
      // It stood here with an output and stands still: a fee rate that trims it releases nothing. Dust exposure bounds it.
      entry.seenMsat += amountMsat;
      entry.receivedMsat += amountMsat;
      entry.received = withOne(entry.received, htlc);
      continue;
    }
    entry.offeredMsat += amountMsat;
    entry.offered = withOne(entry.offered, htlc);
  }
  for (const { paymentHash, amountMsat, how } of ledger.fates) {
    const entry = at(paymentHash);
    if (how === 'settled') entry.settledMsat += amountMsat;
    else entry.creditedMsat += amountMsat;
  }
  cache.set(content, { limitMsat: receivedMaxMsat, sums });
  return sums;
}

/** Most hashes have one HTLC: for them no list is built twice. */
const withOne = (list: readonly TimedAmount[], one: TimedAmount): readonly TimedAmount[] =>
  list.length === 0 ? [one] : [...list, one];

export function sumsAt(sums: CommitmentSums, hash: string): Readonly<HashSums> {
  return sums.get(hash) ?? NOTHING;
}

function isSame(a: Readonly<HashSums>, b: Readonly<HashSums>): boolean {
  return (
    a.offeredMsat === b.offeredMsat &&
    a.receivedMsat === b.receivedMsat &&
    a.seenMsat === b.seenMsat &&
    a.settledMsat === b.settledMsat &&
    a.creditedMsat === b.creditedMsat &&
    isSameTimed(a.offered, b.offered) &&
    isSameTimed(a.received, b.received)
  );
}

function isSameTimed(a: readonly TimedAmount[], b: readonly TimedAmount[]): boolean {
  return (
    a.length === b.length &&
    a.every((one, i) => one.cltvExpiry === b[i]!.cltvExpiry && one.amountMsat === b[i]!.amountMsat)
  );
}

/** Hashes of which the two commitments say different things. */
export function differingHashes(a: CommitmentSums, b: CommitmentSums): readonly string[] {
  const differing: string[] = [];
  for (const [hash, sums] of a) if (!isSame(sums, sumsAt(b, hash))) differing.push(hash);
  for (const hash of b.keys()) if (!a.has(hash)) differing.push(hash);
  return differing;
}
