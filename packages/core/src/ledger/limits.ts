/** The soft limits of one commitment: fee rate, HTLCs, dust in flight. Judged when something is given away by it. */
import { type Facts, hasAnchors, larger } from '@countersign/bitcoin';
import { scopeOf } from '../channel/live.ts';
import type { OpenChannel } from '../channel/lookup.ts';
import type { Context } from '../context.ts';
import { enforce } from '../policy/enforce.ts';
import { limitsFor } from '../policy/settings.ts';
import { sumMsat } from './htlc-set.ts';
import type { LedgerStep, Proposal } from './judge.ts';
import { dustInFlightSat } from './observe.ts';
import { dustExposure, feeRange, htlcCountLimit, htlcInflightLimit } from './rules.ts';

export function requireLimits(
  ctx: Context,
  channel: OpenChannel,
  proposal: Proposal,
  step: LedgerStep,
): void {
  const scope = scopeOf(channel.record);
  const limits = limitsFor(ctx.policy, scope);
  const { htlcs, number } = proposal.content;
  const { observed } = step;
  const facts: Facts = { view: proposal.view, number, channel: channel.id };
  const { setup } = channel;
  const peerPays = !setup.isOutbound && hasAnchors(setup.format);
  const max = peerPays ? limits.feerateMaxPeerPaysPerKw : limits.feerateMaxPerKw;
  const rate = observed.feeratePerKw;
  if (rate < limits.feerateMinPerKw || rate > max) {
    enforce(ctx, feeRange, scope, {
      message: 'the fee rate of the commitment is out of range',
      facts: {
        ...facts,
        feerate_per_kw: rate,
        feerate_min_per_kw: limits.feerateMinPerKw,
        feerate_max_per_kw: max,
      },
    });
  }
  const offered = htlcs.filter((htlc) => htlc.offeredBy === 'holder');
  const received = htlcs.length - offered.length;
  if (Math.max(offered.length, received) > limits.htlcCountMax && step.added.length > 0) {
    enforce(ctx, htlcCountLimit, scope, {
      message: 'too many HTLCs of one side',
      facts: { ...facts, offered: offered.length, received, htlc_count_max: limits.htlcCountMax },
    });
  }
  const inflightMsat = sumMsat(offered);
  // What stands already is not judged again: only a commitment that adds may exceed.
  if (
    inflightMsat > limits.htlcInflightMaxSat * 1000n &&
    step.added.some((htlc) => htlc.offeredBy === 'holder')
  ) {
    enforce(ctx, htlcInflightLimit, scope, {
      message: 'the HTLCs offered by us are worth too much together',
      facts: { ...facts, inflight_msat: inflightMsat, htlc_inflight_max_sat: limits.htlcInflightMaxSat },
    });
  }
  const dustSat = dustInFlightSat(observed);
  const dustMax = larger(limits.dustExposureSat, limits.dustExposurePerFeerateSat * BigInt(rate));
  if (dustSat > dustMax) {
    enforce(ctx, dustExposure, scope, {
      message: 'too much value in flight has no output and would go to the miners',
      facts: { ...facts, dust_sat: dustSat, dust_exposure_max_sat: dustMax },
    });
  }
}
