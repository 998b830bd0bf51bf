/**
 * Spends of the funding that are not commitments: mutual closes and splices. What a transaction is decides what is
 * asked, not the message it came in: a commitment hidden in a close is judged as a commitment.
 */
import {
  classify,
  commitmentNumberFrom,
  equalBytes,
  isCommitmentForm,
  type OutPoint,
  type Transaction,
  txid,
  txidToHex,
} from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import { markFundingSigned } from '../channel/funding-signed.ts';
import {
  clientChannel,
  type OpenChannel,
  requireCandidate,
  requireChannel,
  requireUnfrozenChannel,
  saveChannel,
} from '../channel/lookup.ts';
import { type ChannelRecord, type FundingCandidate, SPLICES_MAX } from '../channel/record.ts';
import type { Context } from '../context.ts';
import { malformed } from '../form.ts';
import { refuse } from '../refusal.ts';
import type { Release } from '../release.ts';
import { chargeCommitmentFee, judgeClose } from '../spending/close.ts';
import { judgeShares, judgeSplice } from '../spending/splice.ts';
import { fundingSighash, obscureFactorOf, requireCommitmentNumber } from './commitment.ts';
import { isClosing, signHolderCommitment, singleInput } from './holder.ts';
import { holderNotRevoked, newCommitmentValid, revokeNotClosed } from './rules.ts';

/** sign_commitment_tx (5): our own commitment for broadcast, or the agreed close again. */
export function signCommitmentTx(ctx: Context, request: MessageOf<'hsmd_sign_commitment_tx'>): Release {
  const channel = requireUnfrozenChannel(ctx, { peerId: request.peerId, dbid: request.channelDbid });
  const { tx } = request.tx;
  const candidate = requireFunding(channel, singleInput(tx), request.remoteFundingKey);
  if (isCommitmentForm(tx)) {
    const number = requireCommitmentNumber(request.commitNum);
    signHolderCommitment(ctx, channel, candidate, tx, number, txid(tx));
    chargeCommitmentFee(ctx, channel, candidate, tx, number);
  } else {
    signClose(ctx, channel, candidate, tx);
  }
  return {
    kind: 'sign-funding',
    channel: channel.ref,
    sighash: fundingSighash(ctx, channel, candidate, tx),
    reply: 'hsmd_sign_commitment_tx_reply',
  };
}

/** sign_mutual_close_tx (21). `walletHints`: wallet indices at which the node says our output is. */
export function signMutualClose(
  ctx: Context,
  request: MessageOf<'hsmd_sign_mutual_close_tx'>,
  walletHints: readonly number[] = [],
): Release {
  const channel = requireUnfrozenChannel(ctx, clientChannel(ctx));
  const { tx } = request.tx;
  const candidate = requireFunding(channel, singleInput(tx), request.remoteFundingKey);
  if (isCommitmentForm(tx)) {
    const number = carriedNumber(ctx, channel, tx);
    signHolderCommitment(ctx, channel, candidate, tx, number, txid(tx));
    chargeCommitmentFee(ctx, channel, candidate, tx, number);
  } else signClose(ctx, channel, candidate, tx, 0, walletHints);
  return {
    kind: 'sign-funding',
    channel: channel.ref,
    sighash: fundingSighash(ctx, channel, candidate, tx),
    reply: 'hsmd_sign_tx_reply',
  };
}

/** The number a commitment-shaped transaction carries, for messages that do not name one. */
function carriedNumber(ctx: Context, channel: OpenChannel, tx: Transaction): number {
  const carried = commitmentNumberFrom(tx, obscureFactorOf(ctx, channel));
  return carried === null ? malformed('the transaction carries no commitment number') : Number(carried);
}

/** From here the channel only ends: fee negotiation may repeat, commitments and revocations may not follow. */
function signClose(
  ctx: Context,
  channel: OpenChannel,
  candidate: FundingCandidate,
  tx: Transaction,
  inputIndex = 0,
  walletHints: readonly number[] = [],
): void {
  judgeClose(ctx, channel, candidate, tx, inputIndex, walletHints);
  if (!channel.record.mutualCloseSigned) {
    saveChannel(ctx, channel.id, { ...channel.record, mutualCloseSigned: true });
  }
  markFundingSigned(ctx, tx);
}

/** Signing a splice that the channel moved on without would give it a funding with no commitment of ours. */
function requireCurrentOn(record: ChannelRecord, id: Uint8Array): void {
  for (const { outpoint, setUpAtNumber, validated } of record.candidates) {
    if (!equalBytes(outpoint.txid, id) || setUpAtNumber === record.holderNextRevoke) continue;
    if (validated.some((c) => c.number >= record.holderNextRevoke)) continue;
    refuse(
      newCommitmentValid,
      'the channel moved on without this splice: there is no current commitment on it',
      {
        splice: txidToHex(id),
        first_unrevoked: record.holderNextRevoke,
        first_unrevoked_at_setup: setUpAtNumber,
      },
    );
  }
}

/**
 * The funding a close, a splice or our own commitment spends. After a splice the node may still name the key the peer
 * had before; what is signed is always the script of the key on record.
 */
function requireFunding(
  channel: OpenChannel,
  outpoint: OutPoint,
  remoteFundingKey: Uint8Array,
): FundingCandidate {
  const candidate = requireCandidate(channel, outpoint, null);
  return candidate.isSplice ? candidate : requireCandidate(channel, outpoint, remoteFundingKey);
}

/** sign_splice_tx (29): the input of a splice that spends the funding; other inputs are the wallet's business. */
export function signSplice(ctx: Context, request: MessageOf<'hsmd_sign_splice_tx'>): Release {
  const channel = requireUnfrozenChannel(ctx, clientChannel(ctx));
  const { record } = channel;
  const { tx } = request.tx;
  const input = tx.inputs[request.inputIndex];
  if (input === undefined) {
    malformed('the transaction has no such input', { input: request.inputIndex, inputs: tx.inputs.length });
  }
  const candidate = requireFunding(channel, { txid: input.txid, vout: input.vout }, request.remoteFundingKey);
  if (isCommitmentForm(tx, request.inputIndex)) {
    refuse(holderNotRevoked, 'a transaction in the form of a commitment is not a splice', {
      input: request.inputIndex,
      locktime: tx.locktime,
    });
  }
  if (!createsFunding(tx)) {
    // A close of one channel alone has one input: with more, the sum of all must hold too.
    if (tx.inputs.length > 1) judgeShares(ctx, candidate, request);
    signClose(ctx, requireChannel(ctx, channel.ref), candidate, tx, request.inputIndex);
    return fundingSignature(ctx, channel, candidate, request);
  }
  const id = txid(tx);
  requireCurrentOn(record, id);
  const isKnown = record.splicesSigned.some((known) => equalBytes(known, id));
  if (!isKnown && isClosing(record))
    refuse(revokeNotClosed, 'the channel is closing: no splice', { splice: txidToHex(id) });
  const judged = judgeSplice(ctx, channel, candidate, request);
  if (!isKnown && judged === 'judged') noteSplice(ctx, channel, id);
  return fundingSignature(ctx, channel, candidate, request);
}

/** The record as judging the splice has left it, with the splice among those that are signed. */
function noteSplice(ctx: Context, { id, ref }: OpenChannel, splice: Uint8Array): void {
  const { record } = requireChannel(ctx, ref);
  const splicesSigned = [...record.splicesSigned, splice].slice(-SPLICES_MAX);
  saveChannel(ctx, id, { ...record, splicesSigned });
}

/**
 * A splice creates a new 2-of-2, so it has a P2WSH output; which one is unknown when CLN asks early and the peer rotates
 * its key. What spends the funding without any is a close, whatever message asks for it.
 */
function createsFunding(tx: Transaction): boolean {
  return tx.outputs.some((output) => classify(output.script).type === 'p2wsh');
}

function fundingSignature(
  ctx: Context,
  channel: OpenChannel,
  candidate: FundingCandidate,
  { tx, inputIndex }: MessageOf<'hsmd_sign_splice_tx'>,
): Release {
  return {
    kind: 'sign-funding',
    channel: channel.ref,
    sighash: fundingSighash(ctx, channel, candidate, tx.tx, inputIndex),
    reply: 'hsmd_sign_tx_reply',
  };
}
