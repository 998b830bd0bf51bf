/**
 * Law 3's judgement of one payment after one step: conserved, or the tag that says how not. An uncovered payment of our
 * own may be approved at this moment by the automatic budgets; nothing else turns a refusal into a yes.
 */
import { type Facts, fromHex, larger, msat } from '@countersign/bitcoin';
import type { Context } from '../context.ts';
import { chargeDust } from '../ledger/dust.ts';
import { hiddenBelowMsat } from '../ledger/trim-line.ts';
import { enforce } from '../policy/enforce.ts';
import type { PaymentRecord, TimedAmount } from '../records/payment.ts';
import { refuse, refuseForNow, refuseUnapproved } from '../refusal.ts';
import { lateStep, refuseLate, requireInTimeCover, untimelyMsat } from '../time/forwards.ts';
import { requireIncomingBuried, withoutYoungCredit } from '../time/incoming.ts';
import { mayAbandon } from './abandon.ts';
import { merchantNoSends, paymentApproved } from './approval-rules.ts';
import { approveUnasked, pendingPayment } from './approvals.ts';
import { coverMsat, deficitMsat, inMsat, outMsat } from './balance.ts';
import { requireWithinApproval } from './fee-budget.ts';
import type { LaterStep, PaymentStep } from './judge.ts';
import { pendingList } from './pending.ts';
import { noRouting, offeredHashMatches, routingBalance, routingBalanced, routingFeeMin } from './rules.ts';
import { withoutAllowance } from './small-payments.ts';

/** The record as the step leaves it, approved and charged where that was needed; or a refusal. */
export function requireConserved(ctx: Context, asked: PaymentStep): PaymentRecord {
  const step = { ...asked, after: withoutYoungCredit(ctx, asked) };
  const grows = outMsat(step.after) > outMsat(step.before);
  const record = grows ? withoutAllowance(ctx, refunded(ctx, step)) : refunded(ctx, step);
  const before = deficitMsat(step.before, ctx.nowSeconds);
  const isHarmless = deficitMsat(record, ctx.nowSeconds) <= before || movesNothing(step.before, record);
  const covered = isHarmless ? record : cover(ctx, step, record, grows);
  // What law 3 let go of for good (`mayAbandon`) has no funding and no order to keep.
  if (!isHarmless && deficitMsat(covered, ctx.nowSeconds) > before) return covered;
  if (grows) requireForward(ctx, step, covered);
  // Where nothing moves, no cover is later or less certain for the income that is booked.
  const timed = movesNothing(step.before, covered)
    ? { ...covered, incomeMsat: step.before.incomeMsat }
    : covered;
  requireIncomingBuried(ctx, step, timed, grows);
  const ordered = inOrder(ctx, step, timed);
  requireInTimeCover(ctx, step, ordered);
  return { ...ordered, incomeMsat: covered.incomeMsat };
}

/**
 * No more goes out and no less comes in: whatever deficit there is, is income that was booked. One view may show a credit that the
 * other never does (an HTLC trimmed there), so that more has become income than is left to cover what the budget of dust carries.
 */
function movesNothing(before: PaymentRecord, after: PaymentRecord): boolean {
  return outMsat(after) <= outMsat(before) && inMsat(after) >= inMsat(before);
}

/** Law 4 as law 3: what ends too late for what is seen to cover it is dust, charged by so much, or refused. */
function inOrder(ctx: Context, step: PaymentStep, record: PaymentRecord): PaymentRecord {
  const late = lateStep(ctx, step, record);
  if (late === null) return record;
  const outgoing = record.parts.flatMap((part) => part.outgoing);
  const alike = outgoing.filter(({ cltvExpiry }) => cltvExpiry >= late.outgoingExpiry);
  if (isDust(ctx, step, late.missingMsat, alike)) return withDustCharged(ctx, step, record, late.missingMsat);
  refuseLate(ctx, step, late);
  return record;
}

function factsOf(step: PaymentStep, record: PaymentRecord): Facts {
  return {
    payment_hash: step.hash,
    channel: step.channel.id,
    out_msat: outMsat(record),
    covered_msat: coverMsat(record),
    approved_msat: record.approval === null ? 0n : (record.approval.amountMsat ?? 0n),
    fee_budget_msat: record.approval?.feeBudgetMsat ?? 0n,
  };
}

/** An invisible cover that is not needed any more, neither in sum nor in time, goes back to the dust budget. */
function refunded(ctx: Context, step: PaymentStep): PaymentRecord {
  const { after } = step;
  if (after.dustChargedMsat === 0n) return after;
  const without = { ...after, dustChargedMsat: 0n };
  const needed = larger(deficitMsat(without, ctx.nowSeconds), untimelyMsat(ctx, step, without));
  if (needed >= after.dustChargedMsat) return after;
  chargeDust(ctx, step.scope, step.channel.id, needed - after.dustChargedMsat);
  return { ...after, dustChargedMsat: needed };
}

/** Something goes out without cover: dust, an approval of our own, or no. */
function cover(ctx: Context, step: PaymentStep, record: PaymentRecord, grows: boolean): PaymentRecord {
  if (!grows) return refuseRelease(ctx, step, record);
  const isOurs = record.invoice !== null || record.approval !== null;
  const isForward = !isOurs && hasIncoming(step, record);
  const approved = isForward ? record : (approve(ctx, step, record) ?? record);
  const missing = deficitMsat(approved, ctx.nowSeconds);
  if (missing === 0n) return approved;
  if (isDust(ctx, step, missing, step.offered)) return withDustCharged(ctx, step, approved, missing);
  return refuseOffer(ctx, step, approved, isForward);
}

/** Some channel has an incoming HTLC of the hash, secured or not: a channel without anything of ours has a part for nothing else. */
function hasIncoming(step: PaymentStep, record: PaymentRecord): boolean {
  return step.hasIncoming || record.parts.some((part) => part.outMsat === 0n) || coverMsat(record) > 0n;
}

/** By the approval there is, once its amount is bound, or by the automatic budgets at this moment. */
function approve(ctx: Context, step: PaymentStep, record: PaymentRecord): PaymentRecord | null {
  const totalMsat = msat(outMsat(record) - coverMsat(record));
  const unasked = approveUnasked(ctx, fromHex(step.hash), totalMsat);
  return unasked === null ? null : { ...record, approval: unasked };
}

/**
 * So much of what goes out is in HTLCs so small that their cover may be invisible elsewhere. When they are offered, and as
 * well when one that covered them leaves: a twin of it that no commitment shows may be the one they are forwarded for, and
 * where other dust moves beside, nothing shows that a hidden one has failed.
 */
function isDust(
  ctx: Context,
  step: PaymentStep,
  missingMsat: bigint,
  outgoing: readonly TimedAmount[],
): boolean {
  const belowMsat = hiddenBelowMsat(ctx, step.channel);
  const small = outgoing.filter(({ amountMsat }) => amountMsat < belowMsat);
  return small.length > 0 && missingMsat <= small.reduce((sum, one) => sum + one.amountMsat, 0n);
}

/** It counts as lost until cover shows, or until what goes out is seen to be gone (`refunded`). */
function withDustCharged(
  ctx: Context,
  step: PaymentStep,
  record: PaymentRecord,
  missingMsat: bigint,
): PaymentRecord {
  chargeDust(ctx, step.scope, step.channel.id, missingMsat);
  return { ...record, dustChargedMsat: record.dustChargedMsat + missingMsat };
}

function refuseOffer(
  ctx: Context,
  step: PaymentStep,
  record: PaymentRecord,
  isForward: boolean,
): PaymentRecord {
  const facts = factsOf(step, record);
  const { approval } = record;
  const isExpired = approval !== null && ctx.nowSeconds >= approval.expiresAtSeconds;
  if (approval !== null && !isExpired) {
    const outUncovered = outMsat(record) - coverMsat(record) - record.dustChargedMsat;
    requireWithinApproval(ctx, step.hash, approval, outUncovered, () => isForNow(ctx, step, record));
    const feeBudgetMsat = msat(outUncovered - (approval.amountMsat ?? 0n));
    return { ...record, approval: { ...approval, feeBudgetMsat } };
  }
  if (isForward) {
    const refuseForward = isForNow(ctx, step, record) ? refuseForNow : refuse;
    refuseForward(routingBalance, 'more would go out than is irrevocably coming in', facts);
  }
  const amountMsat = msat(outMsat(record) - coverMsat(record));
  const wasAskedFor = pendingList(ctx.draft).some(({ id, kind }) => id === step.hash && kind !== 'payment');
  const rule = wasAskedFor || isExpired ? paymentApproved : offeredHashMatches;
  refuseUnapproved(
    rule,
    rule === paymentApproved
      ? isExpired
        ? 'the approval of this payment has expired'
        : 'this payment is not approved'
      : 'no incoming HTLC and no approval has the hash of this HTLC',
    facts,
    pendingPayment(fromHex(step.hash), amountMsat),
  );
}

/**
 * Only what a while resolves makes it too much. A variant that a crash of the node has lost: nobody acknowledged it, and it is
 * gone when the peer revokes its number. Or an HTLC that the chain shows to be gone, in a block that is not buried yet. Until
 * then either can count, so this turns no refusal into a yes.
 */
function isForNow(ctx: Context, step: PaymentStep, record: PaymentRecord): boolean {
  const { approval, dustChargedMsat } = record;
  const passes = ({ before, after }: LaterStep) =>
    deficitMsat({ ...after, approval, dustChargedMsat }, ctx.nowSeconds) <=
    deficitMsat(before, ctx.nowSeconds);
  return passes(step.acknowledged()) || passes(step.buried());
}

/** The record when it may be given up after all. */
function refuseRelease(ctx: Context, step: PaymentStep, record: PaymentRecord): PaymentRecord {
  const facts = factsOf(step, record);
  const message = 'an incoming HTLC would be released while the outgoing one it covers can be claimed';
  const passes = ({ before, after }: LaterStep) =>
    deficitMsat(after, ctx.nowSeconds) <= deficitMsat(before, ctx.nowSeconds);
  if (passes(step.acknowledged())) refuseForNow(routingBalanced, message, facts);
  const missing = deficitMsat(record, ctx.nowSeconds) - deficitMsat(step.before, ctx.nowSeconds);
  const outgoing = record.parts.flatMap((part) => part.outgoing);
  if (isDust(ctx, step, missing, outgoing)) return withDustCharged(ctx, step, record, missing);
  const isTemporary = passes(step.buried());
  if (mayAbandon(ctx, step, record, facts, isTemporary)) return record;
  const refuseIt = isTemporary ? refuseForNow : refuse;
  return refuseIt(routingBalanced, message, facts);
}

/** The optional rules about what goes out at all. */
function requireForward(ctx: Context, step: PaymentStep, record: PaymentRecord): void {
  const covered = coverMsat(record);
  const out = outMsat(record);
  const facts = factsOf(step, record);
  enforceIf(ctx, step, true, merchantNoSends, 'this node offers no HTLCs', facts);
  if (covered === 0n || record.approval !== null) return;
  const limited = step.withinLimits(record);
  if (deficitMsat(limited, ctx.nowSeconds) > deficitMsat(step.before, ctx.nowSeconds)) {
    const within = factsOf(step, limited);
    refuse(
      routingBalance,
      'what comes in beyond the in-flight limit of its channel covers nothing new',
      within,
    );
  }
  enforceIf(ctx, step, true, noRouting, 'this node forwards nothing', facts);
  // What dust covers earns nothing that could be seen.
  const earned = covered + record.dustChargedMsat - out;
  enforceIf(
    ctx,
    step,
    earned < step.limits.routingFeeMinMsat,
    routingFeeMin,
    'the forward earns less than it must',
    { ...facts, fee_msat: earned, routing_fee_min_msat: step.limits.routingFeeMinMsat },
  );
}

function enforceIf(
  ctx: Context,
  step: PaymentStep,
  isBroken: boolean,
  rule: Parameters<typeof enforce>[1],
  message: string,
  facts: Facts,
): void {
  if (isBroken) enforce(ctx, rule, step.scope, { message, facts });
}
