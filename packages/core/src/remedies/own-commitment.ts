/**
 * Our own commitment from its record: the transaction itself, as it was validated, and its HTLC transactions with the
 * signatures that the peer gave for them.
 */
import {
  ANCHOR_SAT,
  buildHtlcTransaction,
  type CommitmentHtlcOutput,
  type CommitmentOutput,
  type CommitmentScriptParams,
  commitmentLocktime,
  commitmentScripts,
  commitmentSequence,
  compareOrdered,
  countersignatoryHtlcSighash,
  encodeScriptSignature,
  equalBytes,
  fundingScript,
  hasAnchors,
  htlcOutput,
  p2wshOfScript,
  SIGHASH,
  sat,
  type Transaction,
  txid,
} from '@countersign/bitcoin';
import type { OpenChannel } from '../channel/lookup.ts';
import type { FundingCandidate, ValidatedCommitment } from '../channel/record.ts';
import type { KeyPlace } from '../context.ts';
import {
  commitmentKeys,
  htlcSeenBy,
  mayBeLeased,
  obscureFactorOf,
  scriptParams,
} from '../ratchet/commitment.ts';
import { leasedScripts } from '../ratchet/lease.ts';
import { type Frame, type OpenOutput, signedWeightOf, unclaimedOf } from './claim.ts';
import { htlcDeadline, type KnownPreimage, type PlanPlace, preimageOf } from './close-claims.ts';
import type { Remedy, RemedyInput, Unclaimed } from './remedy.ts';

export interface OwnCommitment {
  readonly content: ValidatedCommitment;
  readonly candidate: FundingCandidate;
  readonly point: Uint8Array;
  readonly params: CommitmentScriptParams;
  /** Unsigned. */
  readonly transaction: Transaction;
  /** In output order, which is that of the peer's HTLC signatures. */
  readonly htlcs: readonly CommitmentHtlcOutput[];
}

/** Null when what is on record gives another transaction than the one that was validated. */
export function rebuildOwn(
  place: KeyPlace,
  channel: OpenChannel,
  candidate: FundingCandidate,
  content: ValidatedCommitment,
): OwnCommitment | null {
  const point = place.keys.perCommitmentPoint(channel.ref, content.number);
  const keys = commitmentKeys(place, channel, 'holder', point);
  const plain = scriptParams(place, channel, candidate, 'holder', keys);
  for (const params of leaseVariants(plain, mayBeLeased(channel, candidate))) {
    const outputs = outputsOf(params, content);
    const transaction = withOutputs(place, channel, candidate, content.number, outputs);
    if (!equalBytes(txid(transaction), content.txid)) continue;
    return { content, candidate, point, params, transaction, htlcs: htlcsIn(outputs, content) };
  }
  return null;
}

function* leaseVariants(
  params: CommitmentScriptParams,
  isLeased: boolean,
): Generator<CommitmentScriptParams> {
  yield params;
  if (!isLeased) return;
  for (const { blocks } of leasedScripts(params)) yield { ...params, leaseCsvBlocks: blocks };
}

/** BOLT 3: an anchor stands beside its side's main output, or beside any HTLC. */
function outputsOf(
  params: CommitmentScriptParams,
  content: ValidatedCommitment,
): readonly CommitmentOutput[] {
  const scripts = commitmentScripts(params);
  const outputs: CommitmentOutput[] = content.htlcs.map((record, i) =>
    htlcOutput(scripts.htlc, htlcSeenBy('holder', record), i),
  );
  const hasHtlcs = outputs.length > 0;
  const none = { htlcIndex: -1, cltvExpiry: 0 };
  const { toHolderSat, toCounterpartySat } = content;
  if (toHolderSat !== null)
    outputs.push({ kind: 'to_local', value: toHolderSat, ...scripts.toLocal, ...none });
  if (toCounterpartySat !== null)
    outputs.push({ kind: 'to_remote', value: toCounterpartySat, ...scripts.toRemote, ...none });
  if (scripts.anchors !== null) {
    const { broadcaster, countersignatory } = scripts.anchors;
    const anchor = { value: ANCHOR_SAT, ...none };
    if (toHolderSat !== null || hasHtlcs) outputs.push({ kind: 'local_anchor', ...anchor, ...broadcaster });
    if (toCounterpartySat !== null || hasHtlcs)
      outputs.push({ kind: 'remote_anchor', ...anchor, ...countersignatory });
  }
  return outputs.sort(compareOrdered);
}

function withOutputs(
  place: KeyPlace,
  channel: OpenChannel,
  { outpoint }: FundingCandidate,
  number: number,
  outputs: readonly CommitmentOutput[],
): Transaction {
  const factor = obscureFactorOf(place, channel);
  const sequence = commitmentSequence(number, factor);
  const { txid: fundingTxid, vout } = outpoint;
  return {
    version: 2,
    inputs: [{ txid: fundingTxid, vout, scriptSig: new Uint8Array(0), sequence, witness: [] }],
    outputs: outputs.map(({ value, script }) => ({ value, script })),
    locktime: commitmentLocktime(number, factor),
  };
}

function htlcsIn(
  outputs: readonly CommitmentOutput[],
  { htlcs }: ValidatedCommitment,
): readonly CommitmentHtlcOutput[] {
  return outputs.flatMap(({ htlcIndex, witnessScript }, outputIndex) =>
    htlcIndex < 0
      ? []
      : [
          {
            outputIndex,
            htlcIndex,
            htlc: htlcSeenBy('holder', htlcs[htlcIndex]!),
            witnessScript: witnessScript!,
          },
        ],
  );
}

const EMPTY = new Uint8Array(0);

/** The commitment with the place for our signature: 0 <signatures in the order of the keys> <script> (BOLT 3). */
export function commitmentRemedy(place: KeyPlace, frame: Frame, own: OwnCommitment): Remedy {
  const { channel, heightBlocks, isReleased } = frame;
  const { candidate, content, transaction } = own;
  const ours = place.keys.fundingPublicKey(channel.ref);
  const witnessScript = fundingScript(ours, candidate.counterpartyFundingKey);
  const theirs = encodeScriptSignature(content.signature, SIGHASH.ALL);
  // The 2-of-2 has its lesser key first: after OP_2 and a push of 33 bytes.
  const isOurKeyFirst = equalBytes(witnessScript.subarray(2, 35), ours);
  const signatures = isOurKeyFirst ? [null, theirs] : [theirs, null];
  const input: RemedyInput = {
    outpoint: candidate.outpoint,
    spent: { value: candidate.valueSat, script: p2wshOfScript(witnessScript) },
    witnessScript,
    scriptCode: witnessScript,
    key: { kind: 'funding' },
    sighashType: SIGHASH.ALL,
    witness: [EMPTY, ...signatures, witnessScript],
  };
  const outSat = transaction.outputs.reduce((sum, { value }) => sum + value, 0n);
  return {
    kind: 'commitment',
    channel: channel.id,
    ref: channel.ref,
    transaction,
    inputs: [input],
    after: null,
    earliestHeightBlocks: heightBlocks,
    deadlineHeightBlocks: null,
    valueSat: content.toHolderSat ?? sat(0),
    feeSat: sat(candidate.valueSat - outSat),
    weight: signedWeightOf(transaction, [input]),
    bump: hasAnchors(channel.setup.format) ? 'anchor' : 'none',
    rungs: [],
    isFinal: false,
    isFallback: false,
    isPunishable: false,
    isOptional: false,
    isReleased,
  };
}

/** HTLC-timeout takes none. */
const NO_PREIMAGE: KnownPreimage = { preimage: EMPTY, isOptional: false };

/** HTLC-timeout or HTLC-success for an output of our commitment, or why there is none. */
export function secondLevelRemedy(
  place: PlanPlace,
  frame: Frame,
  own: OwnCommitment,
  of: OpenOutput,
): Remedy | Unclaimed {
  const { channel, isReleased } = frame;
  const { format } = channel.setup;
  const at = own.htlcs.findIndex(({ outputIndex }) => outputIndex === of.outpoint.vout);
  const spent = own.htlcs[at];
  const signature = own.content.htlcSignatures[at];
  if (spent === undefined || signature === undefined) return unclaimedOf(of, 'no-key-material');
  const { htlc, witnessScript } = spent;
  if (!equalBytes(of.output.script, p2wshOfScript(witnessScript))) return unclaimedOf(of, 'script-differs');
  const isTimeout = htlc.direction === 'offered';
  const known = isTimeout ? NO_PREIMAGE : preimageOf(place, channel.id, htlc.paymentHash);
  if (known === null) return unclaimedOf(of, 'no-preimage');
  const { feeratePerKw, txid: commitmentTxid } = own.content;
  const { keys, toSelfDelayBlocks } = own.params;
  const built = buildHtlcTransaction(
    { format, feeratePerKw, toSelfDelayBlocks, keys, commitmentTxid },
    spent,
  );
  const input: RemedyInput = {
    outpoint: of.outpoint,
    spent: of.output,
    witnessScript,
    scriptCode: witnessScript,
    key: { kind: 'htlc', perCommitmentPoint: own.point },
    // BOLT 3 zero-fee HTLC transactions: inputs and outputs that pay the fee may join, ours stays ours.
    sighashType: countersignatoryHtlcSighash(format),
    witness: [
      EMPTY,
      encodeScriptSignature(signature, countersignatoryHtlcSighash(format)),
      null,
      known.preimage,
      witnessScript,
    ],
  };
  const { transaction, feeSat } = built;
  return {
    kind: isTimeout ? 'htlc-timeout' : 'htlc-success',
    channel: channel.id,
    ref: channel.ref,
    transaction,
    inputs: [input],
    after: of.after,
    earliestHeightBlocks: Math.max(of.createdHeightBlocks, transaction.locktime),
    deadlineHeightBlocks: htlcDeadline(frame, of),
    valueSat: transaction.outputs[0]!.value,
    feeSat,
    weight: signedWeightOf(transaction, [input]),
    bump: feeSat === 0n ? 'fee-input' : 'none',
    rungs: [],
    isFinal: false,
    isFallback: false,
    isPunishable: false,
    isOptional: known.isOptional,
    isReleased,
  };
}
