/**
 * Law 1, our own commitments: validate the next one, then reveal the secret of the one before, and sign for
 * broadcast only what was never revoked. A secret leaves the signer only through `releaseSecret`.
 */
import {
  buildHtlcTransactions,
  commitmentNumberFrom,
  countersignatoryHtlcHash,
  countersignatoryHtlcSighash,
  equalBytes,
  fundingScript,
  type OutPoint,
  psbtWitnessScript,
  type Transaction,
  toHex,
  txidToHex,
} from '@countersign/bitcoin';
import { type MessageOf, SIGHASH_ALL } from '@countersign/wire';
import { isDormant, isLocked, onFunding } from '../channel/locking.ts';
import {
  clientChannel,
  isUnsettledSplice,
  type OpenChannel,
  requireCandidate,
  requireReleased,
  requireUnfrozenChannel,
  saveChannel,
} from '../channel/lookup.ts';
import type { ChannelRecord, FundingCandidate, ValidatedCommitment } from '../channel/record.ts';
import type { Context } from '../context.ts';
import { judgeDust } from '../ledger/dust.ts';
import { worstFates } from '../payments/fold.ts';
import { judgePayments } from '../payments/judge.ts';
import { refuse, refuseForNow } from '../refusal.ts';
import type { Release } from '../release.ts';
import { requireMinedRound } from '../time/burial.ts';
import { requireOwnFunding } from '../time/commitments.ts';
import {
  fundingSighash,
  type JudgedCommitment,
  judgeCommitment,
  obscureFactorOf,
  requireCommitmentForm,
  requireCommitmentNumber,
  requireSingleInput,
  sameContent,
} from './commitment.ts';
import { judgedForBroadcast, judgeNext, keepValidated } from './holder-ledger.ts';
import { htlcsFromWire } from './htlcs.ts';
import {
  channelFrozen,
  holderNotRevoked,
  newCommitmentSigned,
  newCommitmentValid,
  retrySame,
  revokeNotClosed,
} from './rules.ts';

/** A signature on a close or on a holder commitment was given: the channel only ends from here. */
export function isClosing(record: ChannelRecord): boolean {
  return record.mutualCloseSigned || record.holderSigned !== null;
}

/** The outpoint a transaction with exactly one input spends. */
export function singleInput(tx: Transaction): OutPoint {
  const input = requireSingleInput(tx);
  return { txid: input.txid, vout: input.vout };
}

/**
 * validate_commitment_tx (35): check everything the peer signed for our commitment and remember it. Gives nothing
 * away by itself; what it allows is the revocation of the commitment before.
 */
export function validateCommitment(ctx: Context, request: MessageOf<'hsmd_validate_commitment_tx'>): Release {
  const asked = requireUnfrozenChannel(ctx, clientChannel(ctx));
  const number = requireCommitmentNumber(request.commitNum);
  const { tx } = request.tx;
  const candidate = requireValidatable(ctx, asked, request.tx);
  requireMinedRound(ctx, asked, candidate, number);
  const channel = onFunding(asked, candidate, number);
  requireValidatableNumber(channel.record, number);
  const point = ctx.keys.perCommitmentPoint(channel.ref, number);
  const judged = judgeCommitment(ctx, channel, candidate, 'holder', point, {
    tx,
    psbt: request.tx.psbt,
    number,
    feeratePerKw: request.feerate,
    htlcs: htlcsFromWire(request.htlcs, candidate.validated.at(-1)),
  });
  const known = candidate.validated.find((c) => c.number === number);
  const isRepeat = known !== undefined && sameContent(known, judged.content);
  if (!isRepeat) requireNewContentAllowed(channel.record, candidate, known, number);
  requirePeerSignatures(ctx, channel, candidate, tx, judged, request);
  if (!isRepeat) {
    keepValidated(ctx, channel, candidate, {
      ...judged.content,
      signature: request.sig.signature,
      htlcSignatures: request.htlcSigs.map((sig) => sig.signature),
    });
  }
  return {
    kind: 'reply',
    reply: {
      name: 'hsmd_validate_commitment_tx_reply',
      oldCommitmentSecret: undefined,
      nextPerCommitmentPoint: ctx.keys.perCommitmentPoint(channel.ref, number + 1),
    },
  };
}

/** The candidate a commitment spends; a splice not settled yet takes the peer's key from the script it spends. */
function requireValidatable(
  ctx: Context,
  channel: OpenChannel,
  wire: MessageOf<'hsmd_validate_commitment_tx'>['tx'],
): FundingCandidate {
  const outpoint = singleInput(wire.tx);
  const candidate = requireCandidate(channel, outpoint, null);
  if (!isUnsettledSplice(candidate)) return candidate;
  const witnessScript = psbtWitnessScript(wire.psbt, 0);
  const key =
    witnessScript === undefined ? null : peerKeyOf(witnessScript, ctx.keys.fundingPublicKey(channel.ref));
  return key === null || !ctx.secp.isPublicKey(key) ? candidate : requireCandidate(channel, outpoint, key);
}

/** The other key of a 2-of-2 funding script of ours, or null when it is no such script. */
function peerKeyOf(witnessScript: Uint8Array, ours: Uint8Array): Uint8Array | null {
  const keys = [witnessScript.subarray(2, 35), witnessScript.subarray(36, 69)];
  const theirs = keys.find((key) => !equalBytes(key, ours));
  if (theirs === undefined || !equalBytes(fundingScript(ours, theirs), witnessScript)) return null;
  return theirs;
}

/** Only the current commitment (again, or on a new candidate funding) and the next one can be validated. */
function requireValidatableNumber(record: ChannelRecord, number: number): void {
  const current = record.holderNextRevoke;
  if (number < current) {
    refuse(holderNotRevoked, 'the commitment is already revoked', { number, first_unrevoked: current });
  }
  if (number > current + 1) {
    refuse(newCommitmentValid, 'commitments are validated one after the other', {
      number,
      first_unrevoked: current,
    });
  }
}

function requireNewContentAllowed(
  record: ChannelRecord,
  candidate: FundingCandidate,
  known: ValidatedCommitment | undefined,
  number: number,
): void {
  if (isClosing(record)) {
    refuse(revokeNotClosed, 'the channel is closing: no new commitment', {
      number,
      mutual_close_signed: record.mutualCloseSigned,
      holder_commitment_signed: record.holderSigned ?? 'none',
    });
  }
  if (number === record.holderNextRevoke) {
    // The current commitment stands since its predecessor was revoked: the peer can't have signed another one.
    if (known !== undefined) {
      refuse(retrySame, 'the current commitment was validated with another content', { number });
    }
    return;
  }
  if (!candidate.validated.some((c) => c.number === number - 1)) {
    refuse(newCommitmentValid, 'the commitment before it was never validated on this funding', { number });
  }
}

/** Every signature of the peer: on the commitment, and one for each HTLC output in output order. */
function requirePeerSignatures(
  ctx: Context,
  channel: OpenChannel,
  candidate: FundingCandidate,
  tx: Transaction,
  judged: JudgedCommitment,
  request: MessageOf<'hsmd_validate_commitment_tx'>,
): void {
  const { number } = judged.content;
  const hash = fundingSighash(ctx, channel, candidate, tx);
  if (
    request.sig.sighash !== SIGHASH_ALL ||
    !ctx.secp.verifyEcdsa(hash, request.sig.signature, candidate.counterpartyFundingKey)
  ) {
    refuse(newCommitmentSigned, "the peer's signature on the commitment is not valid", {
      number,
      sighash_type: request.sig.sighash,
    });
  }
  const outputs = judged.match.htlcOutputs;
  if (request.htlcSigs.length !== outputs.length) {
    refuse(newCommitmentSigned, 'not one HTLC signature for each HTLC output', {
      number,
      signatures: request.htlcSigs.length,
      htlc_outputs: outputs.length,
    });
  }
  const { format } = channel.setup;
  const sighashType = countersignatoryHtlcSighash(format);
  const transactions = buildHtlcTransactions(
    {
      format,
      keys: judged.keys,
      toSelfDelayBlocks: judged.toSelfDelayBlocks,
      feeratePerKw: judged.content.feeratePerKw,
      commitmentTxid: judged.content.txid,
    },
    outputs,
  );
  transactions.forEach((transaction, i) => {
    const signature = request.htlcSigs[i]!;
    const hash = countersignatoryHtlcHash(transaction, format);
    if (
      signature.sighash !== sighashType ||
      !ctx.secp.verifyEcdsa(hash, signature.signature, judged.keys.countersignatoryHtlc)
    ) {
      refuse(newCommitmentSigned, "the peer's signature on an HTLC transaction is not valid", {
        number,
        htlc: i,
        output: transaction.spent.outputIndex,
        payment_hash: toHex(transaction.spent.htlc.paymentHash),
        sighash_type: signature.sighash,
      });
    }
  });
}

/**
 * The candidates on which we hold a commitment and which may still become the funding: to revoke without a successor
 * there would leave nothing to publish. A splice that we never signed can't confirm. (One that we signed before any
 * commitment on it, as CLN does, has nothing to lose by a revocation: that signature is for law 5 to judge.)
 */
export function liveCandidates(record: ChannelRecord): readonly FundingCandidate[] {
  return record.candidates.filter(
    (candidate) =>
      candidate.validated.length > 0 &&
      !isDormant(record, candidate) &&
      (!candidate.isSplice || candidate.fundingSigned || isLocked(record, candidate)),
  );
}

/**
 * The one way a secret leaves the signer. Already revoked: the same secret again. Else the commitment must be the
 * current one, its successor validated on every live candidate, and nothing of this channel signed for broadcast.
 */
export function releaseSecret(ctx: Context, channel: OpenChannel, number: number): void {
  const { record } = channel;
  if (number < record.holderNextRevoke) return;
  if (record.frozen) refuse(channelFrozen, 'a frozen channel revokes nothing', { channel: channel.id });
  requireReleased(channel);
  if (isClosing(record)) {
    refuse(revokeNotClosed, 'the channel is closing: no revocation', {
      number,
      mutual_close_signed: record.mutualCloseSigned,
      holder_commitment_signed: record.holderSigned ?? 'none',
    });
  }
  if (number > record.holderNextRevoke) {
    refuse(newCommitmentValid, 'commitments are revoked one after the other', {
      number,
      first_unrevoked: record.holderNextRevoke,
    });
  }
  const live = liveCandidates(record);
  const behind = live.filter((candidate) => !candidate.validated.some((c) => c.number === number + 1));
  if (live.length === 0 || behind.length > 0) {
    const facts = { number, next: number + 1, fundings_live: live.length, fundings_behind: behind.length };
    if (live.length > 0 && behind.every((candidate) => candidate.isSplice)) {
      refuseForNow(
        newCommitmentValid,
        'a splice we signed is pending and the next commitment is not validated on it; its lock, or that of another funding, ends this',
        facts,
      );
    }
    refuse(newCommitmentValid, 'the next commitment is not validated on every live funding', facts);
  }
  const judged = judgeNext(ctx, channel, number + 1);
  const after: ChannelRecord = {
    ...record,
    holderNextRevoke: number + 1,
    candidates: judged
      .filter(({ candidate }) => !isDormant(record, candidate))
      .map(({ candidate, ledger }) => ({
        ...candidate,
        validated: candidate.validated
          .filter((c) => c.number > number)
          .map((c) => ({ ...c, ledger: ledger === null ? null : { ...ledger, fates: [] } })),
      })),
  };
  judgeDust(ctx, channel, after);
  const stories = judged.flatMap(({ ledger }) => (ledger === null ? [] : [ledger.fates]));
  judgePayments(ctx, channel, after, [{ view: 'holder', fates: worstFates(stories) }]);
  saveChannel(ctx, channel.id, after);
}

/** revoke_commitment_tx (40): the secret of commitment n, and the point of n+2. */
export function revokeCommitment(ctx: Context, request: MessageOf<'hsmd_revoke_commitment_tx'>): Release {
  const channel = requireUnfrozenChannel(ctx, clientChannel(ctx));
  const number = requireCommitmentNumber(request.commitNum);
  releaseSecret(ctx, channel, number);
  return {
    kind: 'revoke-commitment',
    channel: channel.ref,
    number,
    nextPerCommitmentPoint: ctx.keys.perCommitmentPoint(channel.ref, number + 2),
  };
}

/**
 * sign_commitment_tx (5) for a transaction in the form of a commitment: only a validated, unrevoked one, exactly
 * as it was validated last. From then on the channel is closing.
 */
export function signHolderCommitment(
  ctx: Context,
  channel: OpenChannel,
  candidate: FundingCandidate,
  tx: Transaction,
  number: number,
  txidOfRequest: Uint8Array,
): void {
  const { record } = channel;
  // What the transaction is counts, not what the request calls it: CLN has asked to publish a revoked commitment
  // under the number of the current one (after a splice).
  const carried = commitmentNumberFrom(tx, obscureFactorOf(ctx, channel));
  if (carried === null || carried < BigInt(record.holderNextRevoke)) {
    refuse(
      holderNotRevoked,
      'the secret of this commitment has left the signer: publishing it would lose everything',
      { number: carried ?? 'none', number_requested: number, first_unrevoked: record.holderNextRevoke },
    );
  }
  requireCommitmentForm(ctx, channel, tx, number);
  const validated = candidate.validated.find((c) => c.number === number);
  if (validated === undefined || toHex(validated.txid) !== toHex(txidOfRequest)) {
    refuse(holderNotRevoked, 'this is not the commitment that was validated last under its number', {
      number,
      validated: validated === undefined ? 'none' : txidToHex(validated.txid),
    });
  }
  requireOwnFunding(ctx, channel, candidate);
  const holderSigned = Math.min(record.holderSigned ?? number, number);
  if (holderSigned === record.holderSigned && validated.ledger !== null) return;
  const judged = validated.ledger === null ? judgedForBroadcast(ctx, channel, candidate, validated) : record;
  saveChannel(ctx, channel.id, { ...judged, holderSigned });
}
