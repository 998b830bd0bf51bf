/**
 * The list of approvals: a ring of slots, so that adding one costs the same however many there were. Whoever adds one
 * also clears what is over at the oldest end: approvals that expired unused, or were used up.
 */
import type { Context } from '../context.ts';
import {
  APPROVAL_SLOTS,
  type ApprovalIndex,
  type ApprovalSlot,
  approvalIndexRecords,
  approvalSlotRecords,
  onchainApprovalRecords,
} from '../records/approval.ts';
import { EMPTY_PAYMENT, type PaymentRecord, paymentRecords } from '../records/payment.ts';
import type { Draft } from '../state.ts';
import { isUsed, withoutExpiredApproval } from './retirement.ts';

export const INDEX_ID = 'index';
/** Old slots looked at with each new one: more than one, so the ring empties faster than it fills. */
const CLEARED_MAX = 4;
/** The operator's approvals that are moved to the new end at a time. */
const MOVED_MAX = 64;

type Place = Pick<Context, 'draft' | 'nowSeconds'>;

const slotId = (place: number): string => String(place % APPROVAL_SLOTS);

/** Removes the record when nothing is left in it. */
export function putPayment(draft: Draft, hash: string, record: PaymentRecord): void {
  const isEmpty = (Object.keys(EMPTY_PAYMENT) as (keyof PaymentRecord)[]).every((key) =>
    key === 'parts' ? record.parts.length === 0 : record[key] === EMPTY_PAYMENT[key],
  );
  if (!isEmpty) draft.put(paymentRecords, hash, record);
  else if (draft.get(paymentRecords, hash) !== null) draft.put(paymentRecords, hash, null);
}

/** Lists this approval, the newest. The approval itself is in its own record. */
export function indexApproval(place: Place, added: ApprovalSlot): void {
  const { draft } = place;
  let index = cleared(place);
  if (index.next - index.oldest >= APPROVAL_SLOTS) index = withRoom(place, index);
  draft.put(approvalSlotRecords, slotId(index.next), added);
  draft.put(approvalIndexRecords, INDEX_ID, { ...index, next: index.next + 1 });
}

/** Listed approvals, the oldest first; each once, where it was added last. Some may be over. */
export function indexedApprovals(draft: Draft): readonly ApprovalSlot[] {
  const { oldest, next } = indexOf(draft);
  const found = new Map<string, ApprovalSlot>();
  for (let at = oldest; at < next; at++) {
    const slot = draft.get(approvalSlotRecords, slotId(at));
    if (slot === null) continue;
    found.delete(slot.id);
    found.set(slot.id, slot);
  }
  return [...found.values()];
}

function indexOf(draft: Draft): ApprovalIndex {
  return draft.get(approvalIndexRecords, INDEX_ID) ?? { oldest: 0, next: 0 };
}

/** The index without the oldest slots whose approvals are over. */
function cleared(place: Place): ApprovalIndex {
  let { oldest, next } = indexOf(place.draft);
  for (let looked = 0; looked < CLEARED_MAX && oldest < next; looked++) {
    const slot = place.draft.get(approvalSlotRecords, slotId(oldest));
    if (slot !== null && !clear(place, slot)) break;
    oldest += 1;
  }
  return { oldest, next };
}

/** Removes the approval if it expired unused; true when there is nothing left to list. */
function clear({ draft, nowSeconds }: Place, { kind, id }: ApprovalSlot): boolean {
  if (kind === 'onchain') {
    const approval = draft.get(onchainApprovalRecords, id);
    if (approval === null) return true;
    if (approval.expiresAtSeconds > nowSeconds) return false;
    draft.put(onchainApprovalRecords, id, null);
    return true;
  }
  const record = draft.get(paymentRecords, id);
  if (record === null || record.approval === null) return true;
  const next = withoutExpiredApproval(record, nowSeconds);
  if (next === record) return isUsed(record) && record.parts.length === 0;
  putPayment(draft, id, next);
  return true;
}

/** The ring is full: the oldest goes, but those that the operator gave become the newest before. */
function withRoom({ draft }: Place, index: ApprovalIndex): ApprovalIndex {
  let { oldest, next } = index;
  for (let moved = 0; moved < MOVED_MAX; moved++) {
    const slot = draft.get(approvalSlotRecords, slotId(oldest));
    if (slot === null || !isOperators(draft, slot)) break;
    // A full ring: the newest place is the one that the oldest leaves.
    oldest += 1;
    next += 1;
  }
  return { oldest: oldest + 1, next };
}

function isOperators(draft: Draft, { kind, id }: ApprovalSlot): boolean {
  if (kind === 'onchain') return draft.get(onchainApprovalRecords, id)?.source === 'operator';
  return draft.get(paymentRecords, id)?.approval?.source === 'operator';
}
