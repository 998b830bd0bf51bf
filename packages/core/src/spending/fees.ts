/**
 * Fees: by rate, absolutely, and over time. What a transaction weighs is estimated from what its inputs spend; the fee
 * for spending an output counts once, at its highest, however often and in however many variants it is signed.
 */
import {
  classify,
  equalOutPoints,
  type OutPoint,
  sat,
  serializeNoWitness,
  sha256,
  type Transaction,
  type TxOutput,
  toHex,
} from '@countersign/bitcoin';
import type { Context } from '../context.ts';
import { enforce } from '../policy/enforce.ts';
import type { Rule } from '../policy/registry.ts';
import { limitsFor, type PolicyScope, type VelocityLimit } from '../policy/settings.ts';
import { recordFlow, tryFlow, WINDOW_SECONDS } from '../policy/velocity.ts';
import { COUNTED_FEES_MAX, type CountedFee, countedFeeRecords } from '../records/spending.ts';
import { feeVelocity } from './rules.ts';

/** Weight of the witness that spends an output, signatures of 72 bytes; of scripts, that of the longest we sign. */
const WITNESS_WEIGHT: Readonly<Record<string, number>> = {
  p2tr: 66,
  p2wpkh: 108,
  p2sh: 108 + 4 * 23,
  p2wsh: 330,
};
const UNKNOWN_WITNESS_WEIGHT = 330;
const SEGWIT_MARKER_WEIGHT = 2;

/** Without any witness: no signed form of the transaction weighs less. */
export const bareWeight = (tx: Transaction): number => 4 * serializeNoWitness(tx).length;

export function signedWeight(tx: Transaction, spent: readonly (TxOutput | undefined)[]): number {
  const witnesses = tx.inputs.map((_, index) => {
    const output = spent[index];
    const kind = output === undefined ? '' : classify(output.script).type;
    return WITNESS_WEIGHT[kind] ?? UNKNOWN_WITNESS_WEIGHT;
  });
  return bareWeight(tx) + SEGWIT_MARKER_WEIGHT + witnesses.reduce((sum, one) => sum + one, 0);
}

export interface Fee {
  readonly feeSat: bigint;
  /** What the fee is for, signed: with a commitment that it pays for, that one's weight too. */
  readonly weight: number;
  /** The least it can weigh, for the lower bound; null where a low fee is nobody's business but others'. */
  readonly weightMin: number | null;
}

/** Rate and absolute limit, by the rule of the operation in question. */
export function requireFee(ctx: Context, rule: Rule, scope: PolicyScope | null, fee: Fee): void {
  const { feeSat, weight, weightMin } = fee;
  const { onchainFeerateMaxPerKw, onchainFeerateMinPerKw, onchainFeeMaxSat } = limitsFor(ctx.policy, scope);
  const facts = { fee_sat: feeSat, weight };
  if (feeSat > onchainFeeMaxSat) {
    enforce(ctx, rule, scope, {
      message: 'the fee is above the absolute limit',
      facts: { ...facts, fee_max_sat: onchainFeeMaxSat },
    });
  }
  if (feeSat * 1000n > BigInt(onchainFeerateMaxPerKw) * BigInt(weight)) {
    enforce(ctx, rule, scope, {
      message: 'the fee rate is above the limit',
      facts: { ...facts, feerate_max_per_kw: onchainFeerateMaxPerKw },
    });
  }
  // The highest rate that rounds down to this fee.
  if (weightMin !== null && feeSat * 1000n + 999n < BigInt(onchainFeerateMinPerKw) * BigInt(weightMin)) {
    enforce(ctx, rule, scope, {
      message: 'the fee rate is below the limit: the transaction may never confirm',
      facts: { ...facts, feerate_min_per_kw: onchainFeerateMinPerKw },
    });
  }
}

/** `defensive`: a claim of what would be lost otherwise; counted, never refused. */
export type FeeUrgency = 'free' | 'defensive';

/** Counts the fee of a transaction that spends these outputs of ours (`policy-onchain-fee-velocity`). */
export function chargeFee(
  ctx: Context,
  scope: PolicyScope | null,
  spends: readonly OutPoint[],
  feeSat: bigint,
  urgency: FeeUrgency = 'free',
): void {
  const limit = ctx.policy.limits.feeVelocity;
  const newSat = countOnce(ctx, 'fee', limit, spends, feeSat);
  if (newSat === 0n) return;
  if (urgency === 'defensive') recordFlow(ctx, 'fee', limit, newSat * 1000n);
  else if (!tryFlow(ctx, 'fee', limit, newSat * 1000n)) {
    enforce(ctx, feeVelocity, scope, {
      message: 'more fees than the limit allows in this window of time',
      facts: { fee_sat: newSat, fee_max_sat: limit.amountSat, per: limit.per },
      isTemporary: true,
    });
    recordFlow(ctx, 'fee', limit, newSat * 1000n);
  }
}

/**
 * What of `amountSat` was not counted yet for spending these outputs. Each output carries a share of what was counted;
 * so however a set of outputs is spent, together or apart, no less was counted than is paid.
 */
export function countOnce(
  ctx: Context,
  velocity: 'fee' | 'funding',
  limit: VelocityLimit,
  spends: readonly OutPoint[],
  amountSat: bigint,
): bigint {
  const counted = spends.reduce((sum, outpoint) => sum + countedSat(ctx, velocity, limit, outpoint), 0n);
  const newSat = amountSat - counted;
  if (newSat <= 0n || spends.length === 0) return 0n;
  const share = newSat / BigInt(spends.length);
  spends.forEach((outpoint, i) => {
    const more = i === 0 ? newSat - share * BigInt(spends.length - 1) : share;
    addCounted(ctx, velocity, limit, outpoint, more);
  });
  return newSat;
}

function bucketOf(velocity: string, { txid, vout }: OutPoint): string {
  const digest = sha256(txid, Uint8Array.of(vout & 0xff, (vout >>> 8) & 0xff));
  return `${velocity}/${toHex(digest.subarray(0, 1))}`;
}

/** The bucket's entries that the window still holds. */
function liveEntries(ctx: Context, bucket: string, limit: VelocityLimit): readonly CountedFee[] {
  const oldest = ctx.nowSeconds - Number(WINDOW_SECONDS[limit.per]);
  return (ctx.draft.get(countedFeeRecords, bucket) ?? []).filter((one) => one.countedAtSeconds > oldest);
}

function countedSat(ctx: Context, velocity: string, limit: VelocityLimit, outpoint: OutPoint): bigint {
  const entries = liveEntries(ctx, bucketOf(velocity, outpoint), limit);
  return entries.find((one) => equalOutPoints(one.outpoint, outpoint))?.amountSat ?? 0n;
}

function addCounted(
  ctx: Context,
  velocity: string,
  limit: VelocityLimit,
  outpoint: OutPoint,
  amountSat: bigint,
): void {
  const bucket = bucketOf(velocity, outpoint);
  const entries = liveEntries(ctx, bucket, limit);
  const before = entries.find((one) => equalOutPoints(one.outpoint, outpoint))?.amountSat ?? 0n;
  const others = entries.filter((one) => !equalOutPoints(one.outpoint, outpoint));
  const { txid, vout } = outpoint;
  const entry = {
    outpoint: { txid, vout },
    amountSat: sat(before + amountSat),
    countedAtSeconds: ctx.nowSeconds,
  };
  ctx.draft.put(countedFeeRecords, bucket, [...others, entry].slice(-COUNTED_FEES_MAX));
}
