/**
 * Which of a channel's fundings the chain has buried, for check_outpoint and lock_outpoint. The node's word names one; of the
 * rounds of an opening the chain may have taken another (CLN names the last, whichever was mined).
 */
import { outPointToString } from '@countersign/bitcoin';
import { isBacked } from '../chain/ours.ts';
import type { ChainView } from '../chain/view.ts';
import { scopeOf } from '../channel/live.ts';
import { isDormant } from '../channel/locking.ts';
import type { OpenChannel } from '../channel/lookup.ts';
import type { FundingCandidate } from '../channel/record.ts';
import type { Context } from '../context.ts';
import { isZeroConf, limitsFor } from '../policy/settings.ts';
import { candidateExclusive, newCommitmentValid } from '../ratchet/rules.ts';
import { refuse, refuseForNow } from '../refusal.ts';
import { fundingStatus } from './commitments.ts';

/** The funding that is buried in the place of the named one; null while none is. Without a chain view, the named one. */
export function buriedFunding(
  ctx: Context,
  channel: OpenChannel,
  named: FundingCandidate,
): FundingCandidate | null {
  const { chain } = ctx;
  if (chain === null) return named;
  const { record } = channel;
  const others = record.candidates.filter((one) => one !== named && !one.isSplice && isBacked(record, one));
  const eligible = named.isSplice ? [named] : [named, ...others];
  const buried = eligible.find((one) => isBuried(ctx, chain, channel, one));
  if (buried !== undefined) return buried;
  return isZeroConf(ctx.policy, scopeOf(channel.record)) && !named.isSplice ? named : null;
}

function isBuried(
  ctx: Context,
  chain: ChainView,
  channel: OpenChannel,
  candidate: FundingCandidate,
): boolean {
  const status = fundingStatus(ctx, chain, channel, candidate);
  const { fundingDepthBlocks } = limitsFor(ctx.policy, scopeOf(channel.record));
  return status.kind === 'confirmed' && status.depthBlocks >= fundingDepthBlocks;
}

/** As `buriedFunding`, for what may only happen once it is. */
export function requireBuriedFunding(
  ctx: Context,
  channel: OpenChannel,
  named: FundingCandidate,
): FundingCandidate {
  return (
    buriedFunding(ctx, channel, named) ??
    refuseForNow(newCommitmentValid, 'this funding is not buried yet by the signer’s own view of the chain', {
      outpoint: outPointToString(named.outpoint),
      height: ctx.chain?.heightBlocks ?? 'none',
    })
  );
}

/**
 * For a commitment beyond number 0 on a round of the opening that is not the locked one: it would move the channel there, and
 * with it what the owner can publish. The chain has the say in it, as with lock_outpoint; without a view nobody has.
 */
export function requireMinedRound(
  ctx: Context,
  channel: OpenChannel,
  candidate: FundingCandidate,
  number: number,
): void {
  if (ctx.chain === null || number === 0 || !isDormant(channel.record, candidate)) return;
  const buried = requireBuriedFunding(ctx, channel, candidate);
  if (buried === candidate) return;
  refuse(candidateExclusive, 'the chain has another funding of this channel', {
    outpoint: outPointToString(candidate.outpoint),
    buried: outPointToString(buried.outpoint),
  });
}
