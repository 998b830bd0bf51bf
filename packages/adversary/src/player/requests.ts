/**
 * The requests that a node makes about a channel, as CLN sends them: with the witness scripts of a commitment's outputs,
 * HTLC lists that name untrimmed ones only, and rate 0 beside commitment 0. The peer's signatures in them are real.
 */
import type { HsmHtlc, MessageOf } from '@countersign/wire';
import { EMPTY } from '../bitcoin/bytes.ts';
import { makeBitcoinTx, type PsbtInputInfo } from '../bitcoin/psbt.ts';
import { SIGHASH } from '../bitcoin/sighash.ts';
import type { Tx } from '../bitcoin/transaction.ts';
import type { ChannelKind } from '../bolt3/scripts.ts';
import type { Channel } from './channel.ts';
import { type Built, fundingSighash, peerHtlcSignatures } from './commitments.ts';
import type { Htlc } from './state.ts';

type Sat = MessageOf<'hsmd_setup_channel'>['channelValue'];
type Msat = HsmHtlc['amount'];
type Sighash = MessageOf<'hsmd_sign_tx_reply'>['sig']['sighash'];

/** Plain amounts become the wire's here; one out of range can't be encoded, and then it is not sent. */
export const wireSat = (sat: bigint): Sat => sat as Sat;
export const wireMsat = (msat: bigint): Msat => msat as Msat;

const FEATURES: Readonly<Record<ChannelKind, Uint8Array>> = {
  static_remotekey: Uint8Array.of(0x10, 0x00),
  anchors_zero_fee_htlc: Uint8Array.of(0x40, 0x10, 0x00),
};

export const hasAnchors = (channel: Channel): boolean => channel.terms.format === 'anchors_zero_fee_htlc';

export const wireHtlc = (htlc: Htlc): HsmHtlc => ({
  side: htlc.offeredBy === 'owner' ? 'local' : 'remote',
  amount: wireMsat(htlc.amountMsat),
  paymentHash: htlc.paymentHash,
  cltvExpiry: htlc.cltvExpiry,
});

export function setupRequest(channel: Channel): MessageOf<'hsmd_setup_channel'> {
  const { terms, peer, funding } = channel;
  return {
    name: 'hsmd_setup_channel',
    isOutbound: terms.isOwnerFunder,
    channelValue: wireSat(terms.capacitySat),
    pushValue: terms.pushMsat,
    fundingTxid: funding.txid,
    fundingTxout: funding.vout,
    localToSelfDelay: terms.delayBlocks.peer,
    localShutdownScript: EMPTY,
    localShutdownWalletIndex: undefined,
    remoteBasepoints: {
      revocation: peer.points.revocation,
      payment: peer.points.payment,
      htlc: peer.points.htlc,
      delayedPayment: peer.points.delayedPayment,
    },
    remoteFundingPubkey: peer.points.funding,
    remoteToSelfDelay: terms.delayBlocks.owner,
    remoteShutdownScript: EMPTY,
    channelType: FEATURES[terms.format],
  };
}

/** The commitment as the wire carries it. */
export function commitmentTx(channel: Channel, built: Built) {
  return makeBitcoinTx(
    built.tx,
    [{ utxo: channel.fundingOutput() }],
    built.outputs.map(({ witnessScript }) => witnessScript),
  );
}

const rateOf = (built: Built): number => (built.number === 0 ? 0 : built.state.feeratePerKw);

export function signRemoteRequest(
  channel: Channel,
  built: Built,
): MessageOf<'hsmd_sign_remote_commitment_tx'> {
  return {
    name: 'hsmd_sign_remote_commitment_tx',
    tx: commitmentTx(channel, built),
    remoteFundingKey: channel.peer.points.funding,
    remotePerCommit: built.point,
    optionStaticRemotekey: true,
    commitNum: BigInt(built.number),
    htlcs: built.htlcs.map(({ htlc }) => wireHtlc(htlc)),
    feerate: rateOf(built),
  };
}

/** One for each HTLC output of the peer's commitment, in their order. */
export function signRemoteHtlcRequests(
  channel: Channel,
  built: Built,
): MessageOf<'hsmd_sign_remote_htlc_tx'>[] {
  return built.htlcs.map((one) => ({
    name: 'hsmd_sign_remote_htlc_tx',
    tx: makeBitcoinTx(one.tx, [{ utxo: one.output }]),
    wscript: one.witnessScript,
    remotePerCommitPoint: built.point,
    optionAnchorOutputs: hasAnchors(channel),
  }));
}

export interface PeerSignatures {
  readonly signature: Uint8Array;
  readonly htlcSignatures: readonly Uint8Array[];
}

export function peerSignatures(channel: Channel, built: Built): PeerSignatures {
  return {
    signature: channel.peerSignature(fundingSighash(channel, built.tx)),
    htlcSignatures: peerHtlcSignatures(channel, built),
  };
}

export function validateRequest(
  channel: Channel,
  built: Built,
  { signature, htlcSignatures }: PeerSignatures,
): MessageOf<'hsmd_validate_commitment_tx'> {
  const htlcSighash = hasAnchors(channel) ? SIGHASH.SINGLE_ANYONECANPAY : SIGHASH.ALL;
  return {
    name: 'hsmd_validate_commitment_tx',
    tx: commitmentTx(channel, built),
    htlcs: built.htlcs.map(({ htlc }) => wireHtlc(htlc)),
    commitNum: BigInt(built.number),
    feerate: rateOf(built),
    sig: { signature, sighash: SIGHASH.ALL },
    htlcSigs: htlcSignatures.map((one) => ({ signature: one, sighash: htlcSighash as Sighash })),
  };
}

export const revokeRequest = (number: number): MessageOf<'hsmd_revoke_commitment_tx'> => ({
  name: 'hsmd_revoke_commitment_tx',
  commitNum: BigInt(number),
});

export const validateRevocationRequest = (
  number: number,
  secret: Uint8Array,
): MessageOf<'hsmd_validate_revocation'> => ({
  name: 'hsmd_validate_revocation',
  revokeNum: BigInt(number),
  perCommitmentSecret: secret,
});

export function signCommitmentRequest(channel: Channel, built: Built): MessageOf<'hsmd_sign_commitment_tx'> {
  return {
    name: 'hsmd_sign_commitment_tx',
    peerId: channel.terms.peerId,
    channelDbid: channel.terms.dbid,
    tx: commitmentTx(channel, built),
    remoteFundingKey: channel.peer.points.funding,
    commitNum: BigInt(built.number),
  };
}

export function mutualCloseRequest(channel: Channel, tx: Tx): MessageOf<'hsmd_sign_mutual_close_tx'> {
  return {
    name: 'hsmd_sign_mutual_close_tx',
    tx: makeBitcoinTx(tx, [{ utxo: channel.fundingOutput() }]),
    remoteFundingKey: channel.peer.points.funding,
  };
}

export const preimagesRequest = (preimages: readonly Uint8Array[]): MessageOf<'countersign_preimages'> => ({
  name: 'countersign_preimages',
  preimages: [...preimages],
});

/** A transaction with one input that is not a commitment's. */
export const spendTx = (tx: Tx, ...inputs: readonly PsbtInputInfo[]) => makeBitcoinTx(tx, inputs);
