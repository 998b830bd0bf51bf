/**
 * What differs between channel types: expected weights, fees, trimming, sequence and signature hash of HTLC
 * transactions (BOLT 3 "Fees", "Trimmed Outputs"). Weights are the expected ones that fees are computed from.
 */
import type { Sat } from '../amount.ts';
import { sat } from '../amount.ts';
import { FormError } from '../error.ts';
import { SIGHASH } from '../sighash.ts';

/** `anchors` is option_anchor_outputs, whose HTLC transactions still pay fees; new channels never use it. */
export type CommitmentFormat = 'static_remotekey' | 'anchors' | 'anchors_zero_fee_htlc';

/** As the broadcaster of the commitment sees it: offered by it, or received by it. */
export type HtlcDirection = 'offered' | 'received';

/** BOLT 2: at most 483 HTLCs offered by each side. */
export const HTLC_COUNT_MAX = 966;
export const ANCHOR_SAT = sat(330);

const HTLC_OUTPUT_WEIGHT = 172;

export const hasAnchors = (format: CommitmentFormat): boolean => format !== 'static_remotekey';

function feeSat(feeratePerKw: number, weight: number): Sat {
  if (!Number.isInteger(feeratePerKw) || feeratePerKw < 0 || feeratePerKw > 0xffff_ffff)
    throw new FormError('feerate is not a 32-bit number', { feerate_per_kw: feeratePerKw });
  return sat(Math.floor((feeratePerKw * weight) / 1000));
}

/** Weight of the signed commitment with `untrimmedHtlcs` HTLC outputs, as fees assume it. */
export function commitmentWeight(format: CommitmentFormat, untrimmedHtlcs: number): number {
  return (hasAnchors(format) ? 1124 : 724) + HTLC_OUTPUT_WEIGHT * untrimmedHtlcs;
}

/** The fee the funder pays; trimmed outputs and roundings come on top. Excludes the anchors' 660 sat. */
export function commitmentFeeSat(
  format: CommitmentFormat,
  feeratePerKw: number,
  untrimmedHtlcs: number,
): Sat {
  return feeSat(feeratePerKw, commitmentWeight(format, untrimmedHtlcs));
}

/** HTLC-timeout for offered, HTLC-success for received HTLCs. */
export function htlcTransactionWeight(format: CommitmentFormat, direction: HtlcDirection): number {
  return (direction === 'offered' ? 663 : 703) + (hasAnchors(format) ? 3 : 0);
}

export function htlcTransactionFeeSat(
  format: CommitmentFormat,
  direction: HtlcDirection,
  feeratePerKw: number,
): Sat {
  const rate = format === 'anchors_zero_fee_htlc' ? 0 : feeratePerKw;
  return feeSat(rate, htlcTransactionWeight(format, direction));
}

/** HTLCs of that direction below this many satoshis (rounded down) have no output. */
export function htlcTrimThresholdSat(
  format: CommitmentFormat,
  direction: HtlcDirection,
  feeratePerKw: number,
  dustLimitSat: Sat,
): Sat {
  return sat(dustLimitSat + htlcTransactionFeeSat(format, direction, feeratePerKw));
}

/** nSequence of HTLC transactions: anchor types have a one-block relative lock on every HTLC path. */
export const htlcTransactionSequence = (format: CommitmentFormat): number => (hasAnchors(format) ? 1 : 0);

/** The signature hash of the countersignatory's HTLC signature; the broadcaster's own is always ALL. */
export const countersignatoryHtlcSighash = (format: CommitmentFormat): number =>
  hasAnchors(format) ? SIGHASH.SINGLE | SIGHASH.ANYONECANPAY : SIGHASH.ALL;
