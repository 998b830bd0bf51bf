/**
 * Messages that spend on chain: the wallet's own transactions, and what a closed channel leaves to sweep.
 * Source: CLN `hsmd/hsmd_wire.csv`.
 */
import { array, bool, octets, option, u32, u64 } from '../codec.ts';
import { bitcoinTx, hsmUtxo, peerId, pubkey, secret, wallyPsbt } from '../hsm-types.ts';
import { reply, request } from './define.ts';

const SIGN_TX_REPLY = ['hsmd_sign_tx_reply'] as const;
/** The form lightningd sends on onchaind's behalf names the input and the channel. */
const onBehalf = { input: u32, peerid: peerId, channelDbid: u64 };

export const onchainMessages = {
  hsmd_sign_withdrawal: request(7, ['hsmd_sign_withdrawal_reply'], 'Signs wallet inputs of a transaction.', {
    inputs: array(hsmUtxo),
    psbt: wallyPsbt,
  }),
  hsmd_sign_withdrawal_reply: reply(107, 'The PSBT with our signatures.', { psbt: wallyPsbt }),
  hsmd_sign_delayed_payment_to_us: request(
    12,
    SIGN_TX_REPLY,
    'Sweeps a to_local output of our own commitment.',
    {
      commitNum: u64,
      tx: bitcoinTx,
      wscript: octets,
    },
  ),
  hsmd_sign_remote_htlc_to_us: request(
    13,
    SIGN_TX_REPLY,
    'Sweeps an HTLC of the counterparty’s commitment.',
    {
      remotePerCommitmentPoint: pubkey,
      tx: bitcoinTx,
      wscript: octets,
      optionAnchorOutputs: bool,
    },
  ),
  hsmd_sign_penalty_to_us: request(
    14,
    SIGN_TX_REPLY,
    'Takes an output of a revoked commitment (watchtower too).',
    {
      revocationSecret: secret,
      tx: bitcoinTx,
      wscript: octets,
    },
  ),
  hsmd_sign_any_delayed_payment_to_us: request(142, SIGN_TX_REPLY, 'As 12, for a named channel.', {
    commitNum: u64,
    tx: bitcoinTx,
    wscript: octets,
    ...onBehalf,
  }),
  hsmd_sign_any_remote_htlc_to_us: request(143, SIGN_TX_REPLY, 'As 13, for a named channel.', {
    remotePerCommitmentPoint: pubkey,
    tx: bitcoinTx,
    wscript: octets,
    optionAnchorOutputs: bool,
    ...onBehalf,
  }),
  hsmd_sign_any_penalty_to_us: request(144, SIGN_TX_REPLY, 'As 14, for a named channel.', {
    revocationSecret: secret,
    tx: bitcoinTx,
    wscript: octets,
    ...onBehalf,
  }),
  hsmd_sign_any_local_htlc_tx: request(
    146,
    SIGN_TX_REPLY,
    'Signs an HTLC transaction of our own commitment, for a named channel.',
    { commitNum: u64, tx: bitcoinTx, wscript: octets, optionAnchorOutputs: bool, ...onBehalf },
  ),
  hsmd_sign_anchorspend: request(
    147,
    ['hsmd_sign_anchorspend_reply'],
    'Spends our anchor to raise a commitment’s fee.',
    {
      peerid: peerId,
      channelDbid: u64,
      inputs: array(hsmUtxo),
      psbt: wallyPsbt,
    },
  ),
  hsmd_sign_anchorspend_reply: reply(148, 'The PSBT with our signatures.', { psbt: wallyPsbt }),
  hsmd_sign_htlc_tx_mingle: request(
    149,
    ['hsmd_sign_htlc_tx_mingle_reply'],
    'Signs the wallet inputs that pay an HTLC transaction’s fee.',
    { peerid: peerId, channelDbid: u64, inputs: array(hsmUtxo), psbt: wallyPsbt },
  ),
  hsmd_sign_htlc_tx_mingle_reply: reply(150, 'The PSBT with our signatures.', { psbt: wallyPsbt }),
  hsmd_get_output_scriptpubkey: request(
    24,
    ['hsmd_get_output_scriptpubkey_reply'],
    'The script of an output that a unilateral close left to us.',
    { channelId: u64, peerId, commitmentPoint: option(pubkey) },
  ),
  hsmd_get_output_scriptpubkey_reply: reply(124, 'The script.', { script: octets }),
} as const;
