/**
 * The list of what waits for the operator: bounded, the newest kept, so that a node that asks for ever crowds out only
 * its own oldest questions.
 */
import { PENDING_MAX, type PendingApproval, pendingRecords } from '../records/approval.ts';
import type { PendingRequest } from '../refusal.ts';
import type { Draft } from '../state.ts';

/** One record holds the whole list. */
export const PENDING_ID = 'list';
/** Once counted up, never wraps. */
const TIMES_MAX = 0xffff_ffff;

export function pendingList(draft: Draft): readonly PendingApproval[] {
  return draft.get(pendingRecords, PENDING_ID) ?? [];
}

/** Asked for (again): to the end of the list. */
export function addPending(draft: Draft, request: PendingRequest, nowSeconds: number): void {
  const list = pendingList(draft);
  const known = list.find(({ id }) => id === request.id);
  const { id, kind, ...rest } = request;
  const entry: PendingApproval = {
    id,
    kind,
    firstAskedAtSeconds: known?.firstAskedAtSeconds ?? nowSeconds,
    lastAskedAtSeconds: nowSeconds,
    timesAsked: Math.min((known?.timesAsked ?? 0) + 1, TIMES_MAX),
    ...rest,
  };
  const others = list.filter(({ id }) => id !== request.id);
  draft.put(pendingRecords, PENDING_ID, [...others, entry].slice(-PENDING_MAX));
}

/** Approved, rejected or expired. */
export function removePending(draft: Draft, id: string): void {
  const list = pendingList(draft);
  if (list.some((one) => one.id === id)) {
    draft.put(
      pendingRecords,
      PENDING_ID,
      list.filter((one) => one.id !== id),
    );
  }
}
