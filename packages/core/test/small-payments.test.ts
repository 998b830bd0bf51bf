/** Payments too small to be seen, by what their approvals add to the dust that may flow out; and the operator's list. */
import { msat } from '@countersign/bitcoin';
import { EMPTY_PAYMENT, type PaymentApproval, type PaymentRecord } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { addPending, pendingList, removePending } from '../src/payments/pending.ts';
import { withApproval, withoutAllowance } from '../src/payments/small-payments.ts';
import { flowMsat } from '../src/policy/velocity.ts';
import { PENDING_MAX } from '../src/records/approval.ts';
import type { PendingRequest } from '../src/refusal.ts';
import { Draft } from '../src/state.ts';
import { hubSigner } from './forwarder.ts';
import { MemoryState } from './memory-state.ts';

const NOW_SECONDS = 1_700_000_000;
const { policy } = hubSigner();
const placeOf = () => ({ draft: new Draft(new MemoryState()), nowSeconds: NOW_SECONDS, policy });
type Place = ReturnType<typeof placeOf>;
const allowedMsat = (place: Place) => flowMsat(place, 'dust-approved', policy.limits.dustOutflowVelocity);

const approving = (amountMsat: bigint | null, feeBudgetMsat = 50_000n): PaymentApproval => ({
  kind: 'invoice',
  amountMsat: amountMsat === null ? null : msat(amountMsat),
  feeBudgetMsat: msat(feeBudgetMsat),
  payee: null,
  source: 'operator',
  approvedAtSeconds: NOW_SECONDS,
  expiresAtSeconds: NOW_SECONDS + 3600,
  keepUntilSeconds: NOW_SECONDS + 7200,
});

describe('the approval of a payment below 1,000 sat', () => {
  it('allows its amount and fees as dust outflow', () => {
    const place = placeOf();
    const small = approving(999_999n);
    expect(withApproval(place, EMPTY_PAYMENT, small)).toEqual({
      ...EMPTY_PAYMENT,
      approval: small,
      isDustCredited: true,
    });
    expect(allowedMsat(place)).toBe(1_049_999n);
  });

  it.each([
    ['of 1,000 sat', 1_000_000n],
    ['of no amount yet', null],
  ])('one %s allows none', (_, amountMsat) => {
    const place = placeOf();
    const approval = approving(amountMsat);
    expect(withApproval(place, EMPTY_PAYMENT, approval)).toEqual({ ...EMPTY_PAYMENT, approval });
    expect(place.draft.changes()).toEqual([]);
  });

  it('in the place of another counts once', () => {
    const place = placeOf();
    const first = withApproval(place, EMPTY_PAYMENT, approving(600_000n));
    const second = withApproval(place, first, approving(500_000n, 0n));
    expect(allowedMsat(place)).toBe(500_000n);
    expect(withApproval(place, second, approving(2_000_000n)).isDustCredited).toBe(false);
    expect(allowedMsat(place)).toBe(0n);
  });

  it('in the place of one that was taken back counts anew', () => {
    const place = placeOf();
    const shown = withoutAllowance(place, withApproval(place, EMPTY_PAYMENT, approving(600_000n)));
    withApproval(place, shown, approving(500_000n, 0n));
    expect(allowedMsat(place)).toBe(500_000n);
  });

  it('is taken back when an HTLC of it shows, once', () => {
    const place = placeOf();
    const other = withApproval(place, EMPTY_PAYMENT, approving(300_000n, 0n));
    const approved = withApproval(place, EMPTY_PAYMENT, approving(600_000n));
    expect(other.isDustCredited).toBe(true);
    const shown = withoutAllowance(place, approved);
    expect(shown).toEqual({ ...approved, isDustCredited: false });
    expect(allowedMsat(place)).toBe(300_000n);
    expect(withoutAllowance(place, shown)).toBe(shown);
    const gone: PaymentRecord = { ...approved, approval: null };
    expect(withoutAllowance(place, gone)).toBe(gone);
    expect(allowedMsat(place)).toBe(300_000n);
  });
});

describe('the list of what waits for the operator', () => {
  const asking = (id: string): PendingRequest =>
    ({
      id,
      kind: 'payment',
      payee: null,
      amountMsat: msat(1n),
      description: '',
    }) as unknown as PendingRequest;

  it('has each once, the last asked for at the end, with how often and since when', () => {
    const { draft } = placeOf();
    addPending(draft, asking('a'), 10);
    addPending(draft, asking('b'), 20);
    addPending(draft, asking('a'), 30);
    expect(pendingList(draft)).toMatchObject([
      { id: 'b', firstAskedAtSeconds: 20, lastAskedAtSeconds: 20, timesAsked: 1 },
      { id: 'a', firstAskedAtSeconds: 10, lastAskedAtSeconds: 30, timesAsked: 2 },
    ]);
  });

  it('keeps the newest', () => {
    const { draft } = placeOf();
    for (let n = 0; n <= PENDING_MAX; n += 1) addPending(draft, asking(String(n)), n);
    const list = pendingList(draft);
    expect(list).toHaveLength(PENDING_MAX);
    expect([list[0]!.id, list.at(-1)!.id]).toEqual(['1', String(PENDING_MAX)]);
  });

  it('loses one that is answered, and only that', () => {
    const { draft } = placeOf();
    removePending(draft, 'a');
    expect(draft.changes()).toEqual([]);
    for (const id of ['a', 'b']) addPending(draft, asking(id), 10);
    removePending(draft, 'c');
    removePending(draft, 'a');
    expect(pendingList(draft).map(({ id }) => id)).toEqual(['b']);
  });
});
