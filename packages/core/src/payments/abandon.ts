/**
 * The last resort before an incoming HTLC expires: give it up while the outgoing one it covers is expired and not
 * resolved on chain. If the peer downstream claims it after all, that is our loss, so it is bounded and counts as a fee.
 */
import type { Facts } from '@countersign/bitcoin';
import type { Context } from '../context.ts';
import { enforce } from '../policy/enforce.ts';
import { flowMsat, recordFlow } from '../policy/velocity.ts';
import type { PaymentRecord } from '../records/payment.ts';
import { deficitMsat } from './balance.ts';
import type { PaymentStep } from './judge.ts';
import { abandonUnresolved } from './rules.ts';

/** Everything of the deficit is in outgoing HTLCs that the chain view shows expired. */
function isExpired(ctx: Context, record: PaymentRecord, deficit: bigint): boolean {
  if (ctx.chain === null) return false;
  const { heightBlocks } = ctx.chain;
  const outgoing = record.parts.flatMap((part) => part.outgoing);
  if (outgoing.some(({ cltvExpiry }) => cltvExpiry > heightBlocks)) return false;
  return deficit <= outgoing.reduce((sum, { amountMsat }) => sum + amountMsat, 0n);
}

/**
 * True when the release that leaves `record` is one of an expired outgoing HTLC, and allowed; then it is charged. The
 * limit binds all of a payment that was given up, and the fees of a window bind all payments. `isTemporary`: the outgoing one
 * is resolved, and will be buried.
 */
export function mayAbandon(
  ctx: Context,
  step: PaymentStep,
  record: PaymentRecord,
  facts: Facts,
  isTemporary: boolean,
): boolean {
  const deficit = deficitMsat(record, ctx.nowSeconds);
  if (!isExpired(ctx, record, deficit)) return false;
  const { limits, scope } = step;
  const lossMsat = deficit - deficitMsat(step.before, ctx.nowSeconds);
  const feesMsat = flowMsat(ctx, 'fee', limits.feeVelocity);
  const isTooMuch = deficit > limits.abandonUnresolvedMaxSat * 1000n;
  if (isTooMuch || feesMsat + lossMsat > limits.feeVelocity.amountSat * 1000n) {
    enforce(ctx, abandonUnresolved, scope, {
      message: 'the outgoing HTLC is expired and not resolved: the incoming one may not be given up',
      facts: {
        ...facts,
        uncovered_msat: deficit,
        abandon_unresolved_max_sat: limits.abandonUnresolvedMaxSat,
        fees_msat: feesMsat,
        fees_max_sat: limits.feeVelocity.amountSat,
      },
      isTemporary,
    });
  }
  recordFlow(ctx, 'fee', limits.feeVelocity, lossMsat);
  return true;
}
