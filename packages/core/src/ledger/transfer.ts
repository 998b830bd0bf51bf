/**
 * Optional: how much may settle out of one channel in a window of time, whoever approved it. Booked with the
 * settlements, once: the worst of the commitments that could reach the chain counts.
 */
import type { OpenChannel } from '../channel/lookup.ts';
import type { Context } from '../context.ts';
import { enforce } from '../policy/enforce.ts';
import type { PolicyScope, VelocityLimit } from '../policy/settings.ts';
import { flowMsat, recordFlow } from '../policy/velocity.ts';
import { velocityTransferred } from './rules.ts';

/** `amountMsat` more has settled than before the step; less, when a variant with a settlement is gone. */
export function chargeTransfer(
  ctx: Context,
  channel: OpenChannel,
  scope: PolicyScope,
  limit: VelocityLimit | null,
  amountMsat: bigint,
): void {
  if (limit === null || amountMsat === 0n) return;
  const name = `transfer/${channel.id}` as const;
  const flowed = flowMsat(ctx, name, limit);
  if (amountMsat > 0n && flowed + amountMsat > limit.amountSat * 1000n) {
    enforce(ctx, velocityTransferred, scope, {
      message: `more would settle out of this channel than in a${limit.per === 'hour' ? 'n' : ''} ${limit.per} may`,
      facts: {
        channel: channel.id,
        settled_msat: amountMsat,
        settled_before_msat: flowed,
        transfer_max_sat: limit.amountSat,
        per: limit.per,
      },
    });
  }
  recordFlow(ctx, name, limit, amountMsat);
}
