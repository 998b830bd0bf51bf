/**
 * Wallet money that raises a fee: for a commitment through our anchor (sign_anchorspend, 147), for an HTLC transaction as
 * inputs beside the HTLC (sign_htlc_tx_mingle, 149). It comes back to our wallet, all but the fee.
 */
import {
  ANCHOR_SAT,
  anchorScript,
  commitmentWeight,
  equalBytes,
  type OutPoint,
  outPointToString,
  type Psbt,
  p2wshOfScript,
  psbtBip32Derivations,
  psbtSpentOutput,
  type Sat,
  sat,
  type Transaction,
  type TxOutput,
  toHex,
} from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import { markFundingSigned } from '../channel/funding-signed.ts';
import { scopeOf } from '../channel/live.ts';
import { type OpenChannel, requireChannel } from '../channel/lookup.ts';
import type { CommitmentContent, ValidatedCommitment } from '../channel/record.ts';
import type { Context } from '../context.ts';
import { refuse } from '../refusal.ts';
import type { Release } from '../release.ts';
import { largest } from './balance.ts';
import { chargeFee, requireFee, signedWeight } from './fees.ts';
import { claimInputs, type OwnedInput, signInputs } from './inputs.ts';
import { isOurs } from './ownership.ts';
import { noteWalletOutputs } from './reserve.ts';
import { keyUse, noUnknownOutputs, onchainFeeRange } from './rules.ts';
import { htlcTransactionsAt } from './second-level.ts';
import { signedBefore } from './signed-inputs.ts';
import { noteSpentIndices, requireKnownAmounts, signedInput } from './wallet.ts';

/** sign_anchorspend (147): wallet inputs, and our own anchor wherever the PSBT names our funding key for it. */
export function signAnchorspend(ctx: Context, request: MessageOf<'hsmd_sign_anchorspend'>): Release {
  const channel = requireChannel(ctx, { peerId: request.peerid, dbid: request.channelDbid });
  const claimed = claimInputs(ctx, request.psbt, request.inputs);
  const anchors = anchorInputs(ctx, channel, claimed.psbt);
  const owned = [...claimed.owned, ...anchors];
  const release = signInputs(claimed.psbt, owned, 'hsmd_sign_anchorspend_reply');
  const tx = claimed.psbt.unsignedTx;
  const commitments = anchors.flatMap(({ index }) => commitmentOf(channel, tx.inputs[index]!) ?? []);
  const parentWeight = commitments.reduce(
    (sum, { htlcs }) => sum + commitmentWeight(channel.setup.format, htlcs.length),
    0,
  );
  // Without HTLCs nothing is lost while the commitment waits; an anchor of no known commitment is anybody's output.
  const htlcs = commitments.flatMap((one) => one.htlcs);
  const stakeMsat = htlcs.reduce((sum, { amountMsat }) => sum + amountMsat, 0n);
  judgeBump(ctx, channel, claimed.psbt, owned, {
    paired: [],
    parentWeight,
    spends: anchors.length > 0 ? anchors.map(({ index }) => tx.inputs[index]!) : null,
    stakeSat: stakeMsat / 1000n,
  });
  return release;
}

/** sign_htlc_tx_mingle (149): wallet inputs that pay the fee of a second-level transaction. */
export function signHtlcTxMingle(ctx: Context, request: MessageOf<'hsmd_sign_htlc_tx_mingle'>): Release {
  const channel = requireChannel(ctx, { peerId: request.peerid, dbid: request.channelDbid });
  const { psbt, owned } = claimInputs(ctx, request.psbt, request.inputs);
  const release = signInputs(psbt, owned, 'hsmd_sign_htlc_tx_mingle_reply');
  const tx = psbt.unsignedTx;
  const paired = tx.inputs.flatMap((input, index) =>
    isPaired(ctx, channel, tx, input, index) ? [index] : [],
  );
  judgeBump(ctx, channel, psbt, owned, {
    paired,
    parentWeight: 0,
    spends: paired.length > 0 ? paired.map((index) => tx.inputs[index]!) : null,
    stakeSat: paired.reduce((sum, index) => sum + tx.outputs[index]!.value, 0n),
  });
  return release;
}

/** The inputs whose key origin is our funding key: each must spend our own anchor output, script rebuilt. */
function anchorInputs(ctx: Context, { ref }: OpenChannel, psbt: Psbt): readonly OwnedInput[] {
  const publicKey = ctx.keys.fundingPublicKey(ref);
  const witnessScript = anchorScript(publicKey);
  const owned: OwnedInput[] = [];
  psbt.unsignedTx.inputs.forEach((input, index) => {
    if (!psbtBip32Derivations(psbt, index).some((origin) => equalBytes(origin.publicKey, publicKey))) return;
    const spent = psbtSpentOutput(psbt, index);
    if (spent === undefined || !isAnchor(spent, witnessScript)) {
      refuse(keyUse, 'the funding key signs only its own anchor here', {
        input: index,
        outpoint: outPointToString(input),
      });
    }
    const key = { kind: 'anchor', channel: ref } as const;
    owned.push({ index, key, publicKey, spent, scriptCode: witnessScript });
  });
  return owned;
}

const isAnchor = ({ script, value }: TxOutput, witnessScript: Uint8Array): boolean =>
  value === ANCHOR_SAT && equalBytes(script, p2wshOfScript(witnessScript));

/** The commitment of either side that this outpoint is of; null for one the signer does not know. */
function commitmentOf({ record }: OpenChannel, { txid }: OutPoint): CommitmentContent | null {
  const known = record.candidates.flatMap(({ validated, issued }) => [...validated, ...issued]);
  return known.find((one) => equalBytes(one.txid, txid)) ?? null;
}

/**
 * An HTLC of a commitment of ours that was signed for broadcast, with its own output at the same index, to the satoshi.
 * Any other pair would be wallet money under a script that the peer may be able to take.
 */
function isPaired(
  ctx: Context,
  channel: OpenChannel,
  tx: Transaction,
  input: OutPoint,
  index: number,
): boolean {
  const commitment = broadcastCommitment(channel, input);
  const output = tx.outputs[index];
  if (commitment === null || output === undefined) return false;
  const point = ctx.keys.perCommitmentPoint(channel.ref, commitment.number);
  const built = htlcTransactionsAt(ctx, channel, 'holder', point, [commitment], {
    outputIndex: input.vout,
    isIt: () => true,
  });
  return built.some(({ transaction }) => {
    const expected = transaction.outputs[0]!;
    return expected.value === output.value && equalBytes(expected.script, output.script);
  });
}

function broadcastCommitment({ record }: OpenChannel, { txid }: OutPoint): ValidatedCommitment | null {
  const validated = record.candidates.flatMap((candidate) => candidate.validated);
  const found = validated.find((one) => equalBytes(one.txid, txid));
  if (found === undefined || record.holderSigned === null || found.number < record.holderSigned) return null;
  return found.number >= record.holderNextRevoke ? found : null;
}

interface Bump {
  /** Input and output indices of HTLCs of ours: they count for nothing, on either side. */
  readonly paired: readonly number[];
  /** What the fee pays for beside the transaction itself. */
  readonly parentWeight: number;
  /** The outputs whose spending the fee counts for; null: the wallet's own. */
  readonly spends: readonly OutPoint[] | null;
  /** What may be lost if it does not confirm in time. A higher fee defends nothing; nodes do not pay it. */
  readonly stakeSat: bigint;
}

function judgeBump(
  ctx: Context,
  channel: OpenChannel,
  psbt: Psbt,
  owned: readonly OwnedInput[],
  bump: Bump,
): void {
  if (owned.length === 0) return;
  const tx = psbt.unsignedTx;
  const scope = scopeOf(channel.record);
  requireKnownAmounts(ctx, psbt, owned);
  const own = tx.outputs.flatMap(({ script, value }, index) => {
    // LDK fills in an OP_RETURN where no change is left: an output of nothing takes nothing.
    if (bump.paired.includes(index) || value === 0n) return [];
    if (!isOurs(ctx, script)) {
      refuse(noUnknownOutputs, 'what raises a fee pays only to our wallet, beside the HTLC itself', {
        output: index,
        value_sat: value,
        script: toHex(script),
      });
    }
    return [index];
  });
  const inSat = inputValueSat(ctx, psbt, owned, bump.paired);
  const outSat = own.reduce((sum, index) => sum + tx.outputs[index]!.value, 0n);
  const feeSat = inSat - outSat;
  const spent = tx.inputs.map((_, index) => psbtSpentOutput(psbt, index));
  const weight = signedWeight(tx, spent) + bump.parentWeight;
  requireFee(ctx, onchainFeeRange, scope, { feeSat, weight, weightMin: null });
  const spends = bump.spends ?? owned.map(({ index }) => tx.inputs[index]!);
  chargeFee(ctx, scope, spends, feeSat, feeSat <= bump.stakeSat ? 'defensive' : 'free');
  noteSpentIndices(ctx, owned);
  noteWalletOutputs(ctx, tx, own);
  markFundingSigned(ctx, tx, owned.map(signedInput));
}

/** Named inputs, those an earlier request named, and those of our wallet's scripts that another may name. */
function inputValueSat(
  ctx: Context,
  psbt: Psbt,
  owned: readonly OwnedInput[],
  paired: readonly number[],
): Sat {
  const tx = psbt.unsignedTx;
  const before = signedBefore(ctx, tx);
  const values = tx.inputs.map((_, index) => {
    if (paired.includes(index)) return 0n;
    const claims = [...owned.map(signedInput), ...before].filter((one) => one.index === index);
    const spent = psbtSpentOutput(psbt, index);
    if (claims.length === 0 && spent !== undefined && isOurs(ctx, spent.script)) return spent.value;
    return largest(claims.map(({ valueSat }) => valueSat));
  });
  return sat(values.reduce((sum, one) => sum + one, 0n));
}
