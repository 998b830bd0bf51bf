/**
 * Law 1, the peer's commitments: sign the next one only when all but the last are revoked, keep every variant
 * until it is revoked, and accept a revocation only with the secret of the point we signed for.
 */
import { equalBytes, insertSecret, lookupSecret, secretIndex, toHex } from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import { fatesOnChain } from '../chain/resolution.ts';
import { lastIssued } from '../channel/live.ts';
import { isDormant, onFunding } from '../channel/locking.ts';
import {
  clientChannel,
  type OpenChannel,
  replaceCandidate,
  requireCandidate,
  requireForeignKey,
  requireUnfrozenChannel,
  saveChannel,
} from '../channel/lookup.ts';
import {
  type ChannelRecord,
  type CommitmentContent,
  type Fate,
  type FundingCandidate,
  type IssuedCommitment,
  type PointRecord,
  VARIANTS_MAX,
} from '../channel/record.ts';
import { keepStubs } from '../channel/stubs.ts';
import type { Context } from '../context.ts';
import { malformed } from '../form.ts';
import { judgeDust } from '../ledger/dust.ts';
import { judgeLedger, type Proposal } from '../ledger/judge.ts';
import { requireLimits } from '../ledger/limits.ts';
import { withDustLimit } from '../ledger/trimming.ts';
import { worstFates } from '../payments/fold.ts';
import { judgePayments } from '../payments/judge.ts';
import { refuse } from '../refusal.ts';
import type { Release } from '../release.ts';
import { keyUse } from '../spending/rules.ts';
import { requireMinedRound } from '../time/burial.ts';
import { requireTime } from '../time/commitments.ts';
import {
  fundingSighash,
  type JudgedCommitment,
  judgeCommitment,
  requireCommitmentNumber,
  sameContent,
} from './commitment.ts';
import { isClosing, singleInput } from './holder.ts';
import { htlcsFromWire } from './htlcs.ts';
import { previousRevoked, retrySame, revokeNotClosed } from './rules.ts';

/** sign_remote_commitment_tx (19): our signature lets the peer publish this commitment. */
export function signCounterpartyCommitment(
  ctx: Context,
  request: MessageOf<'hsmd_sign_remote_commitment_tx'>,
): Release {
  const { channel, sighash } = issueCounterpartyCommitment(ctx, request);
  return { kind: 'sign-funding', channel: channel.ref, sighash, reply: 'hsmd_sign_tx_reply' };
}

/** A commitment of the peer that may be signed; it is on record. */
export interface IssuedForPeer {
  readonly channel: OpenChannel;
  /** What the funding key signs. */
  readonly sighash: Uint8Array;
  readonly judged: JudgedCommitment;
}

/** Judges the commitment and takes it on record, whoever built the transaction. */
export function issueCounterpartyCommitment(
  ctx: Context,
  request: MessageOf<'hsmd_sign_remote_commitment_tx'>,
): IssuedForPeer {
  const asked = requireUnfrozenChannel(ctx, clientChannel(ctx));
  const number = requireCommitmentNumber(request.commitNum);
  const { tx } = request.tx;
  if (!ctx.secp.isPublicKey(request.remotePerCommit))
    malformed('the per-commitment point is no point on the curve');
  if (equalBytes(request.remotePerCommit, ctx.keys.perCommitmentPoint(asked.ref, number))) {
    refuse(keyUse, "the peer's per-commitment point is ours: this would be a commitment of our own", {
      number,
    });
  }
  const candidate = requireCandidate(asked, singleInput(tx), request.remoteFundingKey);
  requireMinedRound(ctx, asked, candidate, number);
  const channel = onFunding(asked, candidate, number);
  // The first commitment on a splice settles the key: it is not one that setup_channel has judged.
  requireForeignKey(ctx, channel.ref, candidate.counterpartyFundingKey, 'funding');
  requireSignableNumber(channel.record, number);
  const points = requirePoint(channel.record, number, request.remotePerCommit);
  const judged = judgeCommitment(ctx, channel, candidate, 'counterparty', request.remotePerCommit, {
    tx,
    psbt: request.tx.psbt,
    number,
    feeratePerKw: request.feerate,
    htlcs: htlcsFromWire(request.htlcs, candidate.issued.at(-1)),
  });
  const { content } = judged;
  const issued = candidate.issued.filter((variant) => variant.number === number);
  const known = issued.find((variant) => sameContent(variant, content));
  if (known === undefined) {
    requireVariantAllowed(channel.record, candidate, issued, number);
    issue(ctx, channel, candidate, content, points);
  } else if (known !== issued.at(-1)) {
    makeLast(ctx, channel, candidate, known);
  }
  const sighash = fundingSighash(ctx, channel, candidate, tx);
  // A repetition is what it was the first time: what hangs on it follows the rate on record, not the one named now.
  return { channel, sighash, judged: { ...judged, content: known ?? content } };
}

function requireSignableNumber(record: ChannelRecord, number: number): void {
  const { counterpartyNextRevoke: unrevoked, counterpartyNextSign: next } = record;
  if (number < unrevoked) {
    refuse(retrySame, 'the peer has revoked this commitment', { number, first_unrevoked: unrevoked });
  }
  if (number > unrevoked + 1) {
    refuse(previousRevoked, 'an older commitment of the peer is not revoked yet', {
      number,
      first_unrevoked: unrevoked,
    });
  }
  if (number > next) {
    refuse(previousRevoked, 'commitments are signed one after the other', { number, next });
  }
}

/** One number has one point, on every funding and in every variant: the secret that revokes it must revoke all. */
function requirePoint(record: ChannelRecord, number: number, point: Uint8Array): readonly PointRecord[] {
  const known = record.counterpartyPoints.find((p) => p.number === number);
  if (known === undefined) return [...record.counterpartyPoints, { number, point }];
  if (!equalBytes(known.point, point)) {
    refuse(retrySame, 'this number was signed with another per-commitment point', {
      number,
      point: toHex(point),
      point_signed: toHex(known.point),
    });
  }
  return record.counterpartyPoints;
}

function requireVariantAllowed(
  record: ChannelRecord,
  candidate: FundingCandidate,
  issued: readonly CommitmentContent[],
  number: number,
): void {
  if (isClosing(record)) {
    refuse(revokeNotClosed, 'the channel is closing: no new commitment of the peer', {
      number,
      mutual_close_signed: record.mutualCloseSigned,
      holder_commitment_signed: record.holderSigned ?? 'none',
    });
  }
  // A splice begins at the number that the peer has acknowledged, also where its next one was signed and a lost link made the node
  // forget it (BOLT 2, "Message Retransmission").
  const isFirstOnSplice = candidate.isSplice && candidate.issued.length === 0;
  if (number < record.counterpartyNextSign - 1 && !isFirstOnSplice) {
    refuse(retrySame, 'a newer commitment is signed: this one can only be repeated as it was', {
      number,
      newest: record.counterpartyNextSign - 1,
      variants: issued.length,
    });
  }
  if (issued.length >= VARIANTS_MAX) {
    refuse(retrySame, 'too many variants of one commitment number', {
      number,
      variants: issued.length,
      variants_max: VARIANTS_MAX,
      fundings: record.candidates.length,
      funding_value_sat: candidate.valueSat,
    });
  }
}

/** An earlier variant was asked for again: it is what the peer gets now, and what its revocation of the one before means. */
function makeLast(
  ctx: Context,
  channel: OpenChannel,
  candidate: FundingCandidate,
  known: IssuedCommitment,
): void {
  if (known.number !== channel.record.counterpartyNextSign - 1) return;
  const others = candidate.issued.filter((variant) => variant !== known);
  saveChannel(
    ctx,
    channel.id,
    replaceCandidate(channel.record, { ...candidate, issued: [...others, known] }),
  );
}

/** A new content, or a variant: laws 2 to 4 judge it as the successor of the number before. */
function issue(
  ctx: Context,
  channel: OpenChannel,
  candidate: FundingCandidate,
  content: CommitmentContent,
  points: readonly PointRecord[],
): void {
  const proposal: Proposal = { view: 'counterparty', candidate, content };
  const step = judgeLedger(ctx, channel, proposal, true);
  requireLimits(ctx, channel, proposal, step);
  const judged = { ...content, ledger: step.ledger };
  keepStubs(ctx, channel.id, candidate.issued, content);
  const record = replaceCandidate(channel.record, { ...candidate, issued: [...candidate.issued, judged] });
  const after: ChannelRecord = {
    ...withDustLimit(channel, record, proposal, step.observed),
    counterpartyPoints: points,
    counterpartyNextSign: Math.max(record.counterpartyNextSign, content.number + 1),
  };
  requireTime(ctx, channel, proposal, step);
  judgeDust(ctx, channel, after);
  judgePayments(ctx, channel, after);
  saveChannel(ctx, channel.id, after);
}

/** validate_revocation (36): the secret must open the point we signed for and chain with all before it. */
export function validateRevocation(ctx: Context, request: MessageOf<'hsmd_validate_revocation'>): Release {
  const channel = requireUnfrozenChannel(ctx, clientChannel(ctx));
  const { record } = channel;
  const number = requireCommitmentNumber(request.revokeNum);
  const done: Release = { kind: 'reply', reply: { name: 'hsmd_validate_revocation_reply' } };
  if (number < record.counterpartyNextRevoke) {
    requireKnownSecret(record, number, request.perCommitmentSecret);
    return done;
  }
  if (number > record.counterpartyNextRevoke || number + 1 >= record.counterpartyNextSign) {
    refuse(previousRevoked, 'no successor of this commitment was signed, or an older one is not revoked', {
      number,
      first_unrevoked: record.counterpartyNextRevoke,
      next_to_sign: record.counterpartyNextSign,
    });
  }
  const signed = record.counterpartyPoints.find((p) => p.number === number);
  if (
    signed === undefined ||
    !ctx.secp.isPrivateKey(request.perCommitmentSecret) ||
    !equalBytes(ctx.secp.publicKey(request.perCommitmentSecret), signed.point)
  ) {
    refuse(previousRevoked, 'the secret does not open the point this commitment was signed with', { number });
  }
  const inserted = insertSecret(
    { entries: record.counterpartySecrets },
    secretIndex(number),
    request.perCommitmentSecret,
  );
  if (!inserted.ok) {
    refuse(previousRevoked, 'the secret does not chain with the ones revealed before (BOLT 3)', { number });
  }
  const { candidates, stories } = withoutRevoked(record, number);
  const after: ChannelRecord = {
    ...record,
    counterpartyNextRevoke: number + 1,
    counterpartySecrets: inserted.store.entries,
    counterpartyPoints: record.counterpartyPoints.filter((p) => p.number > number),
    candidates,
  };
  const onChain = fatesOnChain((kind, key) => ctx.draft.get(kind, key), channel.id, record, number);
  // What was lost in the revoked commitments alone, an invisible HTLC that failed above all, is back; unless the chain has one of them.
  if (onChain.length === 0) judgeDust(ctx, channel, after);
  judgePayments(ctx, channel, after, [{ view: 'counterparty', fates: worstFates([...stories, ...onChain]) }]);
  saveChannel(ctx, channel.id, after);
  return done;
}

/**
 * The fundings without the revoked number. What was settled and credited up to it leaves the commitments for the
 * payments' records, as each funding that may confirm tells it.
 */
function withoutRevoked(
  record: ChannelRecord,
  number: number,
): { readonly candidates: readonly FundingCandidate[]; readonly stories: readonly (readonly Fate[])[] } {
  const stories: (readonly Fate[])[] = [];
  const candidates = record.candidates.map((candidate) => {
    // The successors were judged from the last variant: it is the one the peer revokes, and their fates begin with its own.
    const past = lastIssued(candidate, number)?.ledger?.fates;
    if (past !== undefined && !isDormant(record, candidate)) stories.push(past);
    const issued = candidate.issued
      .filter((variant) => variant.number > number)
      .map((variant) => withoutFates(variant, past?.length ?? 0));
    return { ...candidate, issued };
  });
  return { candidates, stories };
}

function withoutFates(content: CommitmentContent, count: number): CommitmentContent {
  if (count === 0 || content.ledger === null) return content;
  return { ...content, ledger: { ...content.ledger, fates: content.ledger.fates.slice(count) } };
}

/** A repeated revocation must be the one we know; the store can derive every older secret. */
function requireKnownSecret(record: ChannelRecord, number: number, secret: Uint8Array): void {
  const known = lookupSecret({ entries: record.counterpartySecrets }, secretIndex(number));
  if (known === null || !equalBytes(known, secret)) {
    refuse(previousRevoked, 'this commitment was revoked with another secret', { number });
  }
}
