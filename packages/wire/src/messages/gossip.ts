/**
 * Messages that sign gossip (BOLT 7): node and channel announcements, channel updates.
 * Source: CLN `hsmd/hsmd_wire.csv`; VLS's 1006 for LDK.
 */
import { octets, u64 } from '../codec.ts';
import { ecdsaSignature, peerId } from '../hsm-types.ts';
import { reply, request } from './define.ts';

export const gossipMessages = {
  hsmd_node_announcement_sig_req: request(
    6,
    ['hsmd_node_announcement_sig_reply'],
    'Signs a node_announcement.',
    {
      announcement: octets,
    },
  ),
  hsmd_node_announcement_sig_reply: reply(106, 'The node key’s signature.', { signature: ecdsaSignature }),
  hsmd_cannouncement_sig_req: request(2, ['hsmd_cannouncement_sig_reply'], 'Signs a channel_announcement.', {
    ca: octets,
  }),
  hsmd_cannouncement_sig_reply: reply(102, 'Signatures of the node and funding keys.', {
    nodeSignature: ecdsaSignature,
    bitcoinSignature: ecdsaSignature,
  }),
  hsmd_sign_any_cannouncement_req: request(
    4,
    ['hsmd_sign_any_cannouncement_reply'],
    'As 2, for a named channel.',
    {
      ca: octets,
      peerid: peerId,
      channelDbid: u64,
    },
  ),
  hsmd_sign_any_cannouncement_reply: reply(104, 'Signatures of the node and funding keys.', {
    nodeSignature: ecdsaSignature,
    bitcoinSignature: ecdsaSignature,
  }),
  hsmd_cupdate_sig_req: request(3, ['hsmd_cupdate_sig_reply'], 'Signs a channel_update.', { cu: octets }),
  hsmd_cupdate_sig_reply: reply(103, 'The channel_update with its signature in place.', { cu: octets }),

  vls_sign_gossip_message: request(
    1006,
    ['vls_sign_gossip_message_reply'],
    'Signs a gossip message of this node: the part that is signed (what follows the signatures), without its type.',
    {
      message: octets,
    },
  ),
  vls_sign_gossip_message_reply: reply(1106, 'The node key’s signature.', { signature: ecdsaSignature }),
} as const;
