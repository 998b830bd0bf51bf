/**
 * The form of a wallet transaction: version, locks, size; the amounts its signatures commit to; and for one that creates
 * a funding, that nobody can change its txid.
 */
import {
  equalBytes,
  isWitnessProgram,
  outPointToString,
  type Psbt,
  p2shOfScript,
  psbtNonWitnessUtxo,
  psbtRedeemScript,
  psbtSpentOutput,
  type TxOutput,
} from '@countersign/bitcoin';
import type { Context } from '../context.ts';
import { enforce } from '../policy/enforce.ts';
import type { SignedInput } from '../records/spending.ts';
import { refuse } from '../refusal.ts';
import { signedWeight } from './fees.ts';
import type { OwnedInput } from './inputs.ts';
import { formatStandard, fundingNonMalleable, inputAmountsProven, maxSize } from './rules.ts';

/** From here up a locktime is a time (BIP 65). */
export const LOCKTIME_HEIGHT_MAX = 499_999_999;
/** A day: nodes name the present height, or one a little behind or ahead. */
const LOCKTIME_AHEAD_BLOCKS = 144;
/** The longest lease of a channel's to_remote. */
const RELATIVE_LOCK_MAX = 4032;
/** BIP 125 and final sequences: no relative lock. */
const SEQUENCE_UNLOCKED_MIN = 0xffff_fffd;

export function requireSaneLocks(ctx: Context, psbt: Psbt, named: readonly SignedInput[]): void {
  const { version, locktime, inputs } = psbt.unsignedTx;
  const broken = (message: string, facts: Record<string, number>) =>
    enforce(ctx, formatStandard, null, { message, facts });
  if (version !== 2) broken('not a transaction of version 2', { version });
  if (locktime > LOCKTIME_HEIGHT_MAX) broken('the locktime is a time, not a block height', { locktime });
  else {
    // A view that is behind knows no present height.
    const height = ctx.chain?.isFresh ? ctx.chain.heightBlocks : null;
    if (height !== null && locktime > height + LOCKTIME_AHEAD_BLOCKS)
      broken('the locktime is far ahead', { locktime, height });
  }
  for (const { index } of named) {
    const { sequence } = inputs[index]!;
    if (sequence >= SEQUENCE_UNLOCKED_MIN || sequence <= RELATIVE_LOCK_MAX) continue;
    broken('an input of ours has a sequence of no known use', { input: index, sequence });
  }
  requireSize(ctx, psbt);
}

function requireSize(ctx: Context, psbt: Psbt): void {
  const { onchainWeightMax } = ctx.policy.limits;
  const spent = psbt.inputs.map((_, index) => psbtSpentOutput(psbt, index));
  const weight = signedWeight(psbt.unsignedTx, spent);
  if (weight <= onchainWeightMax) return;
  enforce(ctx, maxSize, null, {
    message: 'the transaction is larger than it may be',
    facts: { weight, weight_max: onchainWeightMax },
  });
}

/**
 * BIP 143 commits to the amount of the signed input alone, so of several inputs each must be proven. Taproot commits to
 * all amounts at once: a signature on a lie is worth nothing.
 */
export function requireProvenAmounts(
  psbt: Psbt,
  owned: readonly OwnedInput[],
  isKnown: (input: OwnedInput) => boolean,
): void {
  if (psbt.unsignedTx.inputs.length === 1) return;
  for (const input of owned) {
    if (input.scriptCode === null || isKnown(input)) continue;
    const { vout } = psbt.unsignedTx.inputs[input.index]!;
    const proven = psbtNonWitnessUtxo(psbt, input.index)?.outputs[vout];
    if (proven !== undefined && proven.value === input.spent.value) continue;
    refuse(inputAmountsProven, 'nothing proves the amount of an input, and there are others beside it', {
      input: input.index,
      outpoint: outPointToString(psbt.unsignedTx.inputs[input.index]!),
      value_named_sat: input.spent.value,
      value_proven_sat: proven?.value ?? 'none',
    });
  }
}

/**
 * Inputs of others included: a scriptSig that its owner can change would change the txid. What they spend is proven by the
 * previous transaction, or needs no proof (`isProven`): a version 0 signature does not commit to it.
 */
export function requireWitnessInputs(psbt: Psbt, isProven: (index: number) => boolean): void {
  psbt.unsignedTx.inputs.forEach((input, index) => {
    const spent = isProven(index) ? psbtSpentOutput(psbt, index) : previousOutput(psbt, index);
    if (spent !== undefined && isWitnessProgram(spent.script)) return;
    const redeem = psbtRedeemScript(psbt, index);
    const isWrapped =
      spent !== undefined &&
      redeem !== undefined &&
      isWitnessProgram(redeem) &&
      equalBytes(spent.script, p2shOfScript(redeem));
    if (isWrapped) return;
    refuse(
      fundingNonMalleable,
      'an input of a funding transaction is not proven to spend a witness program',
      {
        input: index,
        outpoint: outPointToString(input),
      },
    );
  });
}

const previousOutput = (psbt: Psbt, index: number): TxOutput | undefined =>
  psbtNonWitnessUtxo(psbt, index)?.outputs[psbt.unsignedTx.inputs[index]!.vout];
