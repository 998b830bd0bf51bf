/**
 * Law 4 for forwards: what goes out late must be covered by what comes in later still, so that a preimage learned at the
 * last moment downstream can be used upstream. Exact for several parts of one hash.
 */
import { larger } from '@countersign/bitcoin';
import type { Context } from '../context.ts';
import { approvedMsat, coverMsat, outMsat } from '../payments/balance.ts';
import type { PaymentStep } from '../payments/judge.ts';
import { enforce } from '../policy/enforce.ts';
import type { PaymentRecord, TimedAmount } from '../records/payment.ts';
import { routingCltvDelta } from './rules.ts';

const sumFrom = (amounts: readonly TimedAmount[], cltvExpiry: number): bigint =>
  amounts.reduce((sum, one) => (one.cltvExpiry >= cltvExpiry ? sum + one.amountMsat : sum), 0n);

/** For every outgoing expiry e: Σ outgoing(≥ e) ≤ Σ incoming(≥ e + delta) + credited + approved. */
export function requireExpiryOrder(
  ctx: Context,
  step: PaymentStep,
  record: PaymentRecord,
  grows: boolean,
): void {
  if (!grows) return;
  const outgoing = record.parts.flatMap((part) => part.outgoing);
  const incoming = record.invoice === null ? record.parts.flatMap((part) => part.incoming) : [];
  const standingOut = outgoing.reduce((sum, one) => sum + one.amountMsat, 0n);
  const standingIn = incoming.reduce((sum, one) => sum + one.amountMsat, 0n);
  // What is settled has used its cover already; what is left of credit and approval covers whatever stands.
  const settled = outMsat(record) - standingOut;
  const timeless =
    coverMsat(record) - standingIn + approvedMsat(record, ctx.nowSeconds) + record.dustChargedMsat;
  const free = timeless - settled;
  const { cltvDeltaBlocks } = step.limits;
  for (const { cltvExpiry } of outgoing) {
    const out = sumFrom(outgoing, cltvExpiry);
    const covered = sumFrom(incoming, cltvExpiry + cltvDeltaBlocks) + larger(free, 0n);
    if (out <= covered) continue;
    enforce(ctx, routingCltvDelta, step.scope, {
      message: 'an outgoing HTLC expires too late for the incoming ones that cover it',
      facts: {
        payment_hash: step.hash,
        channel: step.channel.id,
        outgoing_expiry: cltvExpiry,
        incoming_expiry_min: cltvExpiry + cltvDeltaBlocks,
        outgoing_msat: out,
        covered_msat: covered,
        cltv_delta_blocks: cltvDeltaBlocks,
      },
    });
    return;
  }
}
