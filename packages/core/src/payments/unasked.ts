/**
 * Payments that nobody asked approval for (CLN's `sendpay`, rebalancers): approved when they are offered, by the automatic
 * budgets only.
 */
import { msat } from '@countersign/bitcoin';
import type { Context } from '../context.ts';
import { tryFlow } from '../policy/velocity.ts';
import { type PaymentApproval, paymentRecords } from '../records/payment.ts';
import type { PendingRequest } from '../refusal.ts';

/** `amountMsat`: all that goes out under the hash so far, fees included. Null: nothing approves it. */
export function approveUnasked(ctx: Context, hash: string, amountMsat: bigint): PaymentApproval | null {
  const known = ctx.draft.get(paymentRecords, hash)?.approval ?? null;
  if (known !== null && known.kind !== 'unasked') return null;
  const { auto, autoPaymentVelocity, expirySeconds } = ctx.policy.approvals;
  const more = amountMsat - (known?.amountMsat ?? 0n);
  const isWithin =
    auto === 'velocity' &&
    autoPaymentVelocity !== null &&
    tryFlow(ctx, 'payment-auto', autoPaymentVelocity, more);
  if (auto !== 'all' && !isWithin) return null;
  return {
    kind: 'unasked',
    amountMsat: msat(amountMsat),
    feeBudgetMsat: msat(0n),
    payee: null,
    source: auto === 'all' ? 'all' : 'velocity',
    approvedAtSeconds: ctx.nowSeconds,
    expiresAtSeconds: ctx.nowSeconds + expirySeconds,
    keepUntilSeconds: ctx.nowSeconds + expirySeconds,
  };
}

export function pendingPayment(hash: string, amountMsat: bigint): PendingRequest {
  return {
    id: hash,
    kind: 'payment',
    amountMsat: msat(amountMsat),
    payee: null,
    outputs: [],
    feeSat: null,
    description: '',
    expiresAtSeconds: null,
  };
}
