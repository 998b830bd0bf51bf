/**
 * vls_sign_gossip_message (1006): the part of a gossip message that is signed, without its type. Which message it is must
 * therefore follow from its bytes: all of them have a meaning, and only a message of this node on this chain is signed.
 */
import { equalBytes, hash256 } from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import type { Context } from '../context.ts';
import { refuse } from '../refusal.ts';
import type { Release } from '../release.ts';
import { keyUse } from '../spending/rules.ts';
import { readAnnouncement } from './gossip.ts';

export function signUnsignedGossip(ctx: Context, request: MessageOf<'vls_sign_gossip_message'>): Release {
  const { message } = request;
  if (![isChannelUpdate, isChannelAnnouncement, isNodeAnnouncement].some((isIt) => isIt(ctx, message))) {
    refuse(keyUse, 'exactly no gossip message of this node on this chain', { bytes: message.length });
  }
  return { kind: 'sign-gossip', digest: hash256(message), reply: 'vls_sign_gossip_message_reply' };
}

/** chain_hash ‖ scid ‖ timestamp ‖ flags ‖ cltv ‖ min ‖ base ‖ proportional ‖ max. */
const CHANNEL_UPDATE_BYTES = 32 + 8 + 4 + 1 + 1 + 2 + 8 + 4 + 4 + 8;

function isChannelUpdate({ policy }: Context, message: Uint8Array): boolean {
  return (
    message.length === CHANNEL_UPDATE_BYTES && equalBytes(message.subarray(0, 32), policy.network.chainHash)
  );
}

/** The funding keys sign it as well, and judge the channel then (2, 4). */
function isChannelAnnouncement({ policy, keys }: Context, message: Uint8Array): boolean {
  const read = readAnnouncement(message);
  return (
    read !== null &&
    equalBytes(read.chainHash, policy.network.chainHash) &&
    read.nodeIds.some((id) => equalBytes(id, keys.nodeId()))
  );
}

const TIMESTAMP_BYTES = 4;
const NODE_ID_BYTES = 33;
/** rgb_color and alias. */
const LOOKS_BYTES = 3 + 32;

const u16At = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);

/** features ‖ timestamp ‖ node_id ‖ rgb_color ‖ alias ‖ addresses, the first and the last behind their lengths. */
function isNodeAnnouncement({ keys }: Context, message: Uint8Array): boolean {
  const nodeIdAt = 2 + u16At(message, 0) + TIMESTAMP_BYTES;
  const addressesAt = nodeIdAt + NODE_ID_BYTES + LOOKS_BYTES;
  return (
    message.length === addressesAt + 2 + u16At(message, addressesAt) &&
    equalBytes(message.subarray(nodeIdAt, nodeIdAt + NODE_ID_BYTES), keys.nodeId())
  );
}
