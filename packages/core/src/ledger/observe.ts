/**
 * What a commitment transaction shows of the balances. The funder pays fee and anchors, so its balance is its output
 * plus those; what is in no main output and no HTLC is invisible: dust in flight, fractions of a satoshi, balances below
 * the dust limit. BOLT 3 "Commitment Transaction Construction".
 */
import {
  ANCHOR_SAT,
  type CommitmentFormat,
  commitmentFeeSat,
  commitmentWeight,
  hasAnchors,
  type Sat,
} from '@countersign/bitcoin';
import type { CommitmentContent } from '../channel/record.ts';
import { sumMsat } from './htlc-set.ts';

/** No implementation's dust limit is above it (CLN 546, LDK and LND 354). */
export const DUST_LIMIT_MAX_SAT = 1000n;
/** BOLT 2: dust_limit_satoshis is at least this. */
export const DUST_LIMIT_MIN_SAT = 354n;

export interface Observed {
  readonly feeratePerKw: number;
  /** Our balance before fee and anchors, rounded down; null without a main output of ours. */
  readonly holderSat: bigint | null;
  readonly counterpartySat: bigint | null;
  /** Without a main output, our balance is below this. */
  readonly holderBoundSat: bigint;
  readonly counterpartyBoundSat: bigint;
  /** Capacity − balances shown − HTLCs: what is invisible, with the balances of sides that have no output. */
  readonly poolMsat: bigint;
}

export interface Observable {
  readonly format: CommitmentFormat;
  /** We opened, so we pay fee and anchors. */
  readonly isOutbound: boolean;
  readonly capacitySat: Sat;
  readonly content: Pick<
    CommitmentContent,
    'number' | 'feeratePerKw' | 'toHolderSat' | 'toCounterpartySat' | 'htlcs'
  >;
  /** The broadcaster's dust limit is at most this: `DUST_LIMIT_MAX_SAT`, or lower once an output showed it. */
  readonly dustLimitSat: bigint;
}

/** An anchor stands beside each main output, and both beside any HTLC (BOLT 3); the form of the commitment is judged before. */
function anchorsOf({ format, content }: Observable): bigint {
  if (!hasAnchors(format)) return 0n;
  if (content.htlcs.length > 0) return 2n;
  return BigInt(Number(content.toHolderSat !== null) + Number(content.toCounterpartySat !== null));
}

/** All outputs of the transaction together. */
export function outputsSat(observable: Observable): bigint {
  const { toHolderSat, toCounterpartySat, htlcs } = observable.content;
  let total = (toHolderSat ?? 0n) + (toCounterpartySat ?? 0n) + anchorsOf(observable) * ANCHOR_SAT;
  for (const { amountMsat } of htlcs) total += amountMsat / 1000n;
  return total;
}

/** CLN states feerate 0 with commitment 0: then the rate that the transaction really pays. */
function costOf(observable: Observable): { feeratePerKw: number; costSat: bigint } {
  const { format, capacitySat, content } = observable;
  const anchorsSat = hasAnchors(format) ? 2n * ANCHOR_SAT : 0n;
  if (content.number > 0 || content.feeratePerKw !== 0) {
    const fee = commitmentFeeSat(format, content.feeratePerKw, content.htlcs.length);
    return { feeratePerKw: content.feeratePerKw, costSat: fee + anchorsSat };
  }
  const paid = capacitySat - outputsSat(observable) - (anchorsSat - anchorsOf(observable) * ANCHOR_SAT);
  const weight = BigInt(commitmentWeight(format, content.htlcs.length));
  // Rounded up: the lowest rate that gives this fee.
  const rate = paid > 0n ? (paid * 1000n + weight - 1n) / weight : 0n;
  return { feeratePerKw: Number(rate > 0xffff_ffffn ? 0xffff_ffffn : rate), costSat: paid + anchorsSat };
}

export function observe(observable: Observable): Observed {
  const { isOutbound, capacitySat, content, dustLimitSat } = observable;
  const { feeratePerKw, costSat } = costOf(observable);
  const withCost = (output: Sat | null, pays: boolean) =>
    output === null ? null : output + (pays ? costSat : 0n);
  const bound = (pays: boolean) => dustLimitSat + (pays ? costSat : 0n);
  const holderSat = withCost(content.toHolderSat, isOutbound);
  const counterpartySat = withCost(content.toCounterpartySat, !isOutbound);
  const shownSat = (holderSat ?? 0n) + (counterpartySat ?? 0n);
  return {
    feeratePerKw,
    holderSat,
    counterpartySat,
    holderBoundSat: bound(isOutbound),
    counterpartyBoundSat: bound(!isOutbound),
    poolMsat: 1000n * (capacitySat - shownSat) - sumMsat(content.htlcs),
  };
}

/** Of what is invisible, the part that can only be HTLCs in flight, satoshi rounded down. */
export function dustInFlightSat(observed: Observed): bigint {
  const balances =
    (observed.holderSat === null ? observed.holderBoundSat : 0n) +
    (observed.counterpartySat === null ? observed.counterpartyBoundSat : 0n);
  const dust = observed.poolMsat / 1000n - balances;
  return dust > 0n ? dust : 0n;
}
