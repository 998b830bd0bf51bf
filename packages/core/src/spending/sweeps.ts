/**
 * Spends of commitment outputs: second-level HTLC transactions of either side, delayed outputs, HTLCs of the peer's
 * commitment, and penalties. Each signs one input with the one key that output is for.
 */
import {
  buildHtlcTransaction,
  derivePublicKey,
  equalBytes,
  type HtlcTransaction,
  htlcOutput,
  htlcScripts,
  OP,
  parseScript,
  psbtSpentOutput,
  segwitV0Sighash,
  serializeNoWitness,
  type Transaction,
  txidToHex,
} from '@countersign/bitcoin';
import { type MessageOf, SIGHASH_ALL, SIGHASH_SINGLE_ANYONECANPAY } from '@countersign/wire';
import {
  channelId,
  clientChannel,
  type OpenChannel,
  requireChannel,
  requireUnfrozenChannel,
} from '../channel/lookup.ts';
import type { CommitmentContent } from '../channel/record.ts';
import type { ChannelRef, Context } from '../context.ts';
import { malformed } from '../form.ts';
import {
  type Broadcaster,
  commitmentKeys,
  htlcSeenBy,
  requireCommitmentNumber,
} from '../ratchet/commitment.ts';
import { singleInput } from '../ratchet/holder.ts';
import { holderNotRevoked } from '../ratchet/rules.ts';
import { channelRecords } from '../records/channel.ts';
import { refuse } from '../refusal.ts';
import type { Release } from '../release.ts';
import { htlcBelongs, keyUse, sighashRule } from './rules.ts';

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
  requireFirstInput(request.tx.tx, input);
  if (!ctx.secp.isPublicKey(request.remotePerCommitmentPoint))
    malformed('the point is no point on the curve');
  requireOurHtlcScript(ctx, channel, request.wscript, request.remotePerCommitmentPoint);
  // A channel that was restored without its record is what the request says it is.
  const setup = ctx.draft.get(channelRecords, channelId(channel))?.setup ?? null;
  if (setup !== null) htlcSighashType(setup.format, request.optionAnchorOutputs);
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

/**
 * An HTLC script of a commitment of the peer has our key where BOLT 3 has remote_htlcpubkey: the one before OP_SWAP.
 * Elsewhere, and for a point of our own, this key would sign second-level transactions of our own commitments.
 */
function requireOurHtlcScript(
  ctx: Context,
  channel: ChannelRef,
  witnessScript: Uint8Array,
  perCommitmentPoint: Uint8Array,
): void {
  const ours = derivePublicKey(ctx.secp, ctx.keys.basepoints(channel).htlc, perCommitmentPoint);
  const elements = parseScript(witnessScript);
  const swap = elements.findIndex(({ opcode }) => opcode === OP.OP_SWAP);
  const key = swap > 0 ? elements[swap - 1]?.data : undefined;
  if (key === undefined || !equalBytes(key, ours)) {
    refuse(keyUse, 'the script is none of an HTLC of the peer that our HTLC key may claim', {
      script_bytes: witnessScript.length,
    });
  }
}

/** sign_remote_htlc_tx (20): our signature on a second-level transaction of a commitment of the peer. */
export function signRemoteHtlcTx(ctx: Context, request: MessageOf<'hsmd_sign_remote_htlc_tx'>): Release {
  const channel = requireUnfrozenChannel(ctx, clientChannel(ctx));
  const spends = singleInput(request.tx.tx);
  // Variants may be one transaction: a script of the peer's HTLC does not hold its expiry, the HTLC transaction does.
  const variants = channel.record.candidates
    .flatMap((candidate) => candidate.issued)
    .filter((commitment) => equalBytes(commitment.txid, spends.txid));
  const point = channel.record.counterpartyPoints.find((p) => p.number === variants[0]?.number);
  if (point === undefined || !equalBytes(point.point, request.remotePerCommitPoint)) {
    refuse(htlcBelongs, 'the transaction does not spend an unrevoked commitment of the peer that we signed', {
      spends: txidToHex(spends.txid),
      commitment_known: variants.length > 0,
    });
  }
  const sighashType = htlcSighashType(channel.setup.format, request.optionAnchorOutputs);
  const htlcTx = requireHtlcTransaction(ctx, channel, 'counterparty', point.point, variants, request);
  return {
    kind: 'sign-htlc',
    channel: channel.ref,
    perCommitmentPoint: point.point,
    sighash: htlcSighash(htlcTx, sighashType),
    sighashType,
  };
}

/** sign_any_local_htlc_tx (146): our own signature on a second-level transaction of our own commitment. */
export function signLocalHtlcTx(ctx: Context, request: MessageOf<'hsmd_sign_any_local_htlc_tx'>): Release {
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
  const validated = record.candidates
    .flatMap((candidate) => candidate.validated)
    .find((c) => c.number === number && equalBytes(c.txid, spends.txid));
  if (validated === undefined) {
    refuse(
      htlcBelongs,
      'the transaction does not spend the commitment that was validated under this number',
      { number, spends: txidToHex(spends.txid) },
    );
  }
  const sighashType = htlcSighashType(channel.setup.format, request.optionAnchorOutputs);
  const point = ctx.keys.perCommitmentPoint(channel.ref, number);
  const htlcTx = requireHtlcTransaction(ctx, channel, 'holder', point, [validated], request);
  return {
    kind: 'sign-htlc',
    channel: channel.ref,
    perCommitmentPoint: point,
    sighash: htlcSighash(htlcTx, sighashType),
    sighashType,
  };
}

/**
 * The second-level transaction of the HTLC whose script the request names, rebuilt from the commitment on record. The
 * request's must be the same: any other output would leave the channel without the delay and the revocation path.
 */
function requireHtlcTransaction(
  ctx: Context,
  channel: OpenChannel,
  broadcaster: Broadcaster,
  perCommitmentPoint: Uint8Array,
  variants: readonly CommitmentContent[],
  request: { readonly tx: WireTx; readonly wscript: Uint8Array },
): HtlcTransaction {
  const { setup } = channel;
  const keys = commitmentKeys(ctx, channel, broadcaster, perCommitmentPoint);
  const scripts = htlcScripts(keys, setup.format);
  const outputIndex = request.tx.tx.inputs[0]!.vout;
  const toSelfDelayBlocks =
    broadcaster === 'holder' ? setup.holderToSelfDelayBlocks : setup.counterpartyToSelfDelayBlocks;
  const asked = serializeNoWitness(request.tx.tx);
  for (const { feeratePerKw, txid: commitmentTxid, htlcs } of variants) {
    const params = { format: setup.format, feeratePerKw, toSelfDelayBlocks, keys, commitmentTxid };
    for (const [htlcIndex, record] of htlcs.entries()) {
      const htlc = htlcSeenBy(broadcaster, record);
      const { witnessScript } = htlcOutput(scripts, htlc, htlcIndex);
      if (!equalBytes(witnessScript, request.wscript)) continue;
      // HTLCs equal in script may differ in amount, and then in their transactions.
      const built = buildHtlcTransaction(params, { outputIndex, htlcIndex, htlc, witnessScript });
      if (equalBytes(serializeNoWitness(built.transaction), asked)) return built;
    }
  }
  refuse(htlcBelongs, 'this is not the transaction BOLT 3 gives an HTLC of that commitment', {
    commitment: txidToHex(request.tx.tx.inputs[0]!.txid),
    output: outputIndex,
    variants: variants.length,
  });
}

const htlcSighash = (tx: HtlcTransaction, sighashType: number): Uint8Array =>
  segwitV0Sighash(tx.transaction, 0, tx.spent.witnessScript, tx.spentSat, sighashType);

function htlcSighashType(format: string, optionAnchorOutputs: boolean): number {
  if (optionAnchorOutputs !== (format === 'anchors_zero_fee_htlc')) {
    refuse(sighashRule, 'the request and the channel disagree on anchors, which decide the signature hash', {
      option_anchor_outputs: optionAnchorOutputs,
      channel_type: format,
    });
  }
  return optionAnchorOutputs ? SIGHASH_SINGLE_ANYONECANPAY : SIGHASH_ALL;
}
