/**
 * Law 1 by the chain view: a channel goes on while one funding of it can hold something of ours. Honest rounds of an opening exclude each
 * other, but a peer can have one mined that it alone paid for, beside another, or beside one that our wallet pays for.
 */
import { equalBytes, equalOutPoints, type OutPoint, outPointToString, txidToHex } from '@countersign/bitcoin';
import { closeOf, closesOf } from '../chain/closes.ts';
import { isOnChain } from '../chain/fundings.ts';
import { holdsOurs } from '../chain/ours.ts';
import type { ChainView } from '../chain/view.ts';
import { scopeOf } from '../channel/live.ts';
import { isDormant, isLocked } from '../channel/locking.ts';
import type { OpenChannel } from '../channel/lookup.ts';
import type { ChannelId, ChannelRecord, FundingCandidate } from '../channel/record.ts';
import type { Context } from '../context.ts';
import { type Limits, limitsFor } from '../policy/settings.ts';
import { candidateExclusive } from '../ratchet/rules.ts';
import { type OutputRecord, outputRecords } from '../records/chain.ts';
import { signedTransactionRecords } from '../records/spending.ts';
import { refuseForNow } from '../refusal.ts';

/**
 * For a commitment after the first, ours or the peer's: it would be signed and revoked once for all fundings, but an HTLC of it claimed
 * on each, and what is ours in a round that the channel does not live on be lost with the revocation.
 */
export function requireOneFunding(ctx: Context, { id, record }: OpenChannel): void {
  if (ctx.chain === null || record.candidates.length === 1) return;
  const excludes = exclusionOf(record, (candidate) => spendsOf(ctx, candidate));
  const isRival = (one: FundingCandidate, other: FundingCandidate): boolean => {
    if (other === one || excludes(one, other)) return false;
    if (isDormant(record, one)) return isLocked(record, other);
    return mayBeLost(ctx, id, record, other);
  };
  for (const one of record.candidates) {
    if (!mayBeLost(ctx, id, record, one)) continue;
    const rival = record.candidates.find((other) => isRival(one, other));
    if (rival !== undefined) refuseOther(id, one, rival);
  }
}

/** For a lock: what it drops from the record has nothing of ours. */
export function requireNothingLost(
  ctx: Context,
  { id, record }: OpenChannel,
  after: ChannelRecord,
  locked: FundingCandidate,
): void {
  if (ctx.chain === null) return;
  const excludes = exclusionOf(record, (candidate) => spendsOf(ctx, candidate));
  const lost = record.candidates.find(
    (one) => !after.candidates.includes(one) && mayBeLost(ctx, id, record, one) && !excludes(one, locked),
  );
  if (lost !== undefined) refuseOther(id, lost, locked);
}

/**
 * For a splice that is to be signed: it takes the place of every funding that holds something of ours. Of one that spends another one, a
 * gift of the peer, the HTLCs of the channel could be claimed beside those on the funding that it lives on.
 */
export function requireNothingBeside(
  ctx: Context,
  { id, record }: Pick<OpenChannel, 'id' | 'record'>,
  splice: FundingCandidate,
  inputs: readonly OutPoint[],
): void {
  const excludes = exclusionOf(record, (one) => (one === splice ? inputs : spendsOf(ctx, one)));
  const beside = record.candidates.find(
    (one) => one !== splice && mayBeLost(ctx, id, record, one) && !excludes(one, splice),
  );
  if (beside !== undefined) refuseOther(id, beside, splice);
}

function refuseOther(id: ChannelId, one: FundingCandidate, other: FundingCandidate): never {
  refuseForNow(
    candidateExclusive,
    'another funding of the channel holds something of ours, and both can be on the chain: they can only be closed',
    {
      channel: id,
      funding: outPointToString(other.outpoint),
      other_funding: outPointToString(one.outpoint),
    },
  );
}

/** The chain has it, or what closed it, or a signature of ours can bring it there; and something in it is ours. */
export function mayBeLost(
  ctx: Context,
  id: ChannelId,
  record: ChannelRecord,
  candidate: FundingCandidate,
): boolean {
  if (ctx.chain === null || !holdsOurs(record, candidate)) return false;
  if (isOnChain(ctx, record, candidate)) return true;
  const closes = closesOf((kind, key) => ctx.draft.get(kind, key), id);
  const close = closeOf(closes, candidate.outpoint);
  if (close !== undefined) return close.outputs.length > 0;
  if (!candidate.fundingSigned) return false;
  const output = ctx.draft.get(outputRecords, outPointToString(candidate.outpoint));
  if (output === null) return spendsOf(ctx, candidate).length > 0;
  return (
    output.created === null &&
    isTakenForNow(ctx.chain, limitsFor(ctx.policy, scopeOf(record)), record, output)
  );
}

/** One of its inputs is spent by a stranger's transaction, which a reorg can still undo; one by another round is as good as that round. */
function isTakenForNow(
  { heightBlocks }: ChainView,
  { resolveDepthBlocks }: Limits,
  { candidates }: ChannelRecord,
  { spent }: OutputRecord,
): boolean {
  if (spent === null || candidates.some(({ outpoint }) => equalBytes(outpoint.txid, spent.txid)))
    return false;
  return heightBlocks - spent.heightBlocks + 1 < resolveDepthBlocks;
}

/** Empty for what was signed before the signer kept it, and for what it did not sign. */
const spendsOf = (ctx: Context, { outpoint }: FundingCandidate) =>
  ctx.draft.get(signedTransactionRecords, txidToHex(outpoint.txid))?.spends ?? [];

/** By a transaction that we signed. */
export const isSpentBy = (ctx: Context, funding: FundingCandidate, splice: FundingCandidate): boolean =>
  spendsOf(ctx, splice).some((input) => equalOutPoints(input, funding.outpoint));

/**
 * At most one of the two confirms and stays: they have an input in common, both signed by us; or one of them goes back to the other, in whose
 * place it comes.
 */
function exclusionOf(
  { candidates }: ChannelRecord,
  spends: (candidate: FundingCandidate) => readonly OutPoint[],
): (one: FundingCandidate, other: FundingCandidate) => boolean {
  const known = new Map(candidates.map((candidate) => [candidate, spends(candidate)]));
  const spendsOne = (candidate: FundingCandidate, outpoint: OutPoint): boolean =>
    known.get(candidate)!.some((input) => equalOutPoints(input, outpoint));
  const goesBackTo = (candidate: FundingCandidate, before: FundingCandidate): boolean => {
    // A set is walked to what is added meanwhile.
    const line = new Set([candidate]);
    for (const one of line)
      for (const parent of candidates) if (spendsOne(one, parent.outpoint)) line.add(parent);
    return line.has(before);
  };
  return (one, other) =>
    known.get(one)!.some((input) => spendsOne(other, input)) ||
    goesBackTo(one, other) ||
    goesBackTo(other, one);
}
