/**
 * Law 4 for what covers a forward: an incoming HTLC is worth something only on a channel whose funding is buried and
 * unspent. Judged at each step, so that a funding that was buried meanwhile counts.
 */
import { equalBytes, larger } from '@countersign/bitcoin';
import { isFundingOutput } from '../chain/fundings.ts';
import { isBacked } from '../chain/ours.ts';
import { type Burial, burialOfReceived } from '../chain/resolution.ts';
import type { ChainView, OutpointStatus } from '../chain/view.ts';
import { scopeOf } from '../channel/live.ts';
import { isDormant } from '../channel/locking.ts';
import { channelId } from '../channel/lookup.ts';
import type { ChannelRecord, FundingCandidate } from '../channel/record.ts';
import type { Context } from '../context.ts';
import { deficitMsat } from '../payments/balance.ts';
import type { PaymentStep } from '../payments/judge.ts';
import { enforce } from '../policy/enforce.ts';
import { limitsFor } from '../policy/settings.ts';
import { closingRecords } from '../records/chain.ts';
import { channelRecords } from '../records/channel.ts';
import type { RecordKind } from '../records/kind.ts';
import type { PaymentPart, PaymentRecord } from '../records/payment.ts';
import { receivedSpendsActiveUtxo } from './rules.ts';

type Confirmed = Extract<OutpointStatus, { readonly kind: 'confirmed' }>;

export function requireIncomingBuried(
  ctx: Context,
  step: PaymentStep,
  record: PaymentRecord,
  grows: boolean,
): void {
  const { chain } = ctx;
  if (chain === null) return;
  const burial = (part: PaymentPart) =>
    part.standingMsat > 0n ? burialOf(ctx, chain, step, part, grows) : 'buried';
  const isLoose = (part: PaymentPart) => burial(part) !== 'buried';
  const isGone = (part: PaymentPart) => burial(part) === 'gone';
  const loose = record.parts.filter(isLoose);
  if (loose.length === 0) return;
  const missing = missingMsat(ctx, record, isLoose);
  // As everywhere in law 3 no step creates or increases it, so that an HTLC that counts is not replaced by one that doesn't.
  if (missing <= missingMsat(ctx, step.before, isLoose)) return;
  enforce(ctx, receivedSpendsActiveUtxo, step.scope, {
    message: 'the incoming HTLC is on a channel whose funding is not buried deep enough and unspent',
    facts: {
      payment_hash: step.hash,
      channel: step.channel.id,
      incoming_channel: loose[0]!.channel,
      uncovered_msat: missing,
      height: chain.heightBlocks,
    },
    // No block brings back what is spent.
    isTemporary: missingMsat(ctx, record, isGone) <= missingMsat(ctx, step.before, isGone),
  });
}

/**
 * What is credited on a funding that is not buried is worth no more than what stands there: it becomes income at once and covers nothing,
 * or a peer could pay with a channel that it takes back what another one has to pay.
 */
export function withoutYoungCredit(ctx: Context, { channel, before, after }: PaymentStep): PaymentRecord {
  const creditMsat = ({ parts }: PaymentRecord): bigint =>
    parts.find((part) => part.channel === channel.id)?.creditMaxMsat ?? 0n;
  const newMsat = creditMsat(after) - creditMsat(before);
  if (newMsat <= 0n || !isYoung(ctx, channel.record)) return after;
  return { ...after, incomeMsat: larger(after.incomeMsat, before.incomeMsat + newMsat) };
}

/** Open, and on no funding that is buried deep enough for payments. */
export function isYoung(ctx: Context, record: ChannelRecord): boolean {
  if (ctx.chain === null || ctx.draft.get(closingRecords, channelId(record)) !== null) return false;
  return burialOfFundings(ctx, ctx.chain, record) !== 'buried';
}

/** What goes out and is not covered without the incoming HTLCs of these channels. */
function missingMsat(ctx: Context, record: PaymentRecord, isWithout: (part: PaymentPart) => boolean): bigint {
  const parts = record.parts.map((part) =>
    isWithout(part) ? { ...part, inMsat: part.inMsat - part.standingMsat } : part,
  );
  return deficitMsat({ ...record, parts }, ctx.nowSeconds);
}

/** Of the funding of a channel: `gone` when it is spent, or is not what it should be; or of what it was spent by. */
function burialOf(
  ctx: Context,
  chain: ChainView,
  { hash }: PaymentStep,
  { channel }: PaymentPart,
  grows: boolean,
): Burial {
  const record = ctx.draft.get(channelRecords, channel);
  if (record === null) return 'gone';
  const closing = ctx.draft.get(closingRecords, channel);
  if (closing === null) return burialOfFundings(ctx, chain, record);
  // What waits on the chain to be claimed covers what went out before, and nothing new.
  if (grows) return 'gone';
  const { resolveDepthBlocks } = limitsFor(ctx.policy, scopeOf(record));
  const read = <T>(kind: RecordKind<T>, id: string) => ctx.draft.get(kind, id);
  const isBuried = (heightBlocks: number) => chain.heightBlocks - heightBlocks + 1 >= resolveDepthBlocks;
  return burialOfReceived(read, channel, record, closing, hash, isBuried);
}

function burialOfFundings(ctx: Context, chain: ChainView, record: ChannelRecord): Burial {
  const { paymentDepthBlocks } = limitsFor(ctx.policy, scopeOf(record));
  const isOwn = (candidate: FundingCandidate, status: OutpointStatus): status is Confirmed =>
    status.kind === 'confirmed' && isFundingOutput(ctx.keys, record, candidate, status);
  // The node names candidates as it likes: a commitment of ours has to be there, and where a splice has spent it, on that one.
  const isThere = (candidate: FundingCandidate, status: OutpointStatus): boolean =>
    isOwn(candidate, status) &&
    isBacked(record, candidate) &&
    (status.spent === null || isSplice(status.spent.txid));
  const isSplice = (spender: Uint8Array): boolean =>
    record.candidates.some(
      (one) => equalBytes(one.outpoint.txid, spender) && isThere(one, chain.outpoint(one.outpoint)),
    );
  const burials = record.candidates
    .filter((candidate) => !isDormant(record, candidate))
    .map((candidate): Burial => {
      const status = chain.outpoint(candidate.outpoint);
      if (status.kind === 'unknown') return 'awaited';
      if (!isThere(candidate, status)) return 'gone';
      return status.depthBlocks < paymentDepthBlocks ? 'awaited' : 'buried';
    });
  return burials.find((one) => one === 'buried') ?? burials.find((one) => one === 'awaited') ?? 'gone';
}
