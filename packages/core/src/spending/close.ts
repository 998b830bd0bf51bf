/**
 * Mutual closes, whatever message asks for them: our balance comes back to us to the satoshi, to a destination of ours,
 * less the fee where we pay it. Also the fee of our own commitment when it is published.
 */
import { equalBytes, type Sat, sat, type Transaction, toHex } from '@countersign/bitcoin';
import { lastIssued, scopeOf } from '../channel/live.ts';
import type { OpenChannel } from '../channel/lookup.ts';
import type { CommitmentContent, FundingCandidate } from '../channel/record.ts';
import type { Context } from '../context.ts';
import { enforce } from '../policy/enforce.ts';
import { isTeamPeer, type PolicyScope } from '../policy/settings.ts';
import { refuse } from '../refusal.ts';
import { isAllowlisted } from './allowlist.ts';
import { holderMsatOf, largest } from './balance.ts';
import { mutualDestination, mutualFeeRange, mutualNoHtlcs, mutualValue } from './claim-rules.ts';
import { bareWeight, chargeFee, requireFee, signedWeight } from './fees.ts';
import { isOurs, isOursAtHint } from './ownership.ts';
import { sharedAllowlist } from './rules.ts';

/** A main output below it may be left out of a close: no dust limit of ours is higher. */
const CLOSE_DUST_MAX_SAT = 1000n;
/** option_simple_close (BOLT 2): each side signs a close of its own and pays for it. */
const SIMPLE_CLOSE_SEQUENCE = 0xffff_fffd;

/**
 * Judges the close `tx`, which spends `candidate` at one of its inputs. `walletHints`: wallet indices at which the node says
 * our output is.
 */
export function judgeClose(
  ctx: Context,
  channel: OpenChannel,
  candidate: FundingCandidate,
  tx: Transaction,
  inputIndex: number,
  walletHints: readonly number[],
): void {
  const scope = scopeOf(channel.record);
  const { agreed, all } = currentCommitments(channel, candidate);
  requireNoHtlcs(channel, agreed);
  const balanceSat = largestOf(channel, all);
  const paidSat = paidToUs(ctx, channel, scope, tx, balanceSat, walletHints);
  const costSat = balanceSat - paidSat;
  const outSat = tx.outputs.reduce((sum, { value }) => sum + value, 0n);
  const feeSat = candidate.valueSat - outSat;
  const isDust = paidSat === 0n && balanceSat < CLOSE_DUST_MAX_SAT;
  // With more inputs than one the sum of all of them is judged, which knows the whole fee.
  if (!isDust && tx.inputs.length === 1) {
    requireValue(channel, tx.inputs[inputIndex]!.sequence, { balanceSat, paidSat, costSat, feeSat });
    requireCloseFee(ctx, scope, tx, costSat);
  }
  chargeFee(ctx, scope, [candidate.outpoint], costSat > 0n ? costSat : 0n);
}

const hasHtlcs = ({ htlcs, ledger }: CommitmentContent): boolean =>
  htlcs.length > 0 || (ledger?.trimmed.length ?? 0) > 0;

/**
 * Ours that counts, and the peer's newest on this funding: what both agreed on before they close. While that one has HTLCs and is
 * not acknowledged, a node that lost the link may have forgotten it (BOLT 2, "Message Retransmission"): then the one before it is
 * what both agreed on. The peer can publish that as well, so a close that gives us as much gives nothing away.
 */
function currentCommitments(
  { record }: OpenChannel,
  candidate: FundingCandidate,
): { readonly agreed: readonly CommitmentContent[]; readonly all: readonly CommitmentContent[] } {
  const ours = candidate.validated.filter(({ number }) => number === record.holderNextRevoke);
  const newest = candidate.issued.at(-1);
  if (newest === undefined) return { agreed: ours, all: ours };
  const all = [...ours, newest];
  const before = hasHtlcs(newest) ? lastIssued(candidate, newest.number - 1) : undefined;
  return before === undefined ? { agreed: all, all } : { agreed: [...ours, before], all: [...all, before] };
}

function requireNoHtlcs(channel: OpenChannel, agreed: readonly CommitmentContent[]): void {
  const pending = agreed.find(hasHtlcs);
  if (pending === undefined) return;
  refuse(mutualNoHtlcs, 'a current commitment holds HTLCs', {
    channel: channel.id,
    number: pending.number,
    htlcs: pending.htlcs.length,
  });
}

function largestOf(channel: OpenChannel, current: readonly CommitmentContent[]): Sat {
  const msats = current.flatMap((content) => holderMsatOf(content) ?? []);
  if (msats.length > 0) return sat(largest(msats) / 1000n);
  refuse(mutualValue, 'no current commitment on this funding says what is ours', { channel: channel.id });
}

/** What the close pays to destinations of ours; to others only what is the peer's. */
function paidToUs(
  ctx: Context,
  channel: OpenChannel,
  scope: PolicyScope,
  tx: Transaction,
  balanceSat: Sat,
  walletHints: readonly number[],
): bigint {
  const ours = tx.outputs.filter(({ script }) => isDestination(ctx, channel, scope, script, walletHints));
  if (ours.length === 0 && balanceSat >= CLOSE_DUST_MAX_SAT) {
    enforce(ctx, mutualDestination, scope, {
      message: 'no output of the close is ours',
      facts: {
        channel: channel.id,
        balance_sat: balanceSat,
        scripts: tx.outputs.map(({ script }) => toHex(script)).join(','),
      },
    });
    // Only warned of: the output that pays most is taken for ours.
    return largest(tx.outputs.map(({ value }) => value));
  }
  return ours.reduce((sum, { value }) => sum + value, 0n);
}

/** With an upfront shutdown script (BOLT 2) exactly that one; else our wallet, or the allowlist. */
function isDestination(
  ctx: Context,
  { id, setup }: OpenChannel,
  scope: PolicyScope,
  script: Uint8Array,
  walletHints: readonly number[],
): boolean {
  const upfront = setup.holderShutdownScript;
  if (upfront.length > 0 && !equalBytes(upfront, script)) return false;
  const index = setup.holderShutdownWalletIndex;
  const hints = index === null ? walletHints : [index, ...walletHints];
  if (isOurs(ctx, script) || isOursAtHint(ctx, script, hints, scope)) return true;
  if (!isAllowlisted(ctx, script)) return false;
  if (isTeamPeer(ctx.policy, scope)) {
    enforce(ctx, sharedAllowlist, scope, {
      message: 'in a close with a team peer an allowlisted output may be the peer’s',
      facts: { channel: id, script: toHex(script) },
    });
  }
  return true;
}

interface CloseSums {
  readonly balanceSat: bigint;
  readonly paidSat: bigint;
  /** What the close takes from our balance. */
  readonly costSat: bigint;
  /** What it leaves to miners. */
  readonly feeSat: bigint;
}

/** We pay no more than the fee, and that only as the funder or under option_simple_close. */
function requireValue({ id, setup }: OpenChannel, sequence: number, sums: CloseSums): void {
  const { balanceSat, paidSat, costSat, feeSat } = sums;
  const isOurFee = setup.isOutbound || sequence === SIMPLE_CLOSE_SEQUENCE;
  const costMaxSat = isOurFee ? feeSat : 0n;
  if (costSat <= costMaxSat) return;
  refuse(mutualValue, 'the close pays us less than our balance less the fee that is ours to pay', {
    channel: id,
    balance_sat: balanceSat,
    paid_sat: paidSat,
    fee_sat: feeSat,
    fee_paid_by_us: isOurFee,
  });
}

function requireCloseFee(ctx: Context, scope: PolicyScope, tx: Transaction, costSat: bigint): void {
  if (costSat <= 0n) return;
  requireFee(ctx, mutualFeeRange, scope, {
    feeSat: costSat,
    weight: signedWeight(tx, []),
    weightMin: bareWeight(tx),
  });
}

/**
 * Our own commitment goes to the chain: its fee is ours where we opened the channel. With HTLCs in it a deadline may be
 * near, so it is counted and not refused.
 */
export function chargeCommitmentFee(
  ctx: Context,
  channel: OpenChannel,
  candidate: FundingCandidate,
  tx: Transaction,
  number: number,
): void {
  if (!channel.setup.isOutbound) return;
  const feeSat = candidate.valueSat - tx.outputs.reduce((sum, { value }) => sum + value, 0n);
  const content = candidate.validated.find((one) => one.number === number);
  const urgency = (content?.htlcs.length ?? 0) > 0 ? 'defensive' : 'free';
  chargeFee(ctx, scopeOf(channel.record), [candidate.outpoint], feeSat, urgency);
}
