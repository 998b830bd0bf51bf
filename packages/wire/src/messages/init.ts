/**
 * Messages that start a signer and hand out its clients: init and its versions, developer settings, new descriptors.
 * Source: CLN `hsmd/hsmd_wire.csv`; 90 and 113 as VLS still speaks them.
 */
import { array, bool, option, u8, u16, u32, u64 } from '../codec.ts';
import {
  bip32KeyVersion,
  chainparams,
  channelSecrets,
  extKey,
  hsmSecretType,
  nodeId,
  passphrase,
  privkey,
  pubkey,
  secret,
  shaseed,
} from '../hsm-types.ts';
import { wirestring } from '../text.ts';
import { tlvStream } from '../tlv.ts';
import { reply, request } from './define.ts';

export const initMessages = {
  hsmd_dev_preinit: request(
    99,
    [],
    'Developer settings before init. CLN sends 1, 3, 5; VLS adds 249 to 252.',
    {
      tlvs: tlvStream({
        failPreapprove: [1, bool],
        noPreapproveCheck: [3, bool],
        warnOnOvergrind: [5, bool],
        allowlist: [249, array(wirestring)],
        seed: [250, secret],
        networkName: [251, wirestring],
        derivationStyle: [252, u8],
      }),
    },
  ),
  hsmd_init: request(
    11,
    ['hsmd_init_reply_v4', 'hsmd_init_reply_failure', 'vls_hsmd_init_reply_v2'],
    'Starts the signer: network, how the secret is opened, and the range of protocol versions the node speaks.',
    {
      bip32KeyVersion,
      chainparams,
      hsmEncryptionKey: option(secret),
      devForcePrivkey: option(privkey),
      devForceBip32Seed: option(secret),
      devForceChannelSecrets: option(channelSecrets),
      devForceChannelSecretsShaseed: option(shaseed),
      hsmWireMinVersion: u32,
      hsmWireMaxVersion: u32,
      tlvs: tlvStream({ hsmPassphrase: [1, passphrase] }),
    },
  ),
  hsmd_init_reply_v4: reply(
    114,
    'The version chosen, the requests the signer knows, and the node’s public keys.',
    {
      hsmVersion: u32,
      hsmCapabilities: array(u32),
      nodeId,
      bip32: extKey,
      bolt12: pubkey,
      tlvs: tlvStream({ hsmSecretType: [1, hsmSecretType], bip86Base: [2, extKey] }),
    },
  ),
  hsmd_init_reply_failure: reply(115, 'Init failed, for example for a wrong passphrase.', {
    errorCode: u32,
    errorMessage: wirestring,
  }),
  hsmd_client_hsmfd: request(
    9,
    ['hsmd_client_hsmfd_reply'],
    'A new client with its peer, channel and permissions.',
    {
      id: nodeId,
      dbid: u64,
      permissions: u64,
    },
  ),
  hsmd_client_hsmfd_reply: reply(109, 'The new client’s descriptor follows.', {}),
  hsmd_dev_memleak: request(33, ['hsmd_dev_memleak_reply'], 'Developer: does the signer leak memory?', {}),
  hsmd_dev_memleak_reply: reply(133, 'Whether it leaks.', { leak: bool }),

  vls_hsmd_dev_preinit: request(
    90,
    ['vls_hsmd_dev_preinit_reply'],
    'Developer settings before init, older form.',
    {
      derivationStyle: u8,
      networkName: wirestring,
      seed: option(secret),
      allowlist: array(wirestring),
    },
  ),
  vls_hsmd_dev_preinit_reply: reply(190, 'The node id of the seed.', { nodeId }),
  vls_hsmd_init_reply_v2: reply(113, 'Reply to init below protocol version 4.', {
    nodeId,
    bip32: extKey,
    bolt12: pubkey,
  }),
  vls_hsmd_init2: request(1011, ['vls_hsmd_init2_reply'], 'Init without negotiation, for LDK.', {
    derivationStyle: u8,
    networkName: wirestring,
    devSeed: option(secret),
    devAllowlist: array(wirestring),
  }),
  vls_hsmd_init2_reply: reply(1111, 'The node’s public keys.', { nodeId, bip32: extKey, bolt12: pubkey }),
  vls_node_info: request(1012, ['vls_node_info_reply'], 'Network and public keys of the running signer.', {}),
  vls_node_info_reply: reply(1112, 'Network and public keys of the running signer.', {
    networkName: wirestring,
    nodeId,
    bip32: extKey,
  }),
  vls_ping: request(1000, ['vls_pong'], 'Is the signer alive?', { id: u16, message: wirestring }),
  vls_pong: reply(1100, 'Answers a ping.', { id: u16, message: wirestring }),
  vls_signer_error: reply(3000, 'A refusal or failure, instead of any other reply.', {
    code: u16,
    message: wirestring,
  }),
} as const;
