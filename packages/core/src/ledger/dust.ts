/**
 * Dust outflow: what left our balances and no visible HTLC explains. The worst of all commitments that could reach the
 * chain counts, once; what comes back or comes in that way is taken off.
 */
import { larger } from '@countersign/bitcoin';
import { liveCommitments, scopeOf } from '../channel/live.ts';
import type { OpenChannel } from '../channel/lookup.ts';
import type { ChannelRecord } from '../channel/record.ts';
import type { Context } from '../context.ts';
import { enforce } from '../policy/enforce.ts';
import { limitsFor, type PolicyScope, type VelocityLimit } from '../policy/settings.ts';
import { flowMsat, recordFlow } from '../policy/velocity.ts';
import { isYoung } from '../time/incoming.ts';
import { dustOutflow } from './rules.ts';

/** What the channel's worst live commitment has lost to drift since it began, msat. */
function lostMsat(record: ChannelRecord): bigint {
  let worst: bigint | null = null;
  for (const { ledger } of liveCommitments(record)) {
    if (worst === null || -ledger.driftMsat > worst) worst = -ledger.driftMsat;
  }
  return worst ?? 0n;
}

/** The limit with what approved payments, too small to be seen, add to it. */
function allowanceOf(ctx: Context, scope: PolicyScope | null): VelocityLimit {
  const limit = limitsFor(ctx.policy, scope).dustOutflowVelocity;
  const approvedMsat = flowMsat(ctx, 'dust-approved', limit);
  return { ...limit, amountSat: limit.amountSat + approvedMsat / 1000n };
}

/** Books `amountMsat` as dust outflow (negative: inflow), or refuses it. */
export function chargeDust(
  ctx: Context,
  scope: PolicyScope | null,
  channelId: string,
  amountMsat: bigint,
): void {
  if (amountMsat === 0n) return;
  const limit = allowanceOf(ctx, scope);
  const flowed = flowMsat(ctx, 'dust-outflow', limit);
  if (amountMsat > 0n && flowed + amountMsat > limit.amountSat * 1000n) {
    enforce(ctx, dustOutflow, scope, {
      message: 'too much left our channels in ways that no visible HTLC explains',
      facts: {
        channel: channelId,
        outflow_msat: amountMsat,
        outflow_before_msat: flowed,
        outflow_max_sat: limit.amountSat,
        per: limit.per,
      },
      // The window moves on; what is more than all of it never passes.
      isTemporary: amountMsat <= limit.amountSat * 1000n,
    });
  }
  recordFlow(ctx, 'dust-outflow', limit, amountMsat);
}

/** What a peer gives us on a funding that is not buried it may take back with that: it makes up for nothing that left elsewhere. */
export function judgeDust(ctx: Context, channel: OpenChannel, after: ChannelRecord): void {
  const isPromise = isYoung(ctx, channel.record);
  const lost = (record: ChannelRecord): bigint =>
    isPromise ? larger(lostMsat(record), 0n) : lostMsat(record);
  const amountMsat = lost(after) - lost(channel.record);
  chargeDust(ctx, scopeOf(channel.record), channel.id, amountMsat);
}
