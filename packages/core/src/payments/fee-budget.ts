/**
 * What a payment may cost beyond its amount. The budget is fixed when the payment is approved; the hard maximum binds
 * even where the operator set the rule to warn.
 */
import { type Msat, msat } from '@countersign/bitcoin';
import type { Context } from '../context.ts';
import { enforce } from '../policy/enforce.ts';
import type { Limits } from '../policy/settings.ts';
import type { PaymentApproval } from '../records/payment.ts';
import { refuse, refuseForNow } from '../refusal.ts';
import { paymentFeeBudget, paymentInvoiced } from './approval-rules.ts';

const PPM = 1_000_000n;

/** The larger of the base and `routingFeeMaxPpm`. */
export function feeMaxMsat(limits: Limits, amountMsat: bigint): bigint {
  const baseMsat = limits.routingFeeBaseSat * 1000n;
  const shareMsat = (amountMsat * limits.routingFeeMaxPpm) / PPM;
  return baseMsat > shareMsat ? baseMsat : shareMsat;
}

/** Base and part of the amount together, never beyond the hard maximum. */
export function feeBudgetMsat(limits: Limits, amountMsat: bigint): Msat {
  const budget = limits.routingFeeBaseSat * 1000n + (amountMsat * limits.routingFeePpm) / PPM;
  const max = feeMaxMsat(limits, amountMsat);
  return msat(budget < max ? budget : max);
}

/**
 * `outMsat` is what goes out under this approval, fees included; refuses when it is more than may go out. `isTemporary`:
 * whether less will count without the node doing anything else.
 */
export function requireWithinApproval(
  ctx: Context,
  hash: string,
  approval: PaymentApproval,
  outMsat: bigint,
  isTemporary: () => boolean,
): void {
  const amountMsat = approval.amountMsat ?? 0n;
  const feeMsat = outMsat - amountMsat;
  if (feeMsat <= approval.feeBudgetMsat) return;
  const facts = {
    payment_hash: hash,
    amount_msat: amountMsat,
    out_msat: outMsat,
    fee_budget_msat: approval.feeBudgetMsat,
  };
  const isBound = approval.amountMsat !== null && approval.kind !== 'unasked';
  const feeMax = isBound ? feeMaxMsat(ctx.policy.limits, amountMsat) : 0n;
  if (feeMsat > feeMax) {
    const refuseMore = isTemporary() ? refuseForNow : refuse;
    refuseMore(paymentInvoiced, 'more goes out than was approved', { ...facts, fee_max_msat: feeMax });
  }
  const message = 'the routing fee is above its budget';
  enforce(ctx, paymentFeeBudget, null, { message, facts, isTemporary: isTemporary() });
}
