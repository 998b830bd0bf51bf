/**
 * Amounts are branded bigints, so a satoshi can't be added to a millisatoshi by accident. Both are bounded by
 * the 21 million coins that can exist; every constructor checks it.
 */
import { FormError } from './error.ts';

declare const satBrand: unique symbol;
declare const msatBrand: unique symbol;

/** Satoshis, 0 … 2,100,000,000,000,000. */
export type Sat = bigint & { readonly [satBrand]: 'sat' };
/** Millisatoshis, 0 … 2,100,000,000,000,000,000. */
export type Msat = bigint & { readonly [msatBrand]: 'msat' };

export const SAT_MAX = 2_100_000_000_000_000n;
export const MSAT_MAX = SAT_MAX * 1000n;

/** Throws `FormError` outside 0 … 21 million coins. */
export function sat(value: bigint | number): Sat {
  const v = BigInt(value);
  if (v < 0n || v > SAT_MAX) throw new FormError('amount out of range', { amount_sat: v, max_sat: SAT_MAX });
  return v as Sat;
}

/** Throws `FormError` outside 0 … 21 million coins. */
export function msat(value: bigint | number): Msat {
  const v = BigInt(value);
  if (v < 0n || v > MSAT_MAX)
    throw new FormError('amount out of range', { amount_msat: v, max_msat: MSAT_MAX });
  return v as Msat;
}

export const satToMsat = (value: Sat): Msat => msat(value * 1000n);
/** Rounds down, as BOLT 3 "Trimmed Outputs" does for every output amount. */
export const msatToSatFloor = (value: Msat): Sat => sat(value / 1000n);

/** The larger of two amounts or differences; `Math.max` takes no bigint. */
export function larger(a: bigint, b: bigint): bigint {
  if (a > b) return a;
  return b;
}

export function smaller(a: bigint, b: bigint): bigint {
  if (a < b) return a;
  return b;
}
