/**
 * Our own commitment, ready to be signed: the transaction with the peer's signature, and its HTLC transactions with those
 * that the peer gave for them.
 */
import {
  buildHtlcTransaction,
  countersignatoryHtlcSighash,
  encodeScriptSignature,
  equalBytes,
  fundingScript,
  hasAnchors,
  p2wshOfScript,
  SIGHASH,
  sat,
} from '@countersign/bitcoin';
import type { KeyPlace } from '../context.ts';
import type { OwnCommitment } from '../ratchet/rebuild.ts';
import { type Frame, type OpenOutput, signedWeightOf, unclaimedOf } from './claim.ts';
import { htlcDeadline, type KnownPreimage, type PlanPlace, preimageOf } from './close-claims.ts';
import type { Remedy, RemedyInput, Unclaimed } from './remedy.ts';

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
