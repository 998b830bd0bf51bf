/**
 * Which outputs of a close are ours to take, with which key and witness (BOLT 3 and BOLT 5). The script of each is rebuilt
 * and must be the one the chain has; what does not fit is left alone and reported.
 */
import {
  equalBytes,
  hash160,
  htlcTransactionOutputScript,
  p2pkhScript,
  p2wshOfScript,
  toHex,
} from '@countersign/bitcoin';
import type { ChannelId } from '../channel/record.ts';
import type { KeyPlace } from '../context.ts';
import type { ClosingKind } from '../records/chain.ts';
import { paymentRecords } from '../records/payment.ts';
import type { Draft } from '../state.ts';
import { type Claim, claimOf, type Frame, type OpenOutput, unclaimedOf } from './claim.ts';
import { type ClosingScripts, htlcWitnessScript } from './closing-scripts.ts';
import { URGENT_AT_MOST_BLOCKS } from './fee-ladder.ts';
import type { RemedyKey, Unclaimed, UnclaimedReason } from './remedy.ts';

export type PlanPlace = KeyPlace & { readonly draft: Pick<Draft, 'get'> };

/** A close with its scripts and what of its keys is known. */
export interface ClosedCommitment {
  readonly kind: ClosingKind;
  readonly scripts: ClosingScripts;
  /** Ours or the peer's, of this commitment. */
  readonly point: Uint8Array | null;
  /** The peer's, where it has revoked the commitment. */
  readonly secret: Uint8Array | null;
}

const EMPTY = new Uint8Array(0);
/** The argument of OP_IF that takes the first branch; only this one is standard. */
const TRUE = Uint8Array.of(1);

/** A claim, a reason why there is none, or null: the output is not ours. */
export type Found = Claim | UnclaimedReason | null;

export function findClaim(
  place: PlanPlace,
  frame: Frame,
  commitment: ClosedCommitment,
  of: OpenOutput,
): Found {
  switch (of.role) {
    case 'main-holder':
      return commitment.scripts.broadcaster === 'holder'
        ? ownMain(commitment, of)
        : toRemote(place, frame, commitment, of);
    case 'main-counterparty':
      return penalizedMain(commitment, of);
    case 'htlc':
      return commitment.kind === 'counterparty-revoked'
        ? penalizedHtlc(frame, commitment, of)
        : htlcOutput(place, frame, commitment, of);
    case 'second-level':
      return secondLevel(commitment, of);
    case 'anchor-holder':
      return 'anchor';
    case 'unknown':
      return 'script-unknown';
    default:
      return null;
  }
}

/** Our to_local: after its delay nobody contests it, unless the peer has its secret. */
function ownMain(commitment: ClosedCommitment, of: OpenOutput): Found {
  const main = commitment.scripts.main(of.output.script);
  if (main === null || main.witnessScript === null) return 'script-differs';
  return delayed(commitment, of, main.witnessScript, main.csvBlocks);
}

function delayed(
  { kind, point }: ClosedCommitment,
  of: OpenOutput,
  witnessScript: Uint8Array,
  csvBlocks: number,
): Found {
  const isPunishable = kind === 'holder-revoked';
  return claimOf(of, {
    kind: 'delayed',
    key: { kind: 'delayed', perCommitmentPoint: point! },
    witnessScript,
    witness: [null, EMPTY, witnessScript],
    csvBlocks,
    isPunishable,
    deadlineHeightBlocks: isPunishable ? of.createdHeightBlocks + 1 : null,
  });
}

/** Our main output in a commitment of the peer: nobody else's, ever. */
function toRemote(
  place: PlanPlace,
  { channel }: Frame,
  { scripts }: ClosedCommitment,
  of: OpenOutput,
): Found {
  const main = scripts.main(of.output.script);
  if (main === null) return 'script-differs';
  const { witnessScript, csvBlocks } = main;
  const key: RemedyKey = { kind: 'to-remote' };
  if (witnessScript !== null)
    return claimOf(of, { kind: 'to-remote', key, witnessScript, witness: [null, witnessScript], csvBlocks });
  const publicKey = place.keys.paymentPublicKey(channel.ref, null);
  const scriptCode = p2pkhScript(hash160(publicKey));
  return claimOf(of, { kind: 'to-remote', key, witnessScript, scriptCode, witness: [null, publicKey] });
}

/** The peer's to_local, where it may be punished. */
function penalizedMain({ kind, scripts, secret }: ClosedCommitment, of: OpenOutput): Found {
  if (kind !== 'counterparty-revoked') return null;
  const main = scripts.main(of.output.script);
  if (main === null || main.witnessScript === null) return 'script-differs';
  return penalty(of, secret, main.witnessScript, of.createdHeightBlocks + main.csvBlocks, TRUE);
}

/** `path`: what chooses the revocation path of the script. */
function penalty(
  of: OpenOutput,
  secret: Uint8Array | null,
  witnessScript: Uint8Array,
  deadlineHeightBlocks: number,
  path: Uint8Array,
): Found {
  if (secret === null) return 'no-key-material';
  return claimOf(of, {
    kind: 'justice',
    key: { kind: 'revocation', perCommitmentSecret: secret },
    witnessScript,
    witness: [null, path, witnessScript],
    deadlineHeightBlocks,
  });
}

/**
 * The peer may move it to the second level at any time, where the same delay begins again: it is never lost within the
 * next blocks, so it is urgent at most.
 */
function penalizedHtlc(
  { heightBlocks }: Frame,
  { scripts, secret }: ClosedCommitment,
  of: OpenOutput,
): Found {
  const { secondLevel, broadcaster } = scripts;
  if (secondLevel === null || of.htlc === null) return 'no-key-material';
  const witnessScript = htlcWitnessScript(secondLevel.htlc, broadcaster, of.htlc);
  if (!isScriptOf(of, witnessScript)) return 'script-differs';
  const deadline = Math.max(
    of.createdHeightBlocks + secondLevel.delayBlocks,
    heightBlocks + URGENT_AT_MOST_BLOCKS,
  );
  return penalty(of, secret, witnessScript, deadline, secondLevel.keys.revocation);
}

const isScriptOf = ({ output }: OpenOutput, witnessScript: Uint8Array): boolean =>
  equalBytes(output.script, p2wshOfScript(witnessScript));

/** An HTLC of a commitment of the peer that it has not revoked; those of ours go through their HTLC transactions. */
function htlcOutput(place: PlanPlace, frame: Frame, commitment: ClosedCommitment, of: OpenOutput): Found {
  const { scripts, point } = commitment;
  if (commitment.kind !== 'counterparty' || scripts.secondLevel === null || of.htlc === null)
    return 'no-key-material';
  const { htlc } = of;
  const witnessScript = htlcWitnessScript(scripts.secondLevel.htlc, scripts.broadcaster, htlc);
  if (!isScriptOf(of, witnessScript)) return 'script-differs';
  const key: RemedyKey = { kind: 'htlc', perCommitmentPoint: point! };
  const csvBlocks = frame.channel.setup.format === 'anchors_zero_fee_htlc' ? 1 : 0;
  const deadlineHeightBlocks = htlcDeadline(frame, of);
  if (htlc.offeredBy === 'holder') {
    const { cltvExpiry } = htlc;
    const witness = [null, EMPTY, witnessScript];
    return claimOf(of, {
      kind: 'claim-timeout',
      key,
      witnessScript,
      witness,
      csvBlocks,
      cltvExpiry,
      deadlineHeightBlocks,
    });
  }
  const known = preimageOf(place, frame.channel.id, htlc.paymentHash);
  if (known === null) return 'no-preimage';
  const { preimage, isOptional } = known;
  const witness = [null, preimage, witnessScript];
  const terms = { key, witnessScript, witness, csvBlocks, deadlineHeightBlocks, isOptional };
  return claimOf(of, { kind: 'claim-preimage', ...terms });
}

/**
 * Of one that we claim by its preimage: the peer's timeout is in the block after the expiry at the earliest. One that we
 * take back the peer may claim all the time; it must be ours before what stands behind it upstream can expire.
 */
export function htlcDeadline({ limits }: Frame, { htlc }: OpenOutput): number {
  const { offeredBy, cltvExpiry } = htlc!;
  if (offeredBy === 'counterparty') return cltvExpiry + 1;
  return cltvExpiry + Math.max(1, limits.cltvDeltaBlocks - limits.claimMarginBlocks);
}

export interface KnownPreimage {
  readonly preimage: Uint8Array;
  /** As in the remedy. */
  readonly isOptional: boolean;
}

/** An invoice of ours obliges once it was paid on (a rebalance), or once this channel has begun to credit it. */
export function preimageOf(
  { draft }: PlanPlace,
  channel: ChannelId,
  paymentHash: Uint8Array | null,
): KnownPreimage | null {
  const payment = paymentHash === null ? null : draft.get(paymentRecords, toHex(paymentHash));
  if (payment === null || payment.preimage === null) return null;
  const { preimage, invoice, parts, settledMsat } = payment;
  const isOwed =
    settledMsat > 0n ||
    parts.some((part) => part.outMsat > 0n || (part.channel === channel && part.creditMaxMsat > 0n));
  return { preimage, isOptional: invoice !== null && !isOwed };
}

/** The output of an HTLC transaction: delayed for who published the commitment, or ours by the revocation key. */
function secondLevel(commitment: ClosedCommitment, of: OpenOutput): Found {
  const { kind, scripts, secret } = commitment;
  if (scripts.secondLevel === null) return 'no-key-material';
  const { keys, delayBlocks } = scripts.secondLevel;
  const witnessScript = htlcTransactionOutputScript(keys, delayBlocks);
  if (!isScriptOf(of, witnessScript)) return 'script-differs';
  if (scripts.broadcaster === 'holder') return delayed(commitment, of, witnessScript, delayBlocks);
  if (kind !== 'counterparty-revoked') return null;
  return penalty(of, secret, witnessScript, of.createdHeightBlocks + delayBlocks, TRUE);
}

/** Claims of all these outputs, and the outputs that stay. */
export function claimsOf(
  place: PlanPlace,
  frame: Frame,
  commitment: ClosedCommitment,
  outputs: readonly OpenOutput[],
): { readonly claims: readonly Claim[]; readonly unclaimed: readonly Unclaimed[] } {
  const claims: Claim[] = [];
  const unclaimed: Unclaimed[] = [];
  for (const of of outputs) {
    const found = findClaim(place, frame, commitment, of);
    if (typeof found === 'string') unclaimed.push(unclaimedOf(of, found));
    else if (found !== null) claims.push(found);
  }
  return { claims, unclaimed };
}
