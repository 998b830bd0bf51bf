/**
 * BOLT 7 gossip: announcements of the node and its channels, and channel updates. The message type and the place
 * of the signed part are fixed, so nothing else can be brought under these signatures.
 */
import { concat, equalBytes, toHex } from '@countersign/bitcoin';
import { type MessageOf, namesNode } from '@countersign/wire';
import { isDormant } from '../channel/locking.ts';
import { channelId, clientChannel } from '../channel/lookup.ts';
import type { ChannelRef, Context } from '../context.ts';
import { malformed } from '../form.ts';
import { gossipDigest } from '../keys/digests.ts';
import { channelRecords } from '../records/channel.ts';
import { refuse } from '../refusal.ts';
import type { Release } from '../release.ts';
import { keyUse } from '../spending/rules.ts';

/** node_announcement_sig_req (6). */
export function signNodeAnnouncement(request: MessageOf<'hsmd_node_announcement_sig_req'>): Release {
  return {
    kind: 'sign-gossip',
    digest: gossipDigest('node_announcement', request.announcement),
    reply: 'hsmd_node_announcement_sig_reply',
  };
}

/** type ‖ signature ‖ chain_hash ‖ scid ‖ timestamp ‖ flags ‖ cltv ‖ min ‖ base ‖ proportional ‖ max. */
const CHANNEL_UPDATE_BYTES = 2 + 64 + 32 + 8 + 4 + 1 + 1 + 2 + 8 + 4 + 4 + 8;

/** cupdate_sig_req (3): the reply is the update with its signature in place, without what followed it. */
export function signChannelUpdate(request: MessageOf<'hsmd_cupdate_sig_req'>): Release {
  if (request.cu.length < CHANNEL_UPDATE_BYTES) {
    malformed('the channel_update is too short', {
      bytes: request.cu.length,
      bytes_min: CHANNEL_UPDATE_BYTES,
    });
  }
  return {
    kind: 'sign-channel-update',
    digest: gossipDigest('channel_update', request.cu),
    update: request.cu.subarray(0, CHANNEL_UPDATE_BYTES),
  };
}

/** Where the fields of a channel_announcement lie: four signatures, features, chain, scid, two node ids, two keys. */
const ANNOUNCEMENT_FEATURES_AT = 2 + 4 * 64;
const ANNOUNCEMENT_TAIL_BYTES = 32 + 8 + 4 * 33;

export interface Announcement {
  readonly chainHash: Uint8Array;
  readonly nodeIds: readonly Uint8Array[];
  readonly bitcoinKeys: readonly Uint8Array[];
}

/** The whole message, without a byte to spare: a hidden transaction preimage can't follow 258 free bytes. */
function parseAnnouncement(message: Uint8Array): Announcement {
  const read = readAnnouncement(message.subarray(ANNOUNCEMENT_FEATURES_AT));
  return read ?? refuse(keyUse, 'not exactly one channel_announcement', { bytes: message.length });
}

/** The part of a channel_announcement that is signed; null for anything else, if by one byte. */
export function readAnnouncement(message: Uint8Array): Announcement | null {
  const chainAt = 2 + (((message[0] ?? 0) << 8) | (message[1] ?? 0));
  if (message.length !== chainAt + ANNOUNCEMENT_TAIL_BYTES) return null;
  const key = (i: number) => message.subarray(chainAt + 40 + 33 * i, chainAt + 40 + 33 * (i + 1));
  return {
    chainHash: message.subarray(chainAt, chainAt + 32),
    nodeIds: [key(0), key(1)],
    bitcoinKeys: [key(2), key(3)],
  };
}

/** cannouncement_sig_req (2) and sign_any_cannouncement_req (4): node key and funding key sign. */
export function signChannelAnnouncement(
  ctx: Context,
  channel: ChannelRef,
  message: Uint8Array,
  reply: 'hsmd_cannouncement_sig_reply' | 'hsmd_sign_any_cannouncement_reply',
): Release {
  const digest = gossipDigest('channel_announcement', message);
  const announcement = parseAnnouncement(message);
  if (!equalBytes(announcement.chainHash, ctx.policy.network.chainHash)) {
    refuse(keyUse, 'the announcement is for another chain', { chain_hash: toHex(announcement.chainHash) });
  }
  const ours = [
    { what: 'node id', keys: announcement.nodeIds, key: ctx.keys.nodeId() },
    // LDK tells its signer no node id of a peer; its funding key, which follows, is bound to the channel all the same.
    ...(namesNode(channel.peerId)
      ? [{ what: 'peer node id', keys: announcement.nodeIds, key: channel.peerId }]
      : []),
    { what: 'funding key', keys: announcement.bitcoinKeys, key: ctx.keys.fundingPublicKey(channel) },
  ];
  for (const { what, keys, key } of ours) {
    if (!keys.some((k) => equalBytes(k, key))) {
      refuse(keyUse, 'the announcement is not of this channel', { missing: what, key: toHex(key) });
    }
  }
  requirePeerKey(ctx, channel, announcement);
  return { kind: 'sign-channel-announcement', digest, channel, reply };
}

/** The other bitcoin key is the peer's on a funding of this channel; of a channel never set up here none is known. */
function requirePeerKey(ctx: Context, channel: ChannelRef, { bitcoinKeys }: Announcement): void {
  const record = ctx.draft.get(channelRecords, channelId(channel));
  if (record === null || record.setup === null) return;
  const isKnown = record.candidates.some(
    (candidate) =>
      !isDormant(record, candidate) &&
      bitcoinKeys.some((key) => equalBytes(key, candidate.counterpartyFundingKey)),
  );
  if (!isKnown) refuse(keyUse, 'the announcement is not of this channel', { missing: 'peer funding key' });
}

export function signClientChannelAnnouncement(
  ctx: Context,
  request: MessageOf<'hsmd_cannouncement_sig_req'>,
): Release {
  return signChannelAnnouncement(ctx, clientChannel(ctx), request.ca, 'hsmd_cannouncement_sig_reply');
}

/** The signed update as the reply has it: the type, our signature, and the signed rest. */
export function withSignature(update: Uint8Array, signature: Uint8Array): Uint8Array {
  return concat(update.subarray(0, 2), signature, update.subarray(2 + 64));
}
