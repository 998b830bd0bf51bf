/**
 * Law 4 for forwards: what goes out late must be covered by what comes in later still, so that a preimage learned at the
 * last moment downstream can be used upstream. Exact for several parts of one hash.
 */
import { larger, smaller } from '@countersign/bitcoin';
import type { Context } from '../context.ts';
import { sumMsat } from '../ledger/htlc-set.ts';
import { approvedMsat, coverMsat, deficitMsat, withoutEarly } from '../payments/balance.ts';
import type { PaymentStep } from '../payments/judge.ts';
import { sumsFrom } from '../payments/part.ts';
import { enforce } from '../policy/enforce.ts';
import type { PaymentRecord } from '../records/payment.ts';
import { routingCltvDelta } from './rules.ts';

/** What goes out with an expiry or later, and what covers that. */
export interface Late {
  readonly outgoingExpiry: number;
  readonly outgoingMsat: bigint;
  readonly coveredMsat: bigint;
}

const uncovered = (late: Late | null): bigint => (late === null ? 0n : late.outgoingMsat - late.coveredMsat);

/** By so much a step has increased what goes out too late, at worst from this expiry on. */
export interface LateStep extends Late {
  readonly missingMsat: bigint;
}

/**
 * For every outgoing expiry e: Σ outgoing(≥ e) ≤ Σ incoming(≥ e + delta) + credited + approved. What is settled may be
 * covered by anything: its preimage is known. As in law 3 no step creates or increases what is missing, whatever it
 * does: HTLCs of the same hash and amount may take each other's place. Null when this one doesn't.
 */
export function lateStep(ctx: Context, step: PaymentStep, record: PaymentRecord): LateStep | null {
  const { cltvDeltaBlocks } = step.limits;
  const late = latest(ctx, record, cltvDeltaBlocks);
  if (late === null) return null;
  const missingMsat = uncovered(late) - uncovered(latest(ctx, step.before, cltvDeltaBlocks));
  return missingMsat > 0n ? { ...late, missingMsat } : null;
}

export function refuseLate(ctx: Context, step: PaymentStep, late: Late): void {
  const { cltvDeltaBlocks } = step.limits;
  enforce(ctx, routingCltvDelta, step.scope, {
    message: 'an outgoing HTLC expires too late for the incoming ones that cover it',
    facts: {
      payment_hash: step.hash,
      channel: step.channel.id,
      outgoing_expiry: late.outgoingExpiry,
      incoming_expiry_min: late.outgoingExpiry + cltvDeltaBlocks,
      outgoing_msat: late.outgoingMsat,
      covered_msat: late.coveredMsat,
      cltv_delta_blocks: cltvDeltaBlocks,
    },
  });
}

/**
 * What is settled may be covered by anything that can still be claimed in time, and by nothing else: an HTLC that comes too late
 * to be claimed takes the place of no other.
 */
export function requireInTimeCover(ctx: Context, step: PaymentStep, record: PaymentRecord): void {
  const { chain } = ctx;
  if (chain === null) return;
  const missingMsat = earlyMissingMsat(ctx, step, record);
  if (missingMsat <= earlyMissingMsat(ctx, step, step.before)) return;
  enforce(ctx, routingCltvDelta, step.scope, {
    message: 'what would cover the payment expires too soon to be claimed',
    facts: {
      payment_hash: step.hash,
      channel: step.channel.id,
      uncovered_msat: missingMsat,
      incoming_expiry_min: chain.heightBlocks + step.limits.claimMarginBlocks + 1,
      height: chain.heightBlocks,
    },
  });
}

/** What goes out without cover once everything is gone that ends too soon to be claimed. */
function earlyMissingMsat({ chain, nowSeconds }: Context, step: PaymentStep, record: PaymentRecord): bigint {
  const lateExpiry = (chain?.heightBlocks ?? 0) + step.limits.claimMarginBlocks;
  return deficitMsat(withoutEarly(record, lateExpiry), nowSeconds);
}

/** What goes out and is not covered in time, by either of the two. */
export function untimelyMsat(ctx: Context, step: PaymentStep, record: PaymentRecord): bigint {
  const lateMsat = uncovered(latest(ctx, record, step.limits.cltvDeltaBlocks));
  return larger(lateMsat, earlyMissingMsat(ctx, step, record));
}

/**
 * What was credited, whenever it was. Income of it covers only what can be claimed at once: with a preimage that is known. Else an
 * HTLC that ends too early would stand for it, and what was received could be sent out again.
 */
function timelessCreditMsat(record: PaymentRecord, standingMsat: bigint): bigint {
  const creditedMsat =
    record.parts.reduce((sum, part) => sum + part.inMsat, record.creditedMsat) - standingMsat;
  return record.preimage === null ? larger(creditedMsat - record.incomeMsat, 0n) : creditedMsat;
}

/** The expiry from which on the most goes out that nothing covers; null when all is covered. */
function latest(ctx: Context, record: PaymentRecord, cltvDeltaBlocks: number): Late | null {
  const outgoing = record.parts.flatMap((part) => part.outgoing);
  if (outgoing.length === 0) return null;
  const timelessMsat = approvedMsat(record, ctx.nowSeconds) + record.dustChargedMsat;
  // Income leaves what ends early before it leaves what covers for longer.
  const coveredMsat = coverMsat(record);
  const incoming = record.parts.flatMap((part) => part.incoming);
  const inTime = sumsFrom(timelessCreditMsat(record, sumMsat(incoming)), incoming);
  const out = sumsFrom(0n, outgoing);
  const expiries = new Set(outgoing.map((one) => one.cltvExpiry));
  let worst: Late | null = null;
  for (const cltvExpiry of [...expiries].sort((a, b) => b - a)) {
    const inTimeMsat = smaller(inTime(cltvExpiry + cltvDeltaBlocks), coveredMsat);
    const late: Late = {
      outgoingExpiry: cltvExpiry,
      outgoingMsat: out(cltvExpiry),
      coveredMsat: larger(inTimeMsat, 0n) + timelessMsat,
    };
    if (uncovered(late) > uncovered(worst)) worst = late;
  }
  return worst;
}
