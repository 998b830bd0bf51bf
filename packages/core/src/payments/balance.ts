/**
 * Law 3's sum for one payment hash: out_claimable + out_settled ≤ in_secured + in_credited + approved. Pure arithmetic
 * on a payment's record.
 */
import { larger, smaller } from '@countersign/bitcoin';
import type { PaymentRecord } from '../records/payment.ts';

const positive = (value: bigint): bigint => larger(value, 0n);

/** Claimable by peers or settled, over all channels. */
export function outMsat(record: PaymentRecord): bigint {
  return record.parts.reduce((sum, part) => sum + part.outMsat, record.settledMsat);
}

/** Secured or credited, over all channels, less what has become income. Hashes of our own invoices cover nothing. */
export function coverMsat(record: PaymentRecord): bigint {
  return record.invoice === null ? positive(inMsat(record) - record.incomeMsat) : 0n;
}

/** Secured or credited, over all channels, whether or not it may cover anything. */
export function inMsat(record: PaymentRecord): bigint {
  return record.parts.reduce((sum, part) => sum + part.inMsat, record.creditedMsat);
}

/** What the approval allows; one that has expired unused allows nothing new, one in use goes on covering that. */
export function approvedMsat(record: PaymentRecord, nowSeconds: number): bigint {
  const { approval } = record;
  if (approval === null) return 0n;
  if (nowSeconds >= approval.expiresAtSeconds) return record.usedMsat;
  return approval.amountMsat === null ? 0n : approval.amountMsat + approval.feeBudgetMsat;
}

/** What goes out and nothing covers. */
export function deficitMsat(record: PaymentRecord, nowSeconds: number): bigint {
  return positive(
    outMsat(record) - coverMsat(record) - approvedMsat(record, nowSeconds) - record.dustChargedMsat,
  );
}

/** The record as if what comes in and expires at this height or before were not there. */
export function withoutEarly(record: PaymentRecord, cltvExpiry: number): PaymentRecord {
  const parts = record.parts.map((part) => {
    const early = part.incoming.filter((one) => one.cltvExpiry <= cltvExpiry);
    const earlyMsat = early.reduce((sum, { amountMsat }) => sum + amountMsat, 0n);
    return { ...part, inMsat: part.inMsat - earlyMsat };
  });
  return { ...record, parts };
}

/**
 * The record with its cumulative sums brought up to date: what of the approval is used, and what was credited beyond
 * what it had to cover, which is income for good.
 */
export function settleSums(record: PaymentRecord): PaymentRecord {
  const out = outMsat(record);
  // Of no approval nothing is used, whatever was let go without cover.
  const uncovered =
    record.approval === null ? 0n : positive(out - coverMsat(record) - record.dustChargedMsat);
  const usedMsat = larger(smaller(record.usedMsat, out), uncovered);
  const credited = record.parts.reduce((sum, part) => sum + part.creditMaxMsat, record.creditedMsat);
  const surplus = credited - positive(out - usedMsat);
  const incomeMsat = larger(surplus, record.incomeMsat);
  return usedMsat === record.usedMsat && incomeMsat === record.incomeMsat
    ? record
    : { ...record, usedMsat, incomeMsat };
}

/** What went out was covered by what came in. */
export const isSquare = ({
  settledMsat,
  creditedMsat,
  incomeMsat,
  dustChargedMsat,
}: PaymentRecord): boolean => settledMsat <= creditedMsat - incomeMsat + dustChargedMsat;

/** Nothing of it is left that could matter: no part, no approval, no invoice of ours, no tombstone of a payment. */
export function isRetired(record: PaymentRecord): boolean {
  const { parts, approval, invoice } = record;
  return parts.length === 0 && approval === null && invoice === null && isSquare(record);
}
