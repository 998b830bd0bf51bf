/**
 * Messages of a channel's life apart from its commitments: birth, parameters, funding outpoint, end.
 * Source: CLN `hsmd/hsmd_wire.csv`.
 */
import { bool, octets, option, u16, u32, u64 } from '../codec.ts';
import {
  amountSat,
  basepoints,
  channelType,
  ecdsaSignature,
  peerId,
  pubkey,
  pushValue,
  txid,
} from '../hsm-types.ts';
import { reply, request } from './define.ts';

export const channelMessages = {
  hsmd_new_channel: request(30, ['hsmd_new_channel_reply'], 'Declares a channel with a peer.', {
    id: peerId,
    dbid: u64,
  }),
  hsmd_new_channel_reply: reply(130, 'Done.', {}),
  hsmd_get_channel_basepoints: request(
    10,
    ['hsmd_get_channel_basepoints_reply'],
    'Our basepoints and funding key for a channel.',
    { peerid: peerId, dbid: u64 },
  ),
  hsmd_get_channel_basepoints_reply: reply(110, 'Our basepoints and funding key.', {
    basepoints,
    fundingPubkey: pubkey,
  }),
  hsmd_setup_channel: request(
    31,
    ['hsmd_setup_channel_reply'],
    'The channel’s parameters, fixed from now on; sent again with a new outpoint during a splice.',
    {
      isOutbound: bool,
      channelValue: amountSat,
      pushValue,
      fundingTxid: txid,
      fundingTxout: u16,
      localToSelfDelay: u16,
      localShutdownScript: octets,
      localShutdownWalletIndex: option(u32),
      remoteBasepoints: basepoints,
      remoteFundingPubkey: pubkey,
      remoteToSelfDelay: u16,
      remoteShutdownScript: octets,
      channelType,
    },
  ),
  hsmd_setup_channel_reply: reply(131, 'Done.', {}),
  hsmd_check_outpoint: request(
    32,
    ['hsmd_check_outpoint_reply'],
    'Is the funding outpoint buried in the chain?',
    {
      fundingTxid: txid,
      fundingTxout: u16,
    },
  ),
  hsmd_check_outpoint_reply: reply(132, 'Whether it is.', { isBuried: bool }),
  hsmd_lock_outpoint: request(
    37,
    ['hsmd_lock_outpoint_reply'],
    'This outpoint is the channel’s funding from now on.',
    {
      fundingTxid: txid,
      fundingTxout: u16,
    },
  ),
  hsmd_lock_outpoint_reply: reply(137, 'Done.', {}),
  hsmd_forget_channel: request(34, ['hsmd_forget_channel_reply'], 'The node is done with this channel.', {
    id: peerId,
    dbid: u64,
  }),
  hsmd_forget_channel_reply: reply(134, 'Done.', {}),
  hsmd_sign_option_will_fund_offer: request(
    26,
    ['hsmd_sign_option_will_fund_offer_reply'],
    'Signs a liquidity lease offer (option_will_fund).',
    {
      fundingPubkey: pubkey,
      blockheight: u32,
      channelFeeBaseMaxMsat: u32,
      channelFeeProportionalBasisMax: u16,
    },
  ),
  hsmd_sign_option_will_fund_offer_reply: reply(126, 'The node key’s signature.', { rsig: ecdsaSignature }),
} as const;
