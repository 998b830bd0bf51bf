/**
 * What every sweep of a commitment output is judged by: its form, where it pays to, and what it leaves to miners. The
 * handlers say which output it is, and so which locks it needs and whether somebody contests it.
 */
import {
  psbtSpentOutput,
  scriptDustLimitSat,
  type Transaction,
  toHex,
  txidToHex,
} from '@countersign/bitcoin';
import { scopeOf } from '../channel/live.ts';
import { channelId } from '../channel/lookup.ts';
import type { ChannelRecord } from '../channel/record.ts';
import type { ChannelRef, Context } from '../context.ts';
import { enforce } from '../policy/enforce.ts';
import type { Rule } from '../policy/registry.ts';
import { limitsFor, type PolicyScope } from '../policy/settings.ts';
import { channelRecords } from '../records/channel.ts';
import { signedTransactionRecords } from '../records/spending.ts';
import { refuse } from '../refusal.ts';
import { isAllowlisted } from './allowlist.ts';
import {
  htlcBelongs,
  sweepDestination,
  sweepFeeRange,
  sweepLocktime,
  sweepSequence,
  sweepVersion,
} from './claim-rules.ts';
import { bareWeight, chargeFee, requireFee, signedWeight } from './fees.ts';
import { isOurs } from './ownership.ts';
import { hasWalletInputs, noteSwept } from './signed-inputs.ts';
import { LOCKTIME_HEIGHT_MAX } from './spend-form.ts';
import { requireInput, spentAt, type WireTx } from './wire-tx.ts';

export interface Sweep {
  readonly channel: ChannelRef;
  readonly wire: WireTx;
  /** The one being signed; the others are signed by themselves, or are none of ours. */
  readonly input: number;
  /** Sequences that let it confirm as soon as the output may be spent. */
  readonly sequences: readonly number[];
  /** The expiry of an HTLC that timed out, else 0. */
  readonly locktime: number;
  /** Nobody else can ever spend the output. */
  readonly isUncontested: boolean;
  /** A penalty signed in advance, for a watchtower: its fee counts when it is needed. */
  readonly isInAdvance: boolean;
  /** The script is one that only a commitment of this channel can have, whichever: a secret of the peer proves it. */
  readonly isScriptKnown: boolean;
}

/** No relative lock: BIP 68 off, replaceable or final, or a lock of no block. */
export const UNLOCKED_SEQUENCES: readonly number[] = [0, 0xffff_fffd, 0xffff_ffff];
/** The node may be ahead of the signer's chain by as much. */
const LOCKTIME_AHEAD_BLOCKS = 2;

/** The locks that count are those of the input being signed. */
export function requireSweepForm(ctx: Context, sweep: Sweep): void {
  const { tx } = sweep.wire;
  const { input } = sweep;
  const scope = scopeAt(ctx, sweep.channel);
  const broken = (rule: Rule, message: string, facts: Record<string, number | string>, isTemporary = false) =>
    enforce(ctx, rule, scope, { message, facts, isTemporary });
  if (tx.version !== 2) broken(sweepVersion, 'a sweep has version 2', { version: tx.version });
  const { sequence } = requireInput(tx, input);
  if (!sweep.sequences.includes(sequence)) {
    broken(sweepSequence, 'the sequence is not what the swept output needs', {
      input,
      sequence,
      sequences_expected: sweep.sequences.join(','),
    });
  }
  if (!isLocktimeSane(ctx, tx, sweep.locktime)) {
    const facts = { locktime: tx.locktime, locktime_expected: sweep.locktime };
    const isEarly = ctx.chain !== null && tx.locktime > sweep.locktime && tx.locktime <= LOCKTIME_HEIGHT_MAX;
    broken(sweepLocktime, 'the locktime is not what the swept output needs', facts, isEarly);
  }
}

/** LDK names the present height, which nobody but the chain can tell. */
function isLocktimeSane(ctx: Context, { locktime }: Transaction, needed: number): boolean {
  if (locktime === needed) return true;
  const presentMax =
    ctx.chain === null ? LOCKTIME_HEIGHT_MAX : ctx.chain.heightBlocks + LOCKTIME_AHEAD_BLOCKS;
  return locktime > needed && locktime <= presentMax;
}

/**
 * Destinations and fee. What is not signed yet counts nothing: of a transaction with several inputs the fee is right when the
 * last of them is signed, and before that it is less.
 */
export function judgeSweep(ctx: Context, sweep: Sweep): void {
  const { wire, input } = sweep;
  const { tx, psbt } = wire;
  const record = recordAt(ctx, sweep.channel);
  const scope = scopeAt(ctx, sweep.channel);
  requireDestinations(ctx, scope, tx, sweep.isScriptKnown || isKnownCommitment(ctx, record, tx, input));
  const swept = noteSwept(ctx, tx, { index: input, valueSat: spentAt(wire, input).value });
  const inSat = swept.reduce((sum, { valueSat }) => sum + valueSat, 0n);
  const outSat = tx.outputs.reduce((sum, { value }) => sum + value, 0n);
  const feeSat = inSat - outSat;
  const weight = signedWeight(
    tx,
    tx.inputs.map((_, index) => psbtSpentOutput(psbt, index)),
  );
  const weightMin = swept.length === tx.inputs.length ? bareWeight(tx) : null;
  requireFee(ctx, sweepFeeRange, scope, { feeSat, weight, weightMin });
  if (sweep.isUncontested) requireShare(ctx, scope, feeSat, inSat, weight);
  else requireAboveDust(ctx, scope, tx, outSat);
  // lightningd ends when a sweep is refused, and asks again at its next start: counted, but never a matter of velocity.
  if (sweep.isInAdvance) return;
  const outpoints = swept.map(({ index }) => tx.inputs[index]!);
  // With money of the wallet beside it, it is a spend of the wallet as well.
  const urgency = hasWalletInputs(ctx, tx) ? 'free' : 'defensive';
  chargeFee(ctx, scope, outpoints, feeSat, urgency);
}

const recordAt = (ctx: Context, channel: ChannelRef): ChannelRecord | null =>
  ctx.draft.get(channelRecords, channelId(channel));

function scopeAt(ctx: Context, channel: ChannelRef): PolicyScope {
  const record = recordAt(ctx, channel);
  return record === null ? { peerId: channel.peerId, fundings: [] } : scopeOf(record);
}

/** An unrevoked commitment of either side, or a transaction of ours (an HTLC transaction with wallet inputs). */
function isKnownCommitment(
  ctx: Context,
  record: ChannelRecord | null,
  tx: Transaction,
  input: number,
): boolean {
  const id = txidToHex(tx.inputs[input]!.txid);
  const commitments = record?.candidates.flatMap(({ validated, issued }) => [...validated, ...issued]) ?? [];
  if (commitments.some((one) => txidToHex(one.txid) === id)) return true;
  return ctx.draft.get(signedTransactionRecords, id) !== null;
}

function requireDestinations(
  ctx: Context,
  scope: PolicyScope,
  tx: Transaction,
  isCommitmentKnown: boolean,
): void {
  tx.outputs.forEach(({ script, value }, output) => {
    if (isOurs(ctx, script)) return;
    const facts = { output, value_sat: value, script: toHex(script) };
    if (!isAllowlisted(ctx, script)) {
      enforce(ctx, sweepDestination, scope, {
        message: 'a sweep pays to a script that is neither of our wallet nor on the allowlist',
        facts,
      });
    } else if (!isCommitmentKnown) {
      refuse(
        htlcBelongs,
        'what is swept is of no commitment the signer knows: only our wallet may get it',
        facts,
      );
    }
  });
}

/** Small outputs may go to fees altogether at a rate that commitments may pay too: no limit makes them worth more. */
function requireShare(
  ctx: Context,
  scope: PolicyScope,
  feeSat: bigint,
  valueSat: bigint,
  weight: number,
): void {
  const { sweepFeeMaxPercent, feerateMaxPerKw } = limitsFor(ctx.policy, scope);
  const isUsualRate = feeSat * 1000n <= BigInt(feerateMaxPerKw) * BigInt(weight);
  const isSmall = valueSat <= SMALL_OUTPUT_MAX_SAT;
  if (feeSat * 100n <= valueSat * BigInt(sweepFeeMaxPercent) || (isSmall && isUsualRate)) return;
  enforce(ctx, sweepFeeRange, scope, {
    message: 'the fee takes too large a share of an output that nobody contests',
    facts: { fee_sat: feeSat, value_sat: valueSat, fee_max_percent: sweepFeeMaxPercent },
  });
}

/** Half of it is what a sweep costs at 25,000 sat per kw, the usual limit of commitments. */
export const SMALL_OUTPUT_MAX_SAT = 30_000n;

function requireAboveDust(ctx: Context, scope: PolicyScope, tx: Transaction, outSat: bigint): void {
  const dustSat = tx.outputs.reduce((sum, { script }) => sum + scriptDustLimitSat(script), 0n);
  if (outSat >= dustSat && outSat > 0n) return;
  enforce(ctx, sweepFeeRange, scope, {
    message: 'nothing but dust would be left of what is swept',
    facts: { outputs_sat: outSat, dust_sat: dustSat },
  });
}
