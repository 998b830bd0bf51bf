/**
 * From a request to the channel it is about: reading its record, its live candidates, and writing it back.
 */
import { equalBytes, equalOutPoints, type OutPoint, outPointToString, toHex } from '@countersign/bitcoin';
import type { ChannelRef, Context } from '../context.ts';
import { malformed } from '../form.ts';
import { inputMatchFunding } from '../ratchet/form-rules.ts';
import { channelFrozen } from '../ratchet/rules.ts';
import { channelRecords } from '../records/channel.ts';
import { refuse } from '../refusal.ts';
import { countAnchorChannel } from '../spending/reserve.ts';
import { keyUse } from '../spending/rules.ts';
import type { ChannelId, ChannelRecord, ChannelSetup, FundingCandidate } from './record.ts';

export function channelId(ref: ChannelRef): ChannelId {
  return `${toHex(ref.peerId)}/${ref.dbid}`;
}

/** The channel the client is bound to; a request that needs one from a client without is malformed. */
export function clientChannel(ctx: Context): ChannelRef {
  return ctx.client.channel ?? malformed('this request needs a client bound to a channel');
}

export interface OpenChannel {
  readonly ref: ChannelRef;
  readonly id: ChannelId;
  readonly record: ChannelRecord;
  readonly setup: ChannelSetup;
}

/** The channel's record with its parameters known; refuses for a channel that was never set up. */
export function requireChannel(ctx: Context, ref: ChannelRef): OpenChannel {
  const id = channelId(ref);
  const record = ctx.draft.get(channelRecords, id);
  if (record === null || record.setup === null) {
    malformed('the signer was never told the parameters of this channel (no setup_channel)', { channel: id });
  }
  return { ref, id, record, setup: record.setup };
}

/** As `requireChannel`, and the channel is not frozen, neither by a proof of rollback nor by the operator. */
export function requireUnfrozenChannel(ctx: Context, ref: ChannelRef): OpenChannel {
  const channel = requireChannel(ctx, ref);
  if (channel.record.frozen) {
    refuse(channelFrozen, 'the channel is frozen: a secret of a future commitment proved a rollback', {
      channel: channel.id,
    });
  }
  requireReleased(channel);
  return channel;
}

/** The operator's kill switch is not on. */
export function requireReleased({ id, record }: OpenChannel): void {
  if (record.stopped) refuse(channelFrozen, 'the operator froze this channel', { channel: id });
}

/**
 * A splice on which no commitment of either side is known yet: setup_channel names the peer's old funding key even if
 * it rotates keys (CLN issue 9499), so the first commitment settles which key it is.
 */
export function isUnsettledSplice(candidate: FundingCandidate): boolean {
  return candidate.isSplice && candidate.issued.length === 0 && candidate.validated.length === 0;
}

/**
 * The candidate funding that `outpoint` names, with the peer's funding key as the request gives it (null: the request
 * names none). For a splice without commitments that key is taken over.
 */
export function requireCandidate(
  channel: OpenChannel,
  outpoint: OutPoint,
  counterpartyFundingKey: Uint8Array | null,
): FundingCandidate {
  const candidate = channel.record.candidates.find((c) => equalOutPoints(c.outpoint, outpoint));
  if (candidate === undefined) {
    refuse(inputMatchFunding, 'the transaction does not spend a funding of this channel', {
      spends: outPointToString(outpoint),
      fundings: channel.record.candidates.map((c) => outPointToString(c.outpoint)).join(','),
    });
  }
  if (
    counterpartyFundingKey !== null &&
    !equalBytes(candidate.counterpartyFundingKey, counterpartyFundingKey)
  ) {
    if (isUnsettledSplice(candidate)) return { ...candidate, counterpartyFundingKey };
    refuse(inputMatchFunding, "the peer's funding key is not the one this funding was set up with", {
      given: toHex(counterpartyFundingKey),
      known: toHex(candidate.counterpartyFundingKey),
    });
  }
  return candidate;
}

/** A key of a peer must be its own: with ours in its place our one signature would count for both. */
export function requireForeignKey(ctx: Context, ref: ChannelRef, key: Uint8Array, name: string): void {
  if (!ctx.secp.isPublicKey(key)) malformed('a key of the peer is no point on the curve', { key: name });
  const ours = [...Object.values(ctx.keys.basepoints(ref)), ctx.keys.fundingPublicKey(ref)];
  if (ours.some((own) => equalBytes(own, key)))
    refuse(keyUse, 'a key of the peer is one of ours', { key: name });
}

/** The record with this candidate in the place of the one with its outpoint. */
export function replaceCandidate(record: ChannelRecord, candidate: FundingCandidate): ChannelRecord {
  return {
    ...record,
    candidates: record.candidates.map((c) =>
      equalOutPoints(c.outpoint, candidate.outpoint) ? candidate : c,
    ),
  };
}

/** HTLCs in all commitments of one record together; keeps it far below the journal's record limit. */
const HTLC_RECORDS_MAX = 16_000;

/** Writes the record; refuses one that thousands of HTLCs in many variants have blown up. */
export function saveChannel(ctx: Context, id: ChannelId, record: ChannelRecord): void {
  let htlcs = 0;
  for (const { validated, issued } of record.candidates) {
    for (const commitment of validated) htlcs += commitment.htlcs.length;
    for (const commitment of issued) htlcs += commitment.htlcs.length;
  }
  if (htlcs > HTLC_RECORDS_MAX) {
    malformed('too many HTLCs in all unrevoked commitments of this channel', {
      htlcs,
      htlcs_max: HTLC_RECORDS_MAX,
    });
  }
  countAnchorChannel(ctx.draft, ctx.draft.get(channelRecords, id), record);
  ctx.draft.put(channelRecords, id, record);
}
