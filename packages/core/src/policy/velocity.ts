/**
 * Velocities: how much may flow in a sliding window of 24 buckets. Kept in records, so a restart forgets nothing, and
 * the window never moves back when the clock does.
 */
import { smaller } from '@countersign/bitcoin';
import type { Context } from '../context.ts';
import { VELOCITY_BUCKETS, type VelocityRecord, velocityRecords } from '../records/velocity.ts';
import type { VelocityLimit } from './settings.ts';

export type VelocityName =
  | 'fee'
  | 'funding'
  | 'payment'
  | 'payment-auto'
  | 'dust-outflow'
  | 'dust-approved'
  | `transfer/${string}`;

/** Where a velocity lives: the records, and the present. */
export type VelocityPlace = Pick<Context, 'draft' | 'nowSeconds'>;

export const WINDOW_SECONDS: Readonly<Record<VelocityLimit['per'], bigint>> = {
  hour: 3600n,
  day: 86_400n,
  week: 604_800n,
};

/** The record moved to the present; a window of another length begins anew with what the old one held, all in one. */
function shifted(record: VelocityRecord | null, limit: VelocityLimit, nowSeconds: number): VelocityRecord {
  const bucketSeconds = WINDOW_SECONDS[limit.per] / BigInt(VELOCITY_BUCKETS);
  const present = BigInt(nowSeconds) / bucketSeconds;
  if (record === null) return { newestBucket: present, bucketSeconds, amountsMsat: [0n] };
  if (record.bucketSeconds !== bucketSeconds) {
    return { newestBucket: present, bucketSeconds, amountsMsat: [sum(record.amountsMsat)] };
  }
  const passed = present - record.newestBucket;
  if (passed <= 0n) return record;
  const empty = Array<bigint>(Number(passed < 24n ? passed : 24n)).fill(0n);
  return {
    newestBucket: present,
    bucketSeconds,
    amountsMsat: [...empty, ...record.amountsMsat].slice(0, VELOCITY_BUCKETS),
  };
}

/** More than there are coins; the sum of all buckets fits 63 bits. */
const FLOW_MAX_MSAT = 2n ** 58n;

const sum = (amounts: readonly bigint[]): bigint => amounts.reduce((total, one) => total + one, 0n);

/** What flowed within the window, msat. Never below zero: more back than out is no allowance. */
export function flowMsat(ctx: VelocityPlace, name: VelocityName, limit: VelocityLimit): bigint {
  const total = sum(shifted(ctx.draft.get(velocityRecords, name), limit, ctx.nowSeconds).amountsMsat);
  return total > 0n ? total : 0n;
}

/** Adds to the flow unless that would exceed the limit; false then, and nothing is recorded. */
export function tryFlow(
  ctx: VelocityPlace,
  name: VelocityName,
  limit: VelocityLimit,
  amountMsat: bigint,
): boolean {
  if (amountMsat > 0n && flowMsat(ctx, name, limit) + amountMsat > limit.amountSat * 1000n) return false;
  recordFlow(ctx, name, limit, amountMsat);
  return true;
}

/**
 * What flows back comes off what flowed, the latest first. Counted for itself it would outlive what it makes up for, and
 * allow as much beyond the limit once that has left the window.
 */
function withoutMsat(amounts: readonly bigint[], backMsat: bigint): readonly bigint[] {
  let rest = backMsat;
  return amounts.map((amount) => {
    if (amount <= 0n) return amount;
    const taken = smaller(amount, rest);
    rest -= taken;
    return amount - taken;
  });
}

/** Adds to the flow whatever the limit says (what was only warned of, and what flowed back: negative). */
export function recordFlow(
  ctx: VelocityPlace,
  name: VelocityName,
  limit: VelocityLimit,
  amountMsat: bigint,
): void {
  if (amountMsat === 0n) return;
  const record = shifted(ctx.draft.get(velocityRecords, name), limit, ctx.nowSeconds);
  ctx.draft.put(velocityRecords, name, { ...record, amountsMsat: flowed(record.amountsMsat, amountMsat) });
}

function flowed(amounts: readonly bigint[], amountMsat: bigint): readonly bigint[] {
  if (amountMsat < 0n) return withoutMsat(amounts, -amountMsat);
  const [newest = 0n, ...older] = amounts;
  // Where a rule only warns, nothing bounds what is counted but the record.
  return [smaller(newest + amountMsat, FLOW_MAX_MSAT), ...older];
}
