/**
 * Law 5 as a sum: what of a transaction's inputs is ours, and where its outputs go. Inputs that an earlier request signed
 * under the same txid stay ours, so a transaction can't be judged in halves.
 */
import {
  type OutPoint,
  type Psbt,
  psbtNonWitnessUtxo,
  psbtOutputBip32Derivations,
  psbtOutputTapBip32Derivations,
  psbtSpentOutput,
  type Transaction,
  toHex,
  txid,
  txidToHex,
} from '@countersign/bitcoin';
import type { Context } from '../context.ts';
import { enforce } from '../policy/enforce.ts';
import { isTeamPeer } from '../policy/settings.ts';
import type { PendingOutput } from '../records/approval.ts';
import { type SignedInput, signedTransactionRecords } from '../records/spending.ts';
import { isAllowlisted } from './allowlist.ts';
import { type Funding, fundingsCreated, fundingsSpent } from './fundings.ts';
import { isOurs, isOursAtHint, walletIndexLimit, walletScriptsAt } from './ownership.ts';
import { sharedAllowlist } from './rules.ts';
import { signedBefore } from './signed-inputs.ts';

export interface Sums {
  /** Wallet inputs of ours, and our balance in every funding that is spent. */
  readonly inSat: bigint;
  /** Outputs that are ours or allowlisted, and our balance in every funding that is created. */
  readonly outSat: bigint;
  /** Every input is our wallet's. */
  readonly isAllOurs: boolean;
  /** All inputs that are proven, less all outputs: what miners get at least of what is known. Never below zero. */
  readonly provenFeeSat: bigint;
  readonly ours: readonly SignedInput[];
  readonly ourOutpoints: readonly OutPoint[];
  /** Outputs to our own wallet. */
  readonly ownOutputs: readonly number[];
  readonly spent: readonly Funding[];
  readonly created: readonly Funding[];
  /** Outputs that nothing explains. */
  readonly unknown: readonly PendingOutput[];
}

/** `named`: what the request asks to sign. `hints`: wallet indices the node names, beside those of the outputs. */
export function sumsOf(
  ctx: Context,
  psbt: Psbt,
  named: readonly SignedInput[],
  hints: readonly number[],
): Sums {
  const tx = psbt.unsignedTx;
  const spent = fundingsSpent(ctx, tx);
  const created = fundingsCreated(ctx, tx);
  const ours = ourInputs(ctx, psbt, named, spent);
  const outputs = outputsOf(ctx, psbt, spent, created, hints);
  const total = (list: readonly { valueSat: bigint }[]) =>
    list.reduce((sum, { valueSat }) => sum + valueSat, 0n);
  const createdSat = created.reduce((sum, { balanceSat }) => sum + balanceSat, 0n);
  return {
    inSat: total(ours),
    outSat: total(outputs.known) + createdSat,
    isAllOurs: spent.length === 0 && ours.length === tx.inputs.length,
    provenFeeSat: provenFee(psbt, ours, spent),
    ours,
    ourOutpoints: ours.map(({ index }) => tx.inputs[index]!),
    ownOutputs: outputs.own,
    spent,
    created,
    unknown: outputs.unknown,
  };
}

/** Named now, signed before under this txid, a known channel's funding, or a script of our wallet. */
function ourInputs(
  ctx: Context,
  psbt: Psbt,
  named: readonly SignedInput[],
  spent: readonly Funding[],
): readonly SignedInput[] {
  const tx = psbt.unsignedTx;
  const before = signedBefore(ctx, tx);
  return tx.inputs.flatMap((_, index): readonly SignedInput[] => {
    const funding = spent.find((one) => one.index === index);
    // Payments move the balance while a splice is pending, on every funding alike: only the present one counts.
    if (funding !== undefined) return [{ index, valueSat: funding.balanceSat }];
    const claims = [...named, ...before].filter((one) => one.index === index);
    const output = psbtSpentOutput(psbt, index);
    if (claims.length === 0 && output !== undefined && isOurs(ctx, output.script))
      claims.push({ index, valueSat: output.value });
    // Where an earlier request named another amount, one of the two signatures is worth nothing: the larger counts.
    const [first, ...more] = claims;
    return first === undefined
      ? []
      : [more.reduce((most, one) => (one.valueSat > most.valueSat ? one : most), first)];
  });
}

function provenFee(psbt: Psbt, ours: readonly SignedInput[], spent: readonly Funding[]): bigint {
  const { inputs, outputs } = psbt.unsignedTx;
  const inSat = inputs.reduce((sum, input, index) => {
    const funding = spent.find((one) => one.index === index);
    if (funding !== undefined) return sum + funding.candidate.valueSat;
    const own = ours.find((one) => one.index === index);
    if (own !== undefined) return sum + own.valueSat;
    return sum + (psbtNonWitnessUtxo(psbt, index)?.outputs[input.vout]?.value ?? 0n);
  }, 0n);
  const feeSat = inSat - outputs.reduce((sum, { value }) => sum + value, 0n);
  return feeSat > 0n ? feeSat : 0n;
}

interface Outputs {
  readonly known: readonly PendingOutput[];
  readonly unknown: readonly PendingOutput[];
  readonly own: readonly number[];
}

function outputsOf(
  ctx: Context,
  psbt: Psbt,
  spent: readonly Funding[],
  created: readonly Funding[],
  hints: readonly number[],
): Outputs {
  const known: PendingOutput[] = [];
  const unknown: PendingOutput[] = [];
  const own: number[] = [];
  const scope = [...spent, ...created][0]?.scope ?? null;
  const team = [...spent, ...created].find((one) => isTeamPeer(ctx.policy, one.scope));
  const far = farScripts(ctx, hints);
  psbt.unsignedTx.outputs.forEach(({ script, value }, index) => {
    if (value === 0n || created.some((one) => one.index === index)) return;
    const output = { script, valueSat: value };
    if (isOurs(ctx, script) || isOursAtHint(ctx, script, farHints(ctx, psbt, index, far), scope)) {
      known.push(output);
      own.push(index);
    } else if (isAllowlisted(ctx, script)) {
      if (team !== undefined) refuseShared(ctx, team, index);
      known.push(output);
    } else unknown.push(output);
  });
  return { known, unknown, own };
}

function refuseShared(ctx: Context, team: Funding, output: number): void {
  enforce(ctx, sharedAllowlist, team.scope, {
    message: 'in a transaction with a team peer an allowlisted output may be the peer’s',
    facts: { channel: team.channel.id, output },
  });
}

/** Distinct indices beyond the window that are looked at; within it no hint is needed. */
const FAR_HINTS_MAX = 16;

/** The scripts at the wallet indices that the request names beyond the window: derived once, however many outputs there are. */
function farScripts(ctx: Context, hints: readonly number[]): ReadonlyMap<string, number> {
  const far = [...new Set(hints)].filter((hint) => hint > walletIndexLimit(ctx)).slice(0, FAR_HINTS_MAX);
  return new Map(
    far.flatMap((index) =>
      walletScriptsAt(ctx, index).map((script): [string, number] => [toHex(script), index]),
    ),
  );
}

/** One index of the output's own key paths, and one that the request names. */
function farHints(
  ctx: Context,
  psbt: Psbt,
  output: number,
  far: ReadonlyMap<string, number>,
): readonly number[] {
  const own = indicesAt(psbt, output).filter((hint) => hint > walletIndexLimit(ctx));
  const named = far.get(toHex(psbt.unsignedTx.outputs[output]!.script));
  return [...own.slice(0, 1), ...(named === undefined ? [] : [named])];
}

/** The last steps of the key paths that the PSBT names for an output. */
function indicesAt(psbt: Psbt, index: number): readonly number[] {
  const origins = [...psbtOutputBip32Derivations(psbt, index), ...psbtOutputTapBip32Derivations(psbt, index)];
  return origins.flatMap(({ path }) => path.at(-1) ?? []);
}

/** What the transaction takes from us and gives to nobody we know. */
export const shortfallSat = ({ inSat, outSat }: Sums): bigint => inSat - outSat;

/** The same transaction with the same inputs of ours, of the same worth, was judged and signed before. */
export function wasSigned(ctx: Context, tx: Transaction, named: readonly SignedInput[]): boolean {
  const before = ctx.draft.get(signedTransactionRecords, txidToHex(txid(tx)))?.inputs ?? [];
  const fundings = fundingsSpent(ctx, tx);
  return named.every((one) => {
    const isFunding = fundings.some(({ index }) => index === one.index);
    return before.some(
      ({ index, valueSat }) => index === one.index && (isFunding || valueSat === one.valueSat),
    );
  });
}
