/**
 * What the operator does with approvals: gives what waits, rejects it, takes back what was given. An approval binds what
 * was asked for: hash, amount and payee, or the outputs of a transaction.
 */
import { MSAT_MAX, type Msat, msat, toHex } from '@countersign/bitcoin';
import { indexApproval, indexedApprovals, putPayment } from '../payments/approval-index.ts';
import { standingApproval } from '../payments/approvals.ts';
import { feeBudgetMsat } from '../payments/fee-budget.ts';
import { pendingList, removePending } from '../payments/pending.ts';
import { isUsed, TOMBSTONE_SECONDS, TOMBSTONE_WITHOUT_INVOICE_SECONDS } from '../payments/retirement.ts';
import { withApproval, withoutAllowance } from '../payments/small-payments.ts';
import { recordFlow } from '../policy/velocity.ts';
import { type OnchainApproval, onchainApprovalRecords, type PendingApproval } from '../records/approval.ts';
import {
  EMPTY_PAYMENT,
  type PaymentApproval,
  type PaymentRecord,
  paymentRecords,
} from '../records/payment.ts';
import { type AdminPlace, fail } from './fault.ts';
import type { ApprovalEntry } from './operations.ts';

/** The longest an approval may wait to be used. */
export const APPROVAL_EXPIRY_MAX_SECONDS = 365 * 24 * 3600;

/** What still waits: an invoice that expired asks for nothing any more. */
export function waiting({ draft, nowSeconds }: AdminPlace): readonly PendingApproval[] {
  return pendingList(draft).filter((one) => !isOver(one, nowSeconds));
}

const isOver = ({ expiresAtSeconds }: PendingApproval, nowSeconds: number): boolean =>
  expiresAtSeconds !== null && expiresAtSeconds <= nowSeconds;

function requirePending({ draft }: AdminPlace, id: string): PendingApproval {
  const found = pendingList(draft).find((one) => one.id === id);
  return found ?? fail('not-found', 'nothing of this name waits for an approval', { id });
}

interface ApproveOptions {
  readonly id: string;
  readonly amountMsat: bigint | null;
  readonly expirySeconds: number | null;
}

export function approve(place: AdminPlace, options: ApproveOptions): ApprovalEntry {
  const pending = requirePending(place, options.id);
  if (isOver(pending, place.nowSeconds)) fail('expired', 'its invoice has expired', { id: options.id });
  const expiresAtSeconds = place.nowSeconds + expiryOf(place, options.expirySeconds);
  const isOnchain = pending.kind === 'onchain' || pending.kind === 'splice-out';
  const entry = isOnchain
    ? approveOnchain(place, pending, options.amountMsat, expiresAtSeconds)
    : approvePayment(place, pending, options.amountMsat, expiresAtSeconds);
  removePending(place.draft, options.id);
  indexApproval(place, { kind: isOnchain ? 'onchain' : 'payment', id: options.id });
  place.events.push({
    event: 'approval-given',
    facts: {
      id: entry.id,
      kind: entry.kind,
      ...(entry.amountMsat === null ? {} : { amount_msat: entry.amountMsat }),
      ...(entry.payee === null ? {} : { payee: toHex(entry.payee) }),
      ...(isOnchain ? { outputs: entry.outputs.length } : {}),
      expires_at_seconds: entry.expiresAtSeconds,
    },
  });
  return entry;
}

function expiryOf({ policy }: AdminPlace, given: number | null): number {
  const seconds = given ?? policy.approvals.expirySeconds;
  if (Number.isSafeInteger(seconds) && seconds > 0 && seconds <= APPROVAL_EXPIRY_MAX_SECONDS) return seconds;
  fail('expiry-invalid', 'an approval waits between a second and a year', {
    expiry_seconds: seconds,
    expiry_max_seconds: APPROVAL_EXPIRY_MAX_SECONDS,
  });
}

function approvePayment(
  place: AdminPlace,
  pending: PendingApproval,
  amountGiven: bigint | null,
  expiresAtSeconds: number,
): ApprovalEntry {
  const { draft, policy, nowSeconds } = place;
  const record = draft.get(paymentRecords, pending.id) ?? EMPTY_PAYMENT;
  if (isUsed(record)) fail('in-use', 'a part of this payment is in flight or settled', { id: pending.id });
  const amountMsat = amountOf(pending, amountGiven);
  const approval: PaymentApproval = {
    kind: pending.kind === 'keysend' || pending.kind === 'invoice' ? pending.kind : 'unasked',
    amountMsat,
    feeBudgetMsat: feeBudgetMsat(policy.limits, amountMsat),
    // Only an invoice proves who is paid.
    payee: pending.kind === 'invoice' ? pending.payee : null,
    source: 'operator',
    approvedAtSeconds: nowSeconds,
    expiresAtSeconds,
    keepUntilSeconds:
      pending.expiresAtSeconds === null
        ? nowSeconds + TOMBSTONE_WITHOUT_INVOICE_SECONDS
        : pending.expiresAtSeconds + TOMBSTONE_SECONDS,
  };
  const velocity = policy.limits.paymentVelocity;
  if (velocity !== null) recordFlow(place, 'payment', velocity, amountMsat);
  const approved = withApproval(place, record, approval);
  draft.put(paymentRecords, pending.id, approved);
  return paymentEntry(pending.id, approved, approval);
}

function amountOf({ id, kind, amountMsat: asked }: PendingApproval, given: bigint | null): Msat {
  if (given !== null && (given <= 0n || given > MSAT_MAX))
    fail('amount-invalid', 'not an amount of bitcoin', { id, amount_msat: given });
  if (asked === null) {
    if (given === null) fail('amount-needed', 'the invoice names no amount: give one', { id });
    return msat(given);
  }
  if (given === null || given === asked) return asked;
  if (kind !== 'payment') {
    fail('amount-fixed', 'the request names another amount', { id, amount_msat: asked, given_msat: given });
  }
  return msat(given);
}

function approveOnchain(
  { draft, nowSeconds }: AdminPlace,
  { id, outputs }: PendingApproval,
  amountGiven: bigint | null,
  expiresAtSeconds: number,
): ApprovalEntry {
  if (amountGiven !== null) fail('amount-fixed', 'a transaction is approved as it is', { id });
  const approval: OnchainApproval = {
    outputs,
    source: 'operator',
    approvedAtSeconds: nowSeconds,
    expiresAtSeconds,
  };
  draft.put(onchainApprovalRecords, id, approval);
  return onchainEntry(id, approval);
}

export function reject(place: AdminPlace, id: string): void {
  const { kind } = requirePending(place, id);
  removePending(place.draft, id);
  place.events.push({ event: 'approval-rejected', facts: { id, kind } });
}

/** Approvals that may still be used or are in use, the newest last. */
export function approvals({ draft, nowSeconds }: AdminPlace): readonly ApprovalEntry[] {
  return indexedApprovals(draft).flatMap(({ kind, id }) => {
    if (kind === 'onchain') {
      const approval = draft.get(onchainApprovalRecords, id);
      return approval === null || approval.expiresAtSeconds <= nowSeconds ? [] : [onchainEntry(id, approval)];
    }
    const record = draft.get(paymentRecords, id);
    const approval = record === null ? null : standingApproval(record, nowSeconds);
    if (record === null || approval === null || isDone(record)) return [];
    return [paymentEntry(id, record, approval)];
  });
}

const isDone = (record: PaymentRecord): boolean => isUsed(record) && record.parts.length === 0;

/** What was used of it stays approved: it may be in flight, and law 3 must know what covers it. */
export function revoke(place: AdminPlace, id: string): void {
  const { draft } = place;
  const stored = draft.get(paymentRecords, id);
  if (stored !== null && stored.approval !== null) {
    const record = withoutAllowance(place, stored);
    const { approval } = stored;
    const rest = isUsed(record)
      ? {
          ...approval,
          kind: 'unasked' as const,
          source: 'operator' as const,
          amountMsat: msat(record.usedMsat),
        }
      : null;
    const kept = rest === null ? null : { ...rest, feeBudgetMsat: msat(0n) };
    putPayment(draft, id, { ...record, approval: kept });
  } else if (draft.get(onchainApprovalRecords, id) !== null) {
    draft.put(onchainApprovalRecords, id, null);
  } else fail('not-found', 'there is no approval of this name', { id });
  place.events.push({ event: 'approval-revoked', facts: { id } });
}

function paymentEntry(id: string, record: PaymentRecord, approval: PaymentApproval): ApprovalEntry {
  const { kind, amountMsat, payee, source, approvedAtSeconds, expiresAtSeconds } = approval;
  return {
    id,
    kind,
    amountMsat,
    feeBudgetMsat: approval.feeBudgetMsat,
    usedMsat: record.usedMsat,
    payee,
    outputs: [],
    source,
    approvedAtSeconds,
    expiresAtSeconds,
  };
}

function onchainEntry(id: string, approval: OnchainApproval): ApprovalEntry {
  return {
    id,
    kind: id.startsWith('out:') ? 'splice-out' : 'onchain',
    amountMsat: null,
    feeBudgetMsat: null,
    usedMsat: 0n,
    payee: null,
    ...approval,
  };
}
