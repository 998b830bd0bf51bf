/**
 * Approvals of payments: who may give one without asking the operator, what it costs of the budgets, and how it is put
 * on record. One hash has one approval; a later one replaces it, and never once any of it was used.
 */
import { type Msat, msat, toHex } from '@countersign/bitcoin';
import type { Context } from '../context.ts';
import { enforce, severityFor } from '../policy/enforce.ts';
import { flowMsat, recordFlow } from '../policy/velocity.ts';
import { type AllowlistEntry, allowlistRecords } from '../records/approval.ts';
import {
  type ApprovalSource,
  EMPTY_PAYMENT,
  type PaymentApproval,
  type PaymentRecord,
  paymentRecords,
} from '../records/payment.ts';
import { type PendingRequest, refuse, refuseUnapproved } from '../refusal.ts';
import { indexApproval } from './approval-index.ts';
import {
  merchantNoSends,
  paymentAllowlisted,
  paymentApproved,
  paymentInvoiced,
  paymentVelocity,
} from './approval-rules.ts';
import { feeBudgetMsat } from './fee-budget.ts';
import { isUsed, TOMBSTONE_SECONDS, TOMBSTONE_WITHOUT_INVOICE_SECONDS } from './retirement.ts';
import { withApproval } from './small-payments.ts';

/** What a node asks an approval for. */
export interface PaymentTerms {
  readonly kind: 'invoice' | 'keysend';
  readonly paymentHash: Uint8Array;
  /** Null: the invoice names none. */
  readonly amountMsat: Msat | null;
  /** Who will be paid: proven by an invoice, no more than said for a keysend. */
  readonly payee: Uint8Array;
  readonly description: string;
  /** Of the invoice; null for a keysend. */
  readonly expiresAtSeconds: number | null;
}

/** One record holds the whole allowlist. */
export const ALLOWLIST_ID = 'list';

/** By the configuration, or by the operator since. */
export function isPayeeAllowlisted({ draft, policy }: Context, payee: Uint8Array): boolean {
  const text = toHex(payee);
  const isPayee = (entry: AllowlistEntry) => entry.kind === 'payee' && entry.text === text;
  return policy.allowlist.some(isPayee) || (draft.get(allowlistRecords, ALLOWLIST_ID) ?? []).some(isPayee);
}

/** The payee as far as anything proves it. */
const provenPayee = ({ kind, payee }: PaymentTerms): Uint8Array | null => (kind === 'invoice' ? payee : null);

/**
 * May this payment be made? Returns when it may, and refuses when not; the approval is on record afterwards, unless
 * `isCheck`: then nothing is, not even the question.
 */
export function approvePayment(ctx: Context, terms: PaymentTerms, isCheck: boolean): void {
  const hash = toHex(terms.paymentHash);
  requireSendsAllowed(ctx, hash);
  const record = ctx.draft.get(paymentRecords, hash) ?? EMPTY_PAYMENT;
  const standing = standingApproval(record, ctx.nowSeconds);
  if (standing !== null && isSamePayment(standing, terms)) return;
  if (isUsed(record)) {
    refuse(paymentInvoiced, 'a part of this payment is in flight or settled: it takes no other approval', {
      payment_hash: hash,
      used_msat: record.usedMsat,
    });
  }
  const payee = provenPayee(terms);
  requireAllowlistedPayee(ctx, hash, payee);
  const { amountMsat } = terms;
  const budgetMsat = amountMsat === null ? msat(0n) : feeBudgetMsat(ctx.policy.limits, amountMsat);
  const costMsat = (amountMsat ?? 0n) + budgetMsat;
  const source = automaticSource(ctx, payee, amountMsat, costMsat) ?? approvedByWarning(ctx, hash);
  if (source === null) refuseTerms(terms, hash, isCheck);
  requireVelocity(ctx, hash, amountMsat ?? 0n);
  if (isCheck) return;
  charge(ctx, source, amountMsat ?? 0n, costMsat);
  const keepSeconds = TOMBSTONE_WITHOUT_INVOICE_SECONDS;
  const approval: PaymentApproval = {
    kind: terms.kind,
    amountMsat,
    feeBudgetMsat: budgetMsat,
    payee,
    source,
    ...approvalTimes(ctx),
    keepUntilSeconds:
      terms.expiresAtSeconds === null
        ? ctx.nowSeconds + keepSeconds
        : terms.expiresAtSeconds + TOMBSTONE_SECONDS,
  };
  ctx.draft.put(paymentRecords, hash, withApproval(ctx, record, approval));
  indexApproval(ctx, { kind: 'payment', id: hash });
  tellApproved(ctx, hash, terms.kind, source, amountMsat);
}

/** Unused and expired, it is none. */
export function standingApproval(record: PaymentRecord, nowSeconds: number): PaymentApproval | null {
  const { approval } = record;
  return approval !== null && (isUsed(record) || approval.expiresAtSeconds > nowSeconds) ? approval : null;
}

/** The node asks again for what is approved already. */
function isSamePayment(approval: PaymentApproval, terms: PaymentTerms): boolean {
  const payee = provenPayee(terms);
  const isSamePayee = toHex(approval.payee ?? new Uint8Array(0)) === toHex(payee ?? new Uint8Array(0));
  if (!isSamePayee) return false;
  // An invoice without an amount stays the same one when the operator, or the first offer, has set an amount.
  if (terms.amountMsat === null) return true;
  return approval.kind === terms.kind && approval.amountMsat === terms.amountMsat;
}

/** Who approves this without asking anybody; null: nobody. `costMsat`: amount and fee budget. */
function automaticSource(
  ctx: Context,
  payee: Uint8Array | null,
  amountMsat: bigint | null,
  costMsat: bigint,
): ApprovalSource | null {
  const { auto, autoPaymentVelocity } = ctx.policy.approvals;
  if (auto === 'none') return null;
  if (auto === 'all') return 'all';
  const hasBudget = auto === 'velocity' && autoPaymentVelocity !== null;
  // Without an amount only a budget can say how much: it is charged when the first total is offered.
  if (amountMsat === null && !hasBudget) return null;
  if (payee !== null && isPayeeAllowlisted(ctx, payee)) return 'allowlist';
  return hasBudget && isWithinBudget(ctx, costMsat) ? 'velocity' : null;
}

function isWithinBudget(ctx: Context, costMsat: bigint): boolean {
  const limit = ctx.policy.approvals.autoPaymentVelocity;
  return limit !== null && flowMsat(ctx, 'payment-auto', limit) + costMsat <= limit.amountSat * 1000n;
}

/** Where the rule only warns, everything is approved. */
function approvedByWarning(ctx: Context, hash: string): ApprovalSource | null {
  if (severityFor(ctx, paymentApproved, null) === 'error') return null;
  enforce(ctx, paymentApproved, null, {
    message: 'nobody approved this payment',
    facts: { payment_hash: hash },
  });
  return 'all';
}

function refuseTerms(terms: PaymentTerms, hash: string, isCheck: boolean): never {
  const { kind, amountMsat, payee, description, expiresAtSeconds } = terms;
  const message = `nobody approved this ${kind}`;
  const facts = { payment_hash: hash, amount_msat: amountMsat ?? 'any', payee: toHex(payee) };
  if (isCheck) refuse(paymentApproved, message, facts);
  refuseUnapproved(paymentApproved, message, facts, {
    ...pendingPayment(terms.paymentHash, amountMsat),
    kind,
    payee,
    description,
    expiresAtSeconds,
  });
}

/** What the operator may approve of a payment that nobody asked approval for. */
export function pendingPayment(paymentHash: Uint8Array, amountMsat: Msat | null): PendingRequest {
  return {
    id: toHex(paymentHash),
    kind: 'payment',
    amountMsat,
    payee: null,
    outputs: [],
    feeSat: null,
    description: '',
    expiresAtSeconds: null,
  };
}

/**
 * A payment that nobody asked approval for (CLN's sendpay), or an invoice without an amount, is offered: `totalMsat` goes
 * out under this hash, fees included. Returns the approval that covers it, for the caller to put on record, with the
 * automatic budget charged for what is new; null when nobody approves it automatically.
 */
export function approveUnasked(
  ctx: Context,
  paymentHash: Uint8Array,
  totalMsat: Msat,
): PaymentApproval | null {
  const hash = toHex(paymentHash);
  const record = ctx.draft.get(paymentRecords, hash) ?? EMPTY_PAYMENT;
  const standing = standingApproval(record, ctx.nowSeconds);
  const isSettled = record.settledMsat > 0n || record.parts.some(hasSettled);
  if (isSettled || (standing !== null && !isRising(standing))) return null;
  const coveredMsat = standing?.amountMsat ?? 0n;
  if (standing !== null && totalMsat <= coveredMsat) return standing;
  requireSendsAllowed(ctx, hash);
  const payee = standing?.payee ?? null;
  requireAllowlistedPayee(ctx, hash, payee);
  const addedMsat = totalMsat - coveredMsat;
  const source = unaskedSource(ctx, standing, addedMsat) ?? approvedByWarning(ctx, hash);
  if (source === null) return null;
  requireVelocity(ctx, hash, addedMsat);
  charge(ctx, source === 'all' ? 'all' : 'velocity', addedMsat, addedMsat);
  if (standing === null) indexApproval(ctx, { kind: 'payment', id: hash });
  tellApproved(ctx, hash, 'unasked', source, totalMsat);
  return {
    kind: 'unasked',
    amountMsat: totalMsat,
    feeBudgetMsat: msat(0n),
    payee,
    source,
    ...approvalTimes(ctx),
    keepUntilSeconds: standing?.keepUntilSeconds ?? ctx.nowSeconds + TOMBSTONE_WITHOUT_INVOICE_SECONDS,
  };
}

/** Bound by what is offered, and by no person. */
function isRising({ kind, amountMsat, source }: PaymentApproval): boolean {
  return (kind === 'unasked' || amountMsat === null) && source !== 'operator';
}

const hasSettled = (part: PaymentRecord['parts'][number]): boolean =>
  part.settledHolderMsat > 0n || part.settledCounterpartyMsat > 0n;

/** An allowlisted payee says who is paid, and only the budget how much. */
function unaskedSource(
  ctx: Context,
  standing: PaymentApproval | null,
  addedMsat: bigint,
): ApprovalSource | null {
  const { auto } = ctx.policy.approvals;
  if (auto === 'all') return 'all';
  if (auto !== 'velocity' || !isWithinBudget(ctx, addedMsat)) return null;
  return standing?.source === 'allowlist' ? 'allowlist' : 'velocity';
}

function requireSendsAllowed(ctx: Context, hash: string): void {
  enforce(ctx, merchantNoSends, null, {
    message: 'this node receives payments and sends none',
    facts: { payment_hash: hash },
  });
}

function requireAllowlistedPayee(ctx: Context, hash: string, payee: Uint8Array | null): void {
  if (severityFor(ctx, paymentAllowlisted, null) === 'off') return;
  if (payee !== null && isPayeeAllowlisted(ctx, payee)) return;
  enforce(ctx, paymentAllowlisted, null, {
    message: 'the payee is not on the allowlist',
    facts: { payment_hash: hash, payee: payee === null ? 'not proven' : toHex(payee) },
  });
}

function requireVelocity(ctx: Context, hash: string, amountMsat: bigint): void {
  const limit = ctx.policy.limits.paymentVelocity;
  if (limit === null) return;
  const flow = flowMsat(ctx, 'payment', limit);
  if (flow + amountMsat <= limit.amountSat * 1000n) return;
  enforce(ctx, paymentVelocity, null, {
    message: `more would be approved than in a${limit.per === 'hour' ? 'n' : ''} ${limit.per} may be`,
    facts: {
      payment_hash: hash,
      amount_msat: amountMsat,
      approved_msat: flow,
      velocity_max_msat: limit.amountSat * 1000n,
    },
  });
}

function charge(ctx: Context, source: ApprovalSource, amountMsat: bigint, costMsat: bigint): void {
  const { limits, approvals } = ctx.policy;
  if (limits.paymentVelocity !== null) recordFlow(ctx, 'payment', limits.paymentVelocity, amountMsat);
  if (source === 'velocity' && approvals.autoPaymentVelocity !== null)
    recordFlow(ctx, 'payment-auto', approvals.autoPaymentVelocity, costMsat);
}

function approvalTimes(ctx: Context): { approvedAtSeconds: number; expiresAtSeconds: number } {
  return {
    approvedAtSeconds: ctx.nowSeconds,
    expiresAtSeconds: ctx.nowSeconds + ctx.policy.approvals.expirySeconds,
  };
}

function tellApproved(
  ctx: Context,
  hash: string,
  kind: PaymentApproval['kind'],
  source: ApprovalSource,
  amountMsat: bigint | null,
): void {
  ctx.events.push({
    event: 'payment-approved',
    facts: { payment_hash: hash, kind, source, amount_msat: amountMsat ?? 'any' },
  });
}
