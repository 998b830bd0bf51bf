/**
 * Spends of commitment outputs: second-level HTLC transactions of either side, delayed outputs, HTLCs of the peer's
 * commitment, and penalties. Each signs one input with the one key that output is for.
 */
import {
  equalBytes,
  psbtSpentOutput,
  segwitV0Sighash,
  type Transaction,
  txidToHex,
} from '@countersign/bitcoin';
import { type MessageOf, SIGHASH_ALL, SIGHASH_SINGLE_ANYONECANPAY } from '@countersign/wire';
import { clientChannel, requireChannel, requireUnfrozenChannel } from '../channel/lookup.ts';
import type { ChannelRef, Context } from '../context.ts';
import { malformed } from '../form.ts';
import { requireLaws } from '../policy/in-force.ts';
import { requireCommitmentNumber } from '../ratchet/commitment.ts';
import { singleInput } from '../ratchet/holder.ts';
import { holderNotRevoked } from '../ratchet/rules.ts';
import { refuse } from '../refusal.ts';
import type { Release } from '../release.ts';
import { htlcBelongs, sighashRule } from './rules.ts';

/** bitcoin_tx of the hsmd wire: the transaction, and a PSBT with what its inputs spend. */
type WireTx = MessageOf<'hsmd_sign_penalty_to_us'>['tx'];

/** BIP 143 hash of the only input. The witness script must be the one the spent output commits to. */
function onlyInputSighash(wire: WireTx, witnessScript: Uint8Array, sighashType: number): Uint8Array {
  const { tx, psbt } = wire;
  singleInput(tx);
  const spent = psbtSpentOutput(psbt, 0);
  if (spent === undefined) malformed('the PSBT does not say what the input spends');
  return segwitV0Sighash(tx, 0, witnessScript, spent.value, sighashType);
}

/** A request names the input it means; these transactions have only one. */
function requireFirstInput(tx: Transaction, input: number): void {
  if (input !== 0 || tx.inputs.length !== 1) {
    malformed('the transaction has not exactly one input', { input, inputs: tx.inputs.length });
  }
}

/** SINGLE|ANYONECANPAY only where BOLT 3 has it, and never with an output index beyond the outputs. */
function requireSingleOutput(tx: Transaction): void {
  if (tx.outputs.length !== 1) {
    refuse(sighashRule, 'SINGLE|ANYONECANPAY is signed only with one input and one output', {
      inputs: tx.inputs.length,
      outputs: tx.outputs.length,
    });
  }
}

/** sign_penalty_to_us (14) and sign_any_penalty_to_us (144): the revocation key of a revealed secret. */
export function signPenalty(
  ctx: Context,
  channel: ChannelRef,
  request: { readonly tx: WireTx; readonly wscript: Uint8Array; readonly revocationSecret: Uint8Array },
  input = 0,
): Release {
  requireLaws(ctx.policy, 'sweep', 5);
  requireFirstInput(request.tx.tx, input);
  if (!ctx.secp.isPrivateKey(request.revocationSecret)) malformed('the revocation secret is no private key');
  return {
    kind: 'sign-revocation',
    channel,
    revocationSecret: request.revocationSecret,
    sighash: onlyInputSighash(request.tx, request.wscript, SIGHASH_ALL),
  };
}

/** sign_delayed_payment_to_us (12) and its `any` form (142). */
export function signDelayedPayment(
  ctx: Context,
  channel: ChannelRef,
  request: { readonly tx: WireTx; readonly wscript: Uint8Array; readonly commitNum: bigint },
  input = 0,
): Release {
  requireLaws(ctx.policy, 'sweep', 5);
  requireFirstInput(request.tx.tx, input);
  const number = requireCommitmentNumber(request.commitNum);
  return {
    kind: 'sign-delayed',
    channel,
    perCommitmentPoint: ctx.keys.perCommitmentPoint(channel, number),
    sighash: onlyInputSighash(request.tx, request.wscript, SIGHASH_ALL),
  };
}

/** sign_remote_htlc_to_us (13) and its `any` form (143): claim an HTLC output of the peer's commitment. */
export function signRemoteHtlcToUs(
  ctx: Context,
  channel: ChannelRef,
  request: {
    readonly tx: WireTx;
    readonly wscript: Uint8Array;
    readonly remotePerCommitmentPoint: Uint8Array;
    readonly optionAnchorOutputs: boolean;
  },
  input = 0,
): Release {
  requireLaws(ctx.policy, 'sweep', 5);
  requireFirstInput(request.tx.tx, input);
  if (!ctx.secp.isPublicKey(request.remotePerCommitmentPoint))
    malformed('the point is no point on the curve');
  const sighashType = request.optionAnchorOutputs ? SIGHASH_SINGLE_ANYONECANPAY : SIGHASH_ALL;
  if (request.optionAnchorOutputs) requireSingleOutput(request.tx.tx);
  return {
    kind: 'sign-htlc',
    channel,
    perCommitmentPoint: request.remotePerCommitmentPoint,
    sighash: onlyInputSighash(request.tx, request.wscript, sighashType),
    sighashType,
  };
}

/** sign_remote_htlc_tx (20): our signature on a second-level transaction of a commitment of the peer. */
export function signRemoteHtlcTx(ctx: Context, request: MessageOf<'hsmd_sign_remote_htlc_tx'>): Release {
  requireLaws(ctx.policy, 'htlc', 2, 5);
  const channel = requireUnfrozenChannel(ctx, clientChannel(ctx));
  const { tx } = request.tx;
  const spends = singleInput(tx);
  const issued = channel.record.candidates
    .flatMap((candidate) => candidate.issued)
    .find((commitment) => equalBytes(commitment.txid, spends.txid));
  const point = channel.record.counterpartyPoints.find((p) => p.number === issued?.number);
  if (issued === undefined || point === undefined || !equalBytes(point.point, request.remotePerCommitPoint)) {
    refuse(htlcBelongs, 'the transaction does not spend an unrevoked commitment of the peer that we signed', {
      spends: txidToHex(spends.txid),
      commitment_known: issued !== undefined,
    });
  }
  const sighashType = htlcSighashType(channel.setup.format, request.optionAnchorOutputs);
  requireSingleOutput(tx);
  return {
    kind: 'sign-htlc',
    channel: channel.ref,
    perCommitmentPoint: request.remotePerCommitPoint,
    sighash: onlyInputSighash(request.tx, request.wscript, sighashType),
    sighashType,
  };
}

/** sign_any_local_htlc_tx (146): our own signature on a second-level transaction of our own commitment. */
export function signLocalHtlcTx(ctx: Context, request: MessageOf<'hsmd_sign_any_local_htlc_tx'>): Release {
  requireLaws(ctx.policy, 'htlc', 2, 5);
  requireFirstInput(request.tx.tx, request.input);
  const channel = requireChannel(ctx, { peerId: request.peerid, dbid: request.channelDbid });
  const number = requireCommitmentNumber(request.commitNum);
  const { record } = channel;
  if (number < record.holderNextRevoke) {
    refuse(holderNotRevoked, 'the secret of this commitment has left the signer', {
      number,
      first_unrevoked: record.holderNextRevoke,
    });
  }
  const spends = singleInput(request.tx.tx);
  const isKnown = record.candidates.some((candidate) =>
    candidate.validated.some((c) => c.number === number && equalBytes(c.txid, spends.txid)),
  );
  if (!isKnown) {
    refuse(
      htlcBelongs,
      'the transaction does not spend the commitment that was validated under this number',
      {
        number,
        spends: txidToHex(spends.txid),
      },
    );
  }
  const sighashType = htlcSighashType(channel.setup.format, request.optionAnchorOutputs);
  requireSingleOutput(request.tx.tx);
  return {
    kind: 'sign-htlc',
    channel: channel.ref,
    perCommitmentPoint: ctx.keys.perCommitmentPoint(channel.ref, number),
    sighash: onlyInputSighash(request.tx, request.wscript, sighashType),
    sighashType,
  };
}

function htlcSighashType(format: string, optionAnchorOutputs: boolean): number {
  if (optionAnchorOutputs !== (format === 'anchors_zero_fee_htlc')) {
    refuse(sighashRule, 'the request and the channel disagree on anchors, which decide the signature hash', {
      option_anchor_outputs: optionAnchorOutputs,
      channel_type: format,
    });
  }
  return optionAnchorOutputs ? SIGHASH_SINGLE_ANYONECANPAY : SIGHASH_ALL;
}
