/**
 * Second-level HTLC transactions of either side (BOLT 3): rebuilt from the commitment on record and compared. The first
 * field that differs is named by its own rule.
 */
import {
  buildHtlcTransaction,
  type CommitmentKeys,
  equalBytes,
  type HtlcTransaction,
  htlcOutput,
  htlcScripts,
  htlcTransactionOutputScript,
  p2wshOfScript,
  parseScript,
  psbtOutputWitnessScript,
  type ScriptElement,
  segwitV0Sighash,
  serializeNoWitness,
  type Transaction,
  txidToHex,
} from '@countersign/bitcoin';
import { type MessageOf, SIGHASH_ALL, SIGHASH_SINGLE_ANYONECANPAY } from '@countersign/wire';
import { scopeOf } from '../channel/live.ts';
import {
  clientChannel,
  type OpenChannel,
  requireChannel,
  requireUnfrozenChannel,
} from '../channel/lookup.ts';
import type { CommitmentContent } from '../channel/record.ts';
import type { Context } from '../context.ts';
import { enforce } from '../policy/enforce.ts';
import type { Rule } from '../policy/registry.ts';
import { limitsFor } from '../policy/settings.ts';
import {
  type Broadcaster,
  commitmentKeys,
  htlcSeenBy,
  requireCommitmentNumber,
} from '../ratchet/commitment.ts';
import { singleInput } from '../ratchet/holder.ts';
import { holderNotRevoked } from '../ratchet/rules.ts';
import { refuse } from '../refusal.ts';
import type { Release } from '../release.ts';
import {
  htlcBelongs,
  htlcCltvRange,
  htlcDelayedPubkey,
  htlcFeeRange,
  htlcLocktime,
  htlcRevocationPubkey,
  htlcSequence,
  htlcToSelfDelay,
  htlcVersion,
} from './claim-rules.ts';
import { chargeFee } from './fees.ts';
import { sighashRule } from './rules.ts';
import { LOCKTIME_HEIGHT_MAX } from './spend-form.ts';
import { isSignedAlone, requireInput, requireOnlyInput, type WireTx } from './wire-tx.ts';

/** sign_remote_htlc_tx (20): our signature on a second-level transaction of a commitment of the peer. */
export function signRemoteHtlcTx(ctx: Context, request: MessageOf<'hsmd_sign_remote_htlc_tx'>): Release {
  const channel = requireUnfrozenChannel(ctx, clientChannel(ctx));
  const spends = singleInput(request.tx.tx);
  // Variants may be one transaction: a script of the peer's HTLC does not hold its expiry, the HTLC transaction does.
  const variants = channel.record.candidates
    .flatMap((candidate) => candidate.issued)
    .filter((commitment) => equalBytes(commitment.txid, spends.txid));
  const point = channel.record.counterpartyPoints.find((p) => p.number === variants[0]?.number);
  if (point === undefined || !equalBytes(point.point, request.remotePerCommitPoint)) {
    refuse(htlcBelongs, 'the transaction does not spend an unrevoked commitment of the peer that we signed', {
      spends: txidToHex(spends.txid),
      commitment_known: variants.length > 0,
    });
  }
  const sighashType = htlcSighashType(channel.setup.format, request.optionAnchorOutputs);
  const asked = { ...request, input: 0 };
  const htlcTx = requireHtlcTransaction(ctx, channel, 'counterparty', point.point, variants, asked);
  return {
    kind: 'sign-htlc',
    channel: channel.ref,
    perCommitmentPoint: point.point,
    sighash: htlcSighash(request.tx.tx, 0, htlcTx, sighashType),
    sighashType,
  };
}

/**
 * sign_any_local_htlc_tx (146): our own signature on a second-level transaction of our own commitment. With anchors LDK puts
 * several of them into one transaction, with what pays their fee behind: the signature is over the whole, and safe because
 * BOLT 3's own over one pair of input and output already lets anybody add the rest.
 */
export function signLocalHtlcTx(ctx: Context, request: MessageOf<'hsmd_sign_any_local_htlc_tx'>): Release {
  const { input } = request;
  const { tx } = request.tx;
  const spends = requireInput(tx, input);
  const channel = requireChannel(ctx, { peerId: request.peerid, dbid: request.channelDbid });
  const number = requireCommitmentNumber(request.commitNum);
  const { record } = channel;
  if (number < record.holderNextRevoke) {
    refuse(holderNotRevoked, 'the secret of this commitment has left the signer', {
      number,
      first_unrevoked: record.holderNextRevoke,
    });
  }
  if (channel.setup.format === 'static_remotekey') requireOnlyInput(tx);
  const validated = record.candidates
    .flatMap((candidate) => candidate.validated)
    .find((c) => c.number === number && equalBytes(c.txid, spends.txid));
  if (validated === undefined) {
    refuse(
      htlcBelongs,
      'the transaction does not spend the commitment that was validated under this number',
      { number, spends: txidToHex(spends.txid) },
    );
  }
  const alone = htlcSighashType(channel.setup.format, request.optionAnchorOutputs);
  const sighashType = isSignedAlone(request.tx, input) ? alone : SIGHASH_ALL;
  const point = ctx.keys.perCommitmentPoint(channel.ref, number);
  const htlcTx = requireHtlcTransaction(ctx, channel, 'holder', point, [validated], request);
  chargeFee(ctx, scopeOf(record), [spends], htlcTx.feeSat, 'defensive');
  return {
    kind: 'sign-htlc',
    channel: channel.ref,
    perCommitmentPoint: point,
    sighash: htlcSighash(tx, input, htlcTx, sighashType),
    sighashType,
  };
}

/** The transactions BOLT 3 gives the HTLCs of these commitments at one of their outputs, by its script. */
export function htlcTransactionsAt(
  ctx: Context,
  channel: OpenChannel,
  broadcaster: Broadcaster,
  perCommitmentPoint: Uint8Array,
  variants: readonly CommitmentContent[],
  at: { readonly outputIndex: number; readonly isIt: (witnessScript: Uint8Array) => boolean },
): readonly HtlcTransaction[] {
  const { setup } = channel;
  const keys = commitmentKeys(ctx, channel, broadcaster, perCommitmentPoint);
  const scripts = htlcScripts(keys, setup.format);
  const toSelfDelayBlocks = delayOf(channel, broadcaster);
  return variants.flatMap(({ feeratePerKw, txid: commitmentTxid, htlcs }) => {
    const params = { format: setup.format, feeratePerKw, toSelfDelayBlocks, keys, commitmentTxid };
    return htlcs.flatMap((record, htlcIndex) => {
      const htlc = htlcSeenBy(broadcaster, record);
      const { witnessScript } = htlcOutput(scripts, htlc, htlcIndex);
      if (!at.isIt(witnessScript)) return [];
      return [buildHtlcTransaction(params, { outputIndex: at.outputIndex, htlcIndex, htlc, witnessScript })];
    });
  });
}

const delayOf = ({ setup }: OpenChannel, broadcaster: Broadcaster): number =>
  broadcaster === 'holder' ? setup.holderToSelfDelayBlocks : setup.counterpartyToSelfDelayBlocks;

/** The transaction of the pair at this index alone, as BOLT 3 has it: nothing else is in it. */
const pairAt = (tx: Transaction, index: number): Transaction => ({
  ...tx,
  inputs: tx.inputs.slice(index, index + 1),
  outputs: tx.outputs.slice(index, index + 1),
});

/**
 * The second-level transaction of the HTLC whose script the request names, rebuilt from the commitment on record. The
 * request's must be the same, or with anchors have the same input and output at the index that is signed: any other output
 * would leave the channel without the delay and the revocation path.
 */
function requireHtlcTransaction(
  ctx: Context,
  channel: OpenChannel,
  broadcaster: Broadcaster,
  perCommitmentPoint: Uint8Array,
  variants: readonly CommitmentContent[],
  request: { readonly tx: WireTx; readonly wscript: Uint8Array; readonly input: number },
): HtlcTransaction {
  const { input } = request;
  const isWhole = broadcaster === 'counterparty' || channel.setup.format === 'static_remotekey';
  const tx = isWhole ? request.tx.tx : pairAt(request.tx.tx, input);
  const outputIndex = tx.inputs[0]!.vout;
  const built = htlcTransactionsAt(ctx, channel, broadcaster, perCommitmentPoint, variants, {
    outputIndex,
    isIt: (witnessScript) => equalBytes(witnessScript, request.wscript),
  });
  const asked = serializeNoWitness(tx);
  // HTLCs equal in script may differ in amount, and then in their transactions.
  const same = built.find((one) => equalBytes(serializeNoWitness(one.transaction), asked));
  if (same !== undefined) {
    requireUsualFeerate(ctx, channel, variants);
    return same;
  }
  const nearest = built.find((one) => one.transaction.outputs[0]!.value === tx.outputs[0]?.value) ?? built[0];
  if (nearest === undefined || tx.outputs.length !== 1) {
    refuse(htlcBelongs, 'this is not the transaction BOLT 3 gives an HTLC of that commitment', {
      commitment: txidToHex(tx.inputs[0]!.txid),
      output: outputIndex,
      outputs: tx.outputs.length,
      variants: variants.length,
    });
  }
  const keys = commitmentKeys(ctx, channel, broadcaster, perCommitmentPoint);
  const witnessScript = psbtOutputWitnessScript(request.tx.psbt, input);
  const delayBlocks = delayOf(channel, broadcaster);
  refuseDifference(ctx, channel, { tx, witnessScript }, nearest, { keys, delayBlocks });
  return nearest;
}

/** Without anchors each claim of an HTLC pays the commitment's rate, whoever set it. */
export function requireUsualFeerate(
  ctx: Context,
  channel: OpenChannel,
  variants: readonly CommitmentContent[],
): void {
  if (channel.setup.format === 'anchors_zero_fee_htlc') return;
  const scope = scopeOf(channel.record);
  const { feerateMaxPerKw } = limitsFor(ctx.policy, scope);
  const feeratePerKw = Math.max(...variants.map((one) => one.feeratePerKw));
  if (feeratePerKw <= feerateMaxPerKw) return;
  enforce(ctx, htlcFeeRange, scope, {
    message: 'the fee rate of HTLC transactions on this commitment is above the limit',
    facts: { feerate_per_kw: feeratePerKw, feerate_max_per_kw: feerateMaxPerKw },
  });
}

interface ExpectedOutput {
  readonly keys: CommitmentKeys;
  readonly delayBlocks: number;
}

/** The first field in which the transactions differ, by its own rule. Soft rules come last. */
function refuseDifference(
  ctx: Context,
  channel: OpenChannel,
  { tx, witnessScript }: { readonly tx: Transaction; readonly witnessScript: Uint8Array | undefined },
  { transaction: built, spent }: HtlcTransaction,
  expected: ExpectedOutput,
): void {
  const facts = { output: spent.outputIndex, direction: spent.htlc.direction };
  if (tx.version !== built.version)
    refuse(htlcVersion, 'an HTLC transaction has version 2', { ...facts, version: tx.version });
  const scope = scopeOf(channel.record);
  if (tx.locktime > LOCKTIME_HEIGHT_MAX) {
    enforce(ctx, htlcCltvRange, scope, {
      message: 'the locktime of an HTLC transaction is a time, not a block height',
      facts: { ...facts, locktime: tx.locktime },
    });
  }
  if (tx.locktime !== built.locktime) {
    refuse(htlcLocktime, "the locktime is not the HTLC's", {
      ...facts,
      locktime: tx.locktime,
      locktime_expected: built.locktime,
    });
  }
  const [sequence, sequenceExpected] = [tx.inputs[0]!.sequence, built.inputs[0]!.sequence];
  if (sequence !== sequenceExpected) {
    refuse(htlcSequence, 'the sequence is not that of an HTLC transaction of this channel', {
      ...facts,
      sequence,
      sequence_expected: sequenceExpected,
    });
  }
  const [output, outputExpected] = [tx.outputs[0]!, built.outputs[0]!];
  if (!equalBytes(output.script, outputExpected.script)) {
    refuse(
      differingKey(output.script, witnessScript, expected),
      'the output is not what BOLT 3 gives this HTLC transaction',
      { ...facts, delay_expected_blocks: expected.delayBlocks },
    );
  }
  enforce(ctx, htlcFeeRange, scope, {
    message: "the fee is not what BOLT 3 computes from the commitment's fee rate",
    facts: { ...facts, value_sat: output.value, value_expected_sat: outputExpected.value },
  });
}

/** BOLT 2: no delay is longer than a u16, and none that we accept than four weeks. */
const DELAY_SEARCHED_MAX = 4032;

/**
 * What an output script differs in. The witness script says it where the PSBT has it; else a delay is found by trying,
 * and a key that nobody told is taken for the revocation key: without it the output is beyond punishment.
 */
function differingKey(
  script: Uint8Array,
  witnessScript: Uint8Array | undefined,
  { keys, delayBlocks }: ExpectedOutput,
): Rule {
  if (witnessScript !== undefined && equalBytes(p2wshOfScript(witnessScript), script)) {
    const expected = parseScript(htlcTransactionOutputScript(keys, delayBlocks));
    const given = parseScript(witnessScript);
    const differs = (at: number) => !sameElement(expected[at], given[at]);
    if (given.length !== expected.length || differs(REVOCATION_KEY_AT)) return htlcRevocationPubkey;
    if (differs(DELAY_AT)) return htlcToSelfDelay;
    return differs(DELAYED_KEY_AT) ? htlcDelayedPubkey : htlcRevocationPubkey;
  }
  for (let delay = 0; delay <= DELAY_SEARCHED_MAX; delay++) {
    if (equalBytes(p2wshOfScript(htlcTransactionOutputScript(keys, delay)), script)) return htlcToSelfDelay;
  }
  return htlcRevocationPubkey;
}

/** OP_IF <revocation> OP_ELSE <delay> CSV DROP <delayed> OP_ENDIF CHECKSIG. */
const REVOCATION_KEY_AT = 1;
const DELAY_AT = 3;
const DELAYED_KEY_AT = 6;

function sameElement(a: ScriptElement | undefined, b: ScriptElement | undefined): boolean {
  if (a === undefined || b === undefined || a.opcode !== b.opcode) return false;
  return equalBytes(a.data ?? NO_DATA, b.data ?? NO_DATA);
}
const NO_DATA = new Uint8Array(0);

const htlcSighash = (
  tx: Transaction,
  input: number,
  { spent, spentSat }: HtlcTransaction,
  sighashType: number,
): Uint8Array => segwitV0Sighash(tx, input, spent.witnessScript, spentSat, sighashType);

export function htlcSighashType(format: string, optionAnchorOutputs: boolean): number {
  if (optionAnchorOutputs !== (format === 'anchors_zero_fee_htlc')) {
    refuse(sighashRule, 'the request and the channel disagree on anchors, which decide the signature hash', {
      option_anchor_outputs: optionAnchorOutputs,
      channel_type: format,
    });
  }
  return optionAnchorOutputs ? SIGHASH_SINGLE_ANYONECANPAY : SIGHASH_ALL;
}
