/**
 * Judging a transaction that spends our wallet or our share of a channel: its form, its destinations, what is left as
 * fee, and what must remain. Approved transactions pass the same limits; a repetition of what was signed passes.
 */
import { type Psbt, psbtSpentOutput, sat, toHex, txid, txidToHex } from '@countersign/bitcoin';
import { markFundingSigned } from '../channel/funding-signed.ts';
import type { Context } from '../context.ts';
import { initialFundingValue } from '../ledger/rules.ts';
import { enforce, severityFor } from '../policy/enforce.ts';
import type { PolicyScope } from '../policy/settings.ts';
import { recordFlow, tryFlow } from '../policy/velocity.ts';
import type { PendingOutput } from '../records/approval.ts';
import type { SignedInput } from '../records/spending.ts';
import { refuse, refuseUnapproved } from '../refusal.ts';
import { approveUnasked, pendingSpend, unapprovedOutputs } from './approvals.ts';
import { bareWeight, chargeFee, countOnce, requireFee, signedWeight } from './fees.ts';
import { requireExclusive, requireFundingOutput, requireMined } from './fundings.ts';
import { noteWalletOutputs, requireReserve } from './reserve.ts';
import { fundingVelocity, noChannelPush, noFundInbound, noUnknownOutputs, onchainFeeRange } from './rules.ts';
import { requireSaneLocks, requireWitnessInputs } from './spend-form.ts';
import { type Sums, shortfallSat, sumsOf, wasSigned } from './sums.ts';

/** What the caller knows of the inputs. */
interface SpendFacts {
  /** Wallet indices the node names. */
  readonly hints?: readonly number[];
  /** Every signature asked for is BIP 341's: with a lie about any input it is worth nothing. */
  readonly provesAll?: boolean;
  /** Inputs of which it is on record, or does not matter, what they spend. */
  readonly proven?: readonly number[];
}

/**
 * sign_withdrawal and sign_splice: `named` are the inputs to be signed, each with what of it is ours. With `provesAll` the
 * signatures commit to what every input spends.
 */
export function judgeSpend(
  ctx: Context,
  psbt: Psbt,
  named: readonly SignedInput[],
  { hints = [], provesAll = false, proven = [] }: SpendFacts = {},
): void {
  const tx = psbt.unsignedTx;
  if (wasSigned(ctx, tx, named)) return;
  requireSaneLocks(ctx, psbt, named);
  const sums = sumsOf(ctx, psbt, named, hints);
  const scope = [...sums.created, ...sums.spent][0]?.scope ?? null;
  for (const funding of sums.spent) requireMined(ctx, funding);
  if (sums.created.length > 0) {
    const isSpent = (index: number) => sums.spent.some((one) => one.index === index);
    requireWitnessInputs(psbt, (index) => provesAll || proven.includes(index) || isSpent(index));
  }
  for (const funding of sums.created) {
    requireFundingOutput(ctx, tx, funding);
    requireExclusive(ctx, tx, funding, sums.spent);
  }
  requireOurBalance(ctx, sums);
  const approvedSat = requireApproved(ctx, psbt, sums);
  const feeSat = shortfallSat(sums) - approvedSat;
  requireSpendFee(ctx, psbt, sums, scope, feeSat);
  chargeFee(ctx, scope, sums.ourOutpoints, feeSat);
  chargeFunding(ctx, scope, sums);
  requireReserve(ctx, tx, sums, approvedSat > 0n);
  noteWalletOutputs(ctx, tx, sums.ownOutputs);
  markFundingSigned(ctx, tx, sums.ours);
}

/** Our money in a channel of the peer's needs a balance of ours there. */
function requireOurBalance(ctx: Context, { created, ours, spent }: Sums): void {
  const hasWalletInput = ours.some(({ index }) => !spent.some((one) => one.index === index));
  if (!hasWalletInput) return;
  for (const { channel, candidate, balanceSat, scope } of created) {
    if (channel.setup.isOutbound || candidate.isSplice || balanceSat > 0n) continue;
    enforce(ctx, noFundInbound, scope, {
      message: "our money would fund the peer's channel, and its first commitment gives us nothing",
      facts: { channel: channel.id, value_sat: candidate.valueSat },
    });
  }
}

/** An output's worth that a channel gives away. */
interface Gift {
  readonly output: PendingOutput;
  readonly scope: PolicyScope;
}

/**
 * What a channel that we fund gives to the peer from the start: approved like an output of its own. Of one that both sides fund,
 * what the peer gets beyond its own inputs: pushed, or the price of the liquidity it sells.
 */
function giftsOf(psbt: Psbt, sums: Sums): readonly Gift[] {
  const { isAllOurs, created, spent } = sums;
  const [shared] = created;
  if (!isAllOurs) {
    const excessSat = excessOf(sums, 0n);
    if (spent.length > 0 || shared === undefined || excessSat <= 0n) return [];
    const { script } = psbt.unsignedTx.outputs[shared.index]!;
    return [{ output: { script, valueSat: sat(excessSat) }, scope: shared.scope }];
  }
  return created.flatMap(({ candidate, balanceSat, index, scope }) => {
    const valueSat = candidate.valueSat - balanceSat;
    if (valueSat <= 0n) return [];
    const { script } = psbt.unsignedTx.outputs[index]!;
    return [{ output: { script, valueSat: sat(valueSat) }, scope }];
  });
}

const totalSat = (outputs: readonly PendingOutput[]): bigint =>
  outputs.reduce((sum, { valueSat }) => sum + valueSat, 0n);

/**
 * What leaves us for destinations of others, and is approved. Where all inputs are ours everything needs an approval.
 * With inputs of others their outputs are free as long as no more leaves us than the fee of the whole transaction.
 */
function requireApproved(ctx: Context, psbt: Psbt, sums: Sums): bigint {
  const tx = psbt.unsignedTx;
  const { isAllOurs, unknown, spent } = sums;
  const gifts = giftsOf(psbt, sums);
  const needed: readonly PendingOutput[] = [...unknown, ...gifts.map(({ output }) => output)];
  const fundings = spent.map(({ candidate }) => candidate.outpoint);
  const missing = unapprovedOutputs(ctx, tx, needed, fundings);
  const coveredSat = totalSat(needed) - totalSat(missing);
  const excessSat = excessOf(sums, coveredSat);
  if (isAllOurs ? missing.length === 0 : excessSat <= 0n) return coveredSat;
  if (missing.length === 0) refuseExcess(sums, excessSat);
  if (approveUnasked(ctx, tx, needed)) return totalSat(needed);
  const foreign = missing.filter((one) => unknown.includes(one));
  if (foreign.length > 0) refuseUnknown(psbt, sums, needed, foreign, excessSat);
  requireGifts(ctx, psbt, sums, needed, gifts);
  return totalSat(needed);
}

/** Beyond the fee that miners get for certain; a satoshi of rounding for each channel. */
function excessOf(sums: Sums, coveredSat: bigint): bigint {
  const roundingSat = BigInt(sums.spent.length + sums.created.length);
  return shortfallSat(sums) - coveredSat - sums.provenFeeSat - roundingSat;
}

/**
 * No output explains it, so it went where no output shows it: our balance shrinks from one funding to the next. (Where
 * no funding is created, all that leaves us is in outputs or in the fee.)
 */
function refuseExcess(sums: Sums, excessSat: bigint): never {
  refuse(
    initialFundingValue,
    'our balance shrinks with the splice, by more than what we took out and its fee',
    {
      leaves_us_sat: shortfallSat(sums),
      fee_sat: sums.provenFeeSat,
      excess_sat: excessSat,
    },
  );
}

function refuseUnknown(
  psbt: Psbt,
  sums: Sums,
  needed: readonly PendingOutput[],
  foreign: readonly PendingOutput[],
  excessSat: bigint,
): never {
  const spliceOut = sums.spent.length > 0 ? likeliest(foreign, excessSat) : null;
  const feeSat = sat(sums.provenFeeSat);
  refuseUnapproved(
    noUnknownOutputs,
    'outputs that are not ours, not allowlisted and not approved',
    {
      outputs_unknown: foreign.length,
      value_sat: totalSat(foreign),
      first_script: toHex(foreign[0]!.script),
      first_value_sat: foreign[0]!.valueSat,
      fee_sat: feeSat,
    },
    pendingSpend(psbt.unsignedTx, needed, feeSat, spliceOut),
  );
}

/** Which output of a splice our share goes to: the smallest that holds it. The others are the peer's. */
function likeliest(foreign: readonly PendingOutput[], excessSat: bigint): PendingOutput {
  const ascending = [...foreign].sort((a, b) => Number(a.valueSat - b.valueSat));
  return ascending.find(({ valueSat }) => valueSat >= excessSat) ?? ascending.at(-1)!;
}

/** Nobody approved what the channels give away: asked for, or only warned of. */
function requireGifts(
  ctx: Context,
  psbt: Psbt,
  sums: Sums,
  needed: readonly PendingOutput[],
  gifts: readonly Gift[],
): void {
  for (const { scope, output } of gifts) {
    const message = 'a channel of ours would give this to the peer from the start, and nobody approved it';
    const facts = { pushed_sat: output.valueSat, txid: txidToHex(txid(psbt.unsignedTx)) };
    if (severityFor(ctx, noChannelPush, scope) === 'error') {
      const pending = pendingSpend(psbt.unsignedTx, needed, sat(sums.provenFeeSat), null);
      refuseUnapproved(noChannelPush, message, facts, pending);
    }
    enforce(ctx, noChannelPush, scope, { message, facts });
  }
}

/** In range whether approved or not; the lower bound only where nobody else's inputs make the fee theirs. */
function requireSpendFee(
  ctx: Context,
  psbt: Psbt,
  sums: Sums,
  scope: PolicyScope | null,
  feeSat: bigint,
): void {
  const tx = psbt.unsignedTx;
  const spent = tx.inputs.map((_, index) => psbtSpentOutput(psbt, index));
  requireFee(ctx, onchainFeeRange, scope, {
    feeSat,
    weight: signedWeight(tx, spent),
    weightMin: sums.isAllOurs ? bareWeight(tx) : null,
  });
}

/** What the wallet puts into channels, once for the outputs it comes from. */
function chargeFunding(
  ctx: Context,
  scope: PolicyScope | null,
  { created, spent, ourOutpoints }: Sums,
): void {
  const limit = ctx.policy.limits.fundingVelocity;
  if (limit === null) return;
  const balance = (list: Sums['created']) => list.reduce((sum, { balanceSat }) => sum + balanceSat, 0n);
  const fundedSat = balance(created) - balance(spent);
  const newSat = countOnce(ctx, 'funding', limit, ourOutpoints, fundedSat);
  if (newSat === 0n || tryFlow(ctx, 'funding', limit, newSat * 1000n)) return;
  enforce(ctx, fundingVelocity, scope, {
    message: 'more goes into channels than the limit allows in this window of time',
    facts: { funded_sat: newSat, funded_max_sat: limit.amountSat, per: limit.per },
    isTemporary: true,
  });
  recordFlow(ctx, 'funding', limit, newSat * 1000n);
}
