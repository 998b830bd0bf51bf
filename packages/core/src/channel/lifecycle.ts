/**
 * The requests of a channel's life that are neither its setup nor its commitments: declaring, forgetting, points,
 * the funding outpoint's burial, and the proof that the node lost its state.
 */
import { equalOutPoints, outPointToString } from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import type { Context } from '../context.ts';
import { judgePayments } from '../payments/judge.ts';
import { requireCommitmentNumber } from '../ratchet/commitment.ts';
import { releaseSecret } from '../ratchet/holder.ts';
import { candidateExclusive, newCommitmentValid } from '../ratchet/rules.ts';
import { channelRecords, emptyChannel } from '../records/channel.ts';
import { refuse, refuseForNow } from '../refusal.ts';
import type { Release } from '../release.ts';
import { buriedFunding, requireBuriedFunding } from '../time/burial.ts';
import { isSpentBy, requireNothingLost } from '../time/other-fundings.ts';
import { isLocked, withLock } from './locking.ts';
import {
  channelId,
  clientChannel,
  type OpenChannel,
  requireChannel,
  requireUnfrozenChannel,
  saveChannel,
} from './lookup.ts';
import type { FundingCandidate } from './record.ts';
import { countChannel } from './setup-rules.ts';

/** new_channel (30): always answered, since lightningd dies of a refusal; nothing begins before setup_channel. */
export function newChannel(): Release {
  return { kind: 'reply', reply: { name: 'hsmd_new_channel_reply' } };
}

/** forget_channel (34): marks the record and keeps it (`policy-channel-forget`). */
export function forgetChannel(ctx: Context, request: MessageOf<'hsmd_forget_channel'>): Release {
  const id = channelId({ peerId: request.id, dbid: request.dbid });
  const record = ctx.draft.get(channelRecords, id);
  if (record !== null && !record.forgotten) {
    countChannel(ctx, id, 'forgotten');
    saveChannel(ctx, id, { ...record, forgotten: true });
  }
  return { kind: 'reply', reply: { name: 'hsmd_forget_channel_reply' } };
}

/** get_channel_basepoints (10). */
export function getChannelBasepoints(
  ctx: Context,
  request: MessageOf<'hsmd_get_channel_basepoints'>,
): Release {
  const channel = { peerId: request.peerid, dbid: request.dbid };
  return {
    kind: 'reply',
    reply: {
      name: 'hsmd_get_channel_basepoints_reply',
      basepoints: ctx.keys.basepoints(channel),
      fundingPubkey: ctx.keys.fundingPublicKey(channel),
    },
  };
}

/** get_per_commitment_point (18): points are public; below protocol version 6 the secret of n−2 comes with it. */
export function getPerCommitmentPoint(
  ctx: Context,
  request: MessageOf<'hsmd_get_per_commitment_point'>,
): Release {
  const ref = clientChannel(ctx);
  const number = requireCommitmentNumber(request.n);
  const perCommitmentPoint = ctx.keys.perCommitmentPoint(ref, number);
  if (ctx.protocolVersion >= 6 || number < 2) {
    return {
      kind: 'reply',
      reply: {
        name: 'hsmd_get_per_commitment_point_reply',
        perCommitmentPoint,
        oldCommitmentSecret: undefined,
      },
    };
  }
  const secretNumber = number - 2;
  if (ctx.draft.get(channelRecords, channelId(ref))?.setup == null) {
    refuse(newCommitmentValid, 'no commitment of this channel was ever validated', { number: secretNumber });
  }
  releaseSecret(ctx, requireUnfrozenChannel(ctx, ref), secretNumber);
  return { kind: 'point-and-secret', channel: ref, perCommitmentPoint, secretNumber };
}

/** vls_get_per_commitment_point2 (1018): the point alone, whatever the version. */
export function getPerCommitmentPointAlone(
  ctx: Context,
  request: MessageOf<'vls_get_per_commitment_point2'>,
): Release {
  const number = requireCommitmentNumber(request.n);
  const perCommitmentPoint = ctx.keys.perCommitmentPoint(clientChannel(ctx), number);
  return { kind: 'reply', reply: { name: 'vls_get_per_commitment_point2_reply', perCommitmentPoint } };
}

/**
 * check_future_secret (22): the peer claims to know a secret of ours. If it is right for a number this store never
 * released, the store was rolled back: the channel freezes for good.
 */
export function checkFutureSecret(ctx: Context, request: MessageOf<'hsmd_check_future_secret'>): Release {
  const ref = clientChannel(ctx);
  const number = requireCommitmentNumber(request.n);
  const correct = ctx.keys.isPerCommitmentSecret(ref, number, request.commitmentSecret);
  if (correct) {
    const id = channelId(ref);
    const record = ctx.draft.get(channelRecords, id) ?? emptyChannel(ref.peerId, ref.dbid);
    if (number >= record.holderNextRevoke && !record.frozen)
      saveChannel(ctx, id, { ...record, frozen: true });
  }
  return { kind: 'reply', reply: { name: 'hsmd_check_future_secret_reply', correct } };
}

/**
 * check_outpoint (32): whether the funding is buried, by the signer's own view of the chain; CLN asks again until it is.
 * Without a view there is nothing to check against, and the node is believed, as CLN's own hsmd does.
 */
export function checkOutpoint(ctx: Context, request: MessageOf<'hsmd_check_outpoint'>): Release {
  const isBuried = ctx.chain === null || isFundingBuried(ctx, request);
  return { kind: 'reply', reply: { name: 'hsmd_check_outpoint_reply', isBuried } };
}

function isFundingBuried(ctx: Context, request: MessageOf<'hsmd_check_outpoint'>): boolean {
  const channel = requireChannel(ctx, clientChannel(ctx));
  return buriedFunding(ctx, channel, namedFunding(channel, request)) !== null;
}

interface NamedFunding {
  readonly fundingTxid: Uint8Array;
  readonly fundingTxout: number;
}

function namedFunding(
  { record }: OpenChannel,
  { fundingTxid, fundingTxout }: NamedFunding,
): FundingCandidate {
  const outpoint = { txid: fundingTxid, vout: fundingTxout };
  return (
    record.candidates.find((one) => equalOutPoints(one.outpoint, outpoint)) ??
    refuse(candidateExclusive, 'no funding of this channel was set up with this outpoint', {
      outpoint: outPointToString(outpoint),
    })
  );
}

/** lock_outpoint (37): this candidate is the funding, once it is buried. What is gone with it is `withLock`'s to say. */
export function lockOutpoint(ctx: Context, request: MessageOf<'hsmd_lock_outpoint'>): Release {
  const channel = requireChannel(ctx, clientChannel(ctx));
  const { record, id } = channel;
  const named = namedFunding(channel, request);
  const locked = requireBuriedFunding(ctx, channel, named);
  const { outpoint } = locked;
  if (!locked.validated.some((c) => c.number === record.holderNextRevoke)) {
    refuse(
      newCommitmentValid,
      'no current commitment was validated on this funding: locking it would strand the channel',
      {
        outpoint: outPointToString(outpoint),
        first_unrevoked: record.holderNextRevoke,
      },
    );
  }
  if (locked.isSplice && !locked.fundingSigned && !isLocked(record, locked)) {
    refuseForNow(
      newCommitmentValid,
      'this splice spends our funding and we never signed it: it can not be on the chain',
      { outpoint: outPointToString(outpoint) },
    );
  }
  const next = withLock(record, locked, (splice, funding) => isSpentBy(ctx, funding, splice));
  if (next !== record) {
    requireNothingLost(ctx, channel, next, locked);
    judgePayments(ctx, channel, next);
    saveChannel(ctx, id, next);
  }
  return { kind: 'reply', reply: { name: 'hsmd_lock_outpoint_reply' } };
}
