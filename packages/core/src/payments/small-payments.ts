/**
 * Payments so small that no commitment may show them: their approval allows as much dust outflow. When one shows after
 * all, law 3 counts it and the allowance is taken back.
 */
import { DUST_LIMIT_MAX_SAT } from '../ledger/observe.ts';
import type { Policy } from '../policy/settings.ts';
import { recordFlow, type VelocityPlace } from '../policy/velocity.ts';
import type { PaymentApproval, PaymentRecord } from '../records/payment.ts';

interface Place extends VelocityPlace {
  readonly policy: Policy;
}

const allowanceMsat = ({ amountMsat, feeBudgetMsat }: PaymentApproval): bigint =>
  amountMsat !== null && amountMsat < 1000n * DUST_LIMIT_MAX_SAT ? amountMsat + feeBudgetMsat : 0n;

/** The record with an approval in the place of the one it had. */
export function withApproval(place: Place, record: PaymentRecord, approval: PaymentApproval): PaymentRecord {
  const { dustOutflowVelocity } = place.policy.limits;
  const allowed = allowanceMsat(approval);
  const before = record.isDustCredited && record.approval !== null ? allowanceMsat(record.approval) : 0n;
  recordFlow(place, 'dust-approved', dustOutflowVelocity, allowed - before);
  return { ...record, approval, isDustCredited: allowed > 0n };
}

/** An HTLC of the payment is visible: nothing of it needs to leave invisibly. */
export function withoutAllowance(place: Place, record: PaymentRecord): PaymentRecord {
  if (!record.isDustCredited || record.approval === null) return record;
  recordFlow(
    place,
    'dust-approved',
    place.policy.limits.dustOutflowVelocity,
    -allowanceMsat(record.approval),
  );
  return { ...record, isDustCredited: false };
}
