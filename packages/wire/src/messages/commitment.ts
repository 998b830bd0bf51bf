/**
 * Messages about commitment transactions: signing, validating and revoking them, their per-commitment points, the HTLC
 * transactions that hang on them, and the mutual close. Source: CLN `hsmd/hsmd_wire.csv`; VLS's forms for LDK.
 */
import { array, bool, octets, option, u32, u64 } from '../codec.ts';
import { amountSat, bitcoinSignature, bitcoinTx, hsmHtlc, peerId, pubkey, secret } from '../hsm-types.ts';
import { reply, request } from './define.ts';

const SIGN_TX_REPLY = ['hsmd_sign_tx_reply'] as const;

const VALUES =
  'Local is the signer’s side, whoever publishes the commitment. Values are those of the outputs, after fee and trimming; 0 of a ' +
  'side without one.';

export const commitmentMessages = {
  hsmd_sign_commitment_tx: request(
    5,
    ['hsmd_sign_commitment_tx_reply'],
    'Signs our own commitment for publication; some CLN paths send a mutual close here.',
    { peerId, channelDbid: u64, tx: bitcoinTx, remoteFundingKey: pubkey, commitNum: u64 },
  ),
  hsmd_sign_commitment_tx_reply: reply(105, 'The funding key’s signature.', { sig: bitcoinSignature }),
  hsmd_validate_commitment_tx: request(
    35,
    ['hsmd_validate_commitment_tx_reply'],
    'The counterparty’s signatures on our next commitment.',
    {
      tx: bitcoinTx,
      htlcs: array(hsmHtlc),
      commitNum: u64,
      feerate: u32,
      sig: bitcoinSignature,
      htlcSigs: array(bitcoinSignature),
    },
  ),
  hsmd_validate_commitment_tx_reply: reply(
    135,
    'The next per-commitment point; below version 5 also the revoked commitment’s secret.',
    { oldCommitmentSecret: option(secret), nextPerCommitmentPoint: pubkey },
  ),
  hsmd_revoke_commitment_tx: request(
    40,
    ['hsmd_revoke_commitment_tx_reply'],
    'Revokes our commitment `commitNum`, whose successor has been validated.',
    { commitNum: u64 },
  ),
  hsmd_revoke_commitment_tx_reply: reply(140, 'The revoked commitment’s secret and the next point.', {
    oldCommitmentSecret: secret,
    nextPerCommitmentPoint: pubkey,
  }),
  hsmd_validate_revocation: request(
    36,
    ['hsmd_validate_revocation_reply'],
    'The counterparty’s secret for its commitment `revokeNum`.',
    { revokeNum: u64, perCommitmentSecret: secret },
  ),
  hsmd_validate_revocation_reply: reply(136, 'Done.', {}),
  hsmd_sign_remote_commitment_tx: request(19, SIGN_TX_REPLY, 'Signs the counterparty’s next commitment.', {
    tx: bitcoinTx,
    remoteFundingKey: pubkey,
    remotePerCommit: pubkey,
    optionStaticRemotekey: bool,
    commitNum: u64,
    htlcs: array(hsmHtlc),
    feerate: u32,
  }),
  hsmd_sign_remote_htlc_tx: request(
    20,
    SIGN_TX_REPLY,
    'Signs an HTLC transaction of the counterparty’s commitment.',
    {
      tx: bitcoinTx,
      wscript: octets,
      remotePerCommitPoint: pubkey,
      optionAnchorOutputs: bool,
    },
  ),
  hsmd_sign_mutual_close_tx: request(21, SIGN_TX_REPLY, 'Signs a mutual close.', {
    tx: bitcoinTx,
    remoteFundingKey: pubkey,
  }),
  hsmd_sign_splice_tx: request(29, SIGN_TX_REPLY, 'Signs the old funding input of a splice.', {
    tx: bitcoinTx,
    remoteFundingKey: pubkey,
    inputIndex: u32,
  }),
  hsmd_sign_tx_reply: reply(112, 'The signature of the input asked for.', { sig: bitcoinSignature }),
  hsmd_get_per_commitment_point: request(
    18,
    ['hsmd_get_per_commitment_point_reply'],
    'Our per-commitment point `n`.',
    { n: u64 },
  ),
  hsmd_get_per_commitment_point_reply: reply(118, 'The point; below version 6 also the secret of `n` − 2.', {
    perCommitmentPoint: pubkey,
    oldCommitmentSecret: option(secret),
  }),
  hsmd_check_future_secret: request(
    22,
    ['hsmd_check_future_secret_reply'],
    'Does the peer know our secret `n`, so that we have lost state? (option_data_loss_protect)',
    { n: u64, commitmentSecret: secret },
  ),
  hsmd_check_future_secret_reply: reply(122, 'Whether it is our secret.', { correct: bool }),

  vls_sign_local_htlc_tx: request(16, SIGN_TX_REPLY, 'Signs an HTLC transaction of our own commitment.', {
    commitNum: u64,
    tx: bitcoinTx,
    wscript: octets,
    optionAnchorOutputs: bool,
  }),
  vls_sign_local_commitment_tx2: request(
    1005,
    ['hsmd_sign_commitment_tx_reply'],
    'Signs our own commitment for publication: the one that was validated last under this number.',
    { commitNum: u64 },
  ),
  vls_get_per_commitment_point2: request(
    1018,
    ['vls_get_per_commitment_point2_reply'],
    'Our per-commitment point, and never a secret.',
    { n: u64 },
  ),
  vls_get_per_commitment_point2_reply: reply(1118, 'The point.', { perCommitmentPoint: pubkey }),
  vls_sign_remote_commitment_tx2: request(
    1019,
    ['vls_sign_commitment_tx_with_htlcs_reply'],
    'Signs the counterparty’s next commitment, which the signer builds itself, and its HTLC transactions. ' +
      `${VALUES} HTLCs: all that have an output, in any order.`,
    {
      remotePerCommit: pubkey,
      commitNum: u64,
      feerate: u32,
      toLocalValue: amountSat,
      toRemoteValue: amountSat,
      htlcs: array(hsmHtlc),
    },
  ),
  vls_sign_commitment_tx_with_htlcs_reply: reply(
    1119,
    'The signatures of a commitment and of its HTLC transactions, these in the order of its outputs.',
    { sig: bitcoinSignature, htlcSigs: array(bitcoinSignature) },
  ),
  vls_sign_mutual_close_tx2: request(
    1021,
    SIGN_TX_REPLY,
    'Signs a mutual close, which the signer builds itself: that of closing_signed (BOLT 2). Amounts are those of the outputs, ' +
      '0 of one that is left out. The hint is the wallet index of our output, where it is of one step.',
    {
      toLocalValue: amountSat,
      toRemoteValue: amountSat,
      localScript: octets,
      remoteScript: octets,
      localWalletPathHint: array(u32),
    },
  ),
  vls_validate_commitment_tx2: request(
    1035,
    ['hsmd_validate_commitment_tx_reply'],
    'The counterparty’s signatures on our next commitment, which the signer builds itself. ' +
      `${VALUES} HTLC signatures in the order of the outputs; their sighash bytes are not read. The reply never has a secret.`,
    {
      commitNum: u64,
      feerate: u32,
      toLocalValue: amountSat,
      toRemoteValue: amountSat,
      htlcs: array(hsmHtlc),
      sig: bitcoinSignature,
      htlcSigs: array(bitcoinSignature),
    },
  ),
} as const;
