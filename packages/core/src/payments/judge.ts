/**
 * Law 3 at work: a step of one channel against the payments it touches. No step may create or increase what goes out of a
 * payment without cover; what a step does to a payment is recorded with it.
 */
import { type Facts, larger, smaller } from '@countersign/bitcoin';
import { liveOnChain } from '../chain/resolution.ts';
import { type LiveCommitment, liveCommitments, scopeOf } from '../channel/live.ts';
import { channelId, type OpenChannel } from '../channel/lookup.ts';
import type { ChannelRecord } from '../channel/record.ts';
import type { Context } from '../context.ts';
import { malformed } from '../form.ts';
import { chargeTransfer } from '../ledger/transfer.ts';
import { type Limits, limitsFor, type PolicyScope } from '../policy/settings.ts';
import { channelRecords } from '../records/channel.ts';
import { isStorableMsat } from '../records/codecs.ts';
import type { RecordKind } from '../records/kind.ts';
import {
  EMPTY_PAYMENT,
  PAYMENT_CHANNELS_MAX,
  type PaymentPart,
  type PaymentRecord,
  paymentRecords,
  TIMED_MAX,
  type TimedAmount,
} from '../records/payment.ts';
import { isRetired, settleSums } from './balance.ts';
import { requireConserved } from './conserve.ts';
import type { FoldedFates } from './fold.ts';
import { NO_BASE, type PartBase, type PartView, partOf } from './part.ts';
import { type CommitmentSums, differingHashes, sumsOf } from './sums.ts';

/** Fates that leave the commitments for the payments' records: those before them are revoked. */
export interface Fold {
  readonly view: 'holder' | 'counterparty';
  readonly fates: FoldedFates;
}

/** The payment before and after the step as it will be seen later. */
export interface LaterStep {
  readonly before: PaymentRecord;
  readonly after: PaymentRecord;
}

/** What the judgement of one hash needs to know of the step. */
export interface PaymentStep {
  readonly channel: OpenChannel;
  readonly scope: PolicyScope;
  readonly limits: Limits;
  readonly hash: string;
  readonly before: PaymentRecord;
  readonly after: PaymentRecord;
  /** Some commitment of this channel shows an incoming HTLC of the hash. */
  readonly hasIncoming: boolean;
  /** HTLCs of the hash that we offer on this channel. */
  readonly offered: readonly TimedAmount[];
  /** The step as it will be once the variants that nobody acknowledged are gone, on every channel. */
  readonly acknowledged: () => LaterStep;
  /** The step as it will be once what the chain shows of other channels is buried. */
  readonly buried: () => LaterStep;
  /** A record of the hash with only what other channels may cover a new offer with: within their in-flight limits. */
  readonly withinLimits: (record: PaymentRecord) => PaymentRecord;
}

/**
 * What stands is cover whatever stands beside it: a stranger can push a channel over its limit at any time, and what that
 * would displace is under way. The limit binds what is newly offered.
 */
export const UNLIMITED_MSAT = 2n ** 63n;

export function judgePayments(
  ctx: Context,
  channel: OpenChannel,
  after: ChannelRecord,
  folds: readonly Fold[] = [],
): void {
  const scope = scopeOf(channel.record);
  const limits = limitsFor(ctx.policy, scope);
  const receivedMaxMsat = UNLIMITED_MSAT;
  const liveBefore = liveCommitments(channel.record);
  const live = liveCommitments(after);
  const folded = foldedAmounts(folds);
  const touched = new Set([...touchedHashes(liveBefore, live, receivedMaxMsat), ...folded.keys()]);
  let transferredMsat = 0n;
  for (const hash of touched) {
    const before = known(ctx, channel.id, hash, liveBefore, receivedMaxMsat);
    const base = addBase(baseOf(before, channel.id), folded.get(hash));
    const present = partOf(channel.id, hash, base, live, receivedMaxMsat);
    const { hasIncoming, offered } = present;
    if (limits.transferVelocity !== null) {
      const past = partOf(channel.id, hash, baseOf(before, channel.id), liveBefore, receivedMaxMsat);
      transferredMsat += present.settledMsat - past.settledMsat;
    }
    const later = (
      ofOther: (other: ChannelRecord) => readonly LiveCommitment[],
      ofOwn: (own: readonly LiveCommitment[]) => readonly LiveCommitment[],
    ): LaterStep => {
      const others = withOthers(ctx, hash, before, channel.id, (other) => ({
        live: ofOther(other),
        receivedMaxMsat,
      }));
      const view = (from: PartBase, commitments: readonly LiveCommitment[]) =>
        partOf(channel.id, hash, from, ofOwn(commitments), receivedMaxMsat);
      const past = settleSums(withPart(others, view(baseOf(before, channel.id), liveBefore).part));
      return { before: past, after: stepped(past, view(base, live)) };
    };
    const withinLimits = (record: PaymentRecord) =>
      withOthers(ctx, hash, record, channel.id, (other) => ({
        live: liveOf(ctx, other),
        receivedMaxMsat: limitsFor(ctx.policy, scopeOf(other)).htlcInflightMaxSat * 1000n,
      }));
    const step: PaymentStep = {
      channel,
      scope,
      limits,
      hash,
      before,
      after: stepped(before, present),
      hasIncoming,
      offered,
      acknowledged: () => later((other) => acknowledged(liveOf(ctx, other)), acknowledged),
      buried: () =>
        later(
          (other) => liveOf(ctx, other, { resolveDepthBlocks: 1 }),
          (own) => own,
        ),
      withinLimits,
    };
    const judged = settleSums(requireConserved(ctx, step));
    requireStorable(judged);
    ctx.draft.put(paymentRecords, hash, isRetired(judged) ? null : judged);
  }
  chargeTransfer(ctx, channel, scope, limits.transferVelocity, transferredMsat);
}

/** Of another channel: what could still reach the chain, or what has. */
function liveOf(
  ctx: Context,
  record: ChannelRecord,
  { resolveDepthBlocks }: Pick<Limits, 'resolveDepthBlocks'> = limitsFor(ctx.policy, scopeOf(record)),
): readonly LiveCommitment[] {
  const read = <T>(kind: RecordKind<T>, id: string) => ctx.draft.get(kind, id);
  return liveOnChain(read, channelId(record), record, resolveDepthBlocks);
}

/**
 * The payment with this channel's part as the step leaves it. What it takes of an approval is used only once it is judged:
 * until then an expired one covers what it did.
 */
function stepped(before: PaymentRecord, { part, isOver }: PartView): PaymentRecord {
  const settled = settleSums(isOver ? closePart(before, part) : withPart(before, part));
  return { ...settled, usedMsat: smaller(settled.usedMsat, before.usedMsat) };
}

/**
 * The payment as it stands before the step. HTLCs that were in flight before there were payment records join it here, as
 * what they are, so that they are no step of this one.
 */
function known(
  ctx: Context,
  channel: string,
  hash: string,
  live: readonly LiveCommitment[],
  receivedMaxMsat: bigint,
): PaymentRecord {
  const record = ctx.draft.get(paymentRecords, hash) ?? EMPTY_PAYMENT;
  if (record.parts.some((part) => part.channel === channel)) return record;
  const { part, isOver } = partOf(channel, hash, NO_BASE, live, receivedMaxMsat);
  return isOver ? record : settleSums(withPart(record, part));
}

/** Hashes of which a commitment that is new, or gone, says something else than its neighbour that stays. */
function touchedHashes(
  before: readonly LiveCommitment[],
  after: readonly LiveCommitment[],
  receivedMaxMsat: bigint,
): Set<string> {
  const touched = new Set<string>();
  const compare = (changed: LiveCommitment, others: readonly LiveCommitment[]) => {
    const neighbour = others.findLast((one) => one.view === changed.view);
    const sums = sumsOf(changed, receivedMaxMsat);
    const known: CommitmentSums = neighbour === undefined ? new Map() : sumsOf(neighbour, receivedMaxMsat);
    for (const hash of differingHashes(sums, known)) touched.add(hash);
  };
  const contents = (list: readonly LiveCommitment[]) => new Set(list.map(({ content }) => content));
  const [old, present] = [contents(before), contents(after)];
  for (const one of after) if (!old.has(one.content)) compare(one, before);
  for (const one of before) if (!present.has(one.content)) compare(one, after);
  return touched;
}

/** The record with the parts of the other channels than `own` as `view` lets their commitments be seen. */
function withOthers(
  ctx: Context,
  hash: string,
  record: PaymentRecord,
  own: string,
  view: (other: ChannelRecord) => {
    readonly live: readonly LiveCommitment[];
    readonly receivedMaxMsat: bigint;
  },
): PaymentRecord {
  const parts = record.parts.map((part) => {
    const other = part.channel === own ? null : ctx.draft.get(channelRecords, part.channel);
    if (other === null) return part;
    const { live, receivedMaxMsat } = view(other);
    return partOf(part.channel, hash, part, live, receivedMaxMsat).part;
  });
  return { ...record, parts };
}

/** Of each view and funding only the variants that came last; the others were never acknowledged. */
function acknowledged(live: readonly LiveCommitment[]): readonly LiveCommitment[] {
  const txids = new Map<string, LiveCommitment>();
  for (const one of live) {
    txids.set(`${one.view} ${one.content.number} ${one.funding}`, one);
  }
  return [...txids.values()];
}

function foldedAmounts(folds: readonly Fold[]): Map<string, PartBase> {
  const amounts = new Map<string, PartBase>();
  for (const { view, fates } of folds) {
    for (const [hash, { settledMsat, creditedMsat }] of fates) {
      const base = amounts.get(hash) ?? NO_BASE;
      amounts.set(
        hash,
        view === 'holder'
          ? { ...base, settledHolderMsat: settledMsat, creditedHolderMsat: creditedMsat }
          : { ...base, settledCounterpartyMsat: settledMsat, creditedCounterpartyMsat: creditedMsat },
      );
    }
  }
  return amounts;
}

export function baseOf(record: PaymentRecord, channel: string): PartBase {
  const part = record.parts.find((one) => one.channel === channel);
  if (part === undefined) return NO_BASE;
  const { settledHolderMsat, settledCounterpartyMsat, creditedHolderMsat, creditedCounterpartyMsat } = part;
  return { settledHolderMsat, settledCounterpartyMsat, creditedHolderMsat, creditedCounterpartyMsat };
}

function addBase(base: PartBase, more: PartBase | undefined): PartBase {
  if (more === undefined) return base;
  return {
    settledHolderMsat: base.settledHolderMsat + more.settledHolderMsat,
    settledCounterpartyMsat: base.settledCounterpartyMsat + more.settledCounterpartyMsat,
    creditedHolderMsat: base.creditedHolderMsat + more.creditedHolderMsat,
    creditedCounterpartyMsat: base.creditedCounterpartyMsat + more.creditedCounterpartyMsat,
  };
}

/** Sums over channels that exist only on paper could be larger than what a record holds. */
function requireStorable(record: PaymentRecord): void {
  const { settledMsat, creditedMsat, incomeMsat, usedMsat, parts } = record;
  const sums = [settledMsat, creditedMsat, incomeMsat, usedMsat, ...parts.flatMap(sumsOfPart)];
  const isTooLong = parts.some(
    ({ outgoing, incoming }) => Math.max(outgoing.length, incoming.length) > TIMED_MAX,
  );
  if (!isTooLong && sums.every(isStorableMsat)) return;
  malformed('more of one payment than can be kept on record', { channels: parts.length });
}

function sumsOfPart(part: PaymentPart): readonly bigint[] {
  const { settledHolderMsat, settledCounterpartyMsat, creditedHolderMsat, creditedCounterpartyMsat } = part;
  const past = [settledHolderMsat, settledCounterpartyMsat, creditedHolderMsat, creditedCounterpartyMsat];
  return [part.outMsat, part.inMsat, part.standingMsat, part.creditMaxMsat, ...past];
}

export function withPart(record: PaymentRecord, part: PaymentPart): PaymentRecord {
  const at = record.parts.findIndex((one) => one.channel === part.channel);
  if (at >= 0) return { ...record, parts: record.parts.with(at, part) };
  if (record.parts.length >= PAYMENT_CHANNELS_MAX) {
    const facts: Facts = { channels: record.parts.length, channels_max: PAYMENT_CHANNELS_MAX };
    malformed('one payment runs over too many channels', facts);
  }
  return { ...record, parts: [...record.parts, part] };
}

/**
 * The channel is through with the hash: what it came to stays with the payment. Where the views do not agree (an HTLC that
 * had an output in one of them only), the worse counts.
 */
function closePart(record: PaymentRecord, part: PaymentPart): PaymentRecord {
  return {
    ...record,
    settledMsat: record.settledMsat + larger(part.settledHolderMsat, part.settledCounterpartyMsat),
    creditedMsat: record.creditedMsat + smaller(part.creditedHolderMsat, part.creditedCounterpartyMsat),
    parts: record.parts.filter((one) => one.channel !== part.channel),
  };
}
