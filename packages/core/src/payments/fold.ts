/**
 * Fates leave the commitments for the payments' records when what came before them is revoked. While several fundings may
 * confirm, each has told its own story of the same number; the worst of them counts for each payment.
 */
import { larger, smaller } from '@countersign/bitcoin';
import type { Fate } from '../channel/record.ts';
import { hashHex } from '../ledger/htlc-set.ts';

/** What became of one payment's HTLCs in one story. */
export interface FateSums {
  readonly settledMsat: bigint;
  readonly creditedMsat: bigint;
}

/** By payment hash in hex. */
export type FoldedFates = ReadonlyMap<string, FateSums>;

const NOTHING: FateSums = { settledMsat: 0n, creditedMsat: 0n };

function sumsOfFates(fates: readonly Fate[]): FoldedFates {
  const sums = new Map<string, FateSums>();
  for (const { paymentHash, amountMsat, how } of fates) {
    const hash = hashHex(paymentHash);
    const { settledMsat, creditedMsat } = sums.get(hash) ?? NOTHING;
    sums.set(
      hash,
      how === 'settled'
        ? { settledMsat: settledMsat + amountMsat, creditedMsat }
        : { settledMsat, creditedMsat: creditedMsat + amountMsat },
    );
  }
  return sums;
}

/** For each payment the most that any of the fundings settled, and the least that any credited. */
export function worstFates(stories: readonly (readonly Fate[])[]): FoldedFates {
  const all = stories.map(sumsOfFates);
  const worst = new Map<string, FateSums>();
  for (const hash of all.flatMap((sums) => [...sums.keys()])) {
    if (worst.has(hash)) continue;
    const told = all.map((sums) => sums.get(hash) ?? NOTHING);
    worst.set(
      hash,
      told.reduce((a, b) => ({
        settledMsat: larger(a.settledMsat, b.settledMsat),
        creditedMsat: smaller(a.creditedMsat, b.creditedMsat),
      })),
    );
  }
  return worst;
}
