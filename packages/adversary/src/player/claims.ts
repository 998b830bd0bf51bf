/**
 * Transactions that take outputs of commitments for the owner, and the requests for their signatures, as CLN's onchaind
 * makes them; a watchtower's penalties too. BOLT 5.
 */
import type { MessageOf } from '@countersign/wire';
import { EMPTY } from '../bitcoin/bytes.ts';
import { makeBitcoinTx } from '../bitcoin/psbt.ts';
import { type OutPoint, type Tx, type TxOutput, txidOf } from '../bitcoin/transaction.ts';
import type { Channel } from './channel.ts';
import type { Built, BuiltHtlc } from './commitments.ts';
import { hasAnchors } from './requests.ts';
import type { World } from './world.ts';

export const SEQUENCE_RBF = 0xffff_fffd;
export const SEQUENCE_FINAL = 0xffff_ffff;
/** More than the weight of any claim below; so its fee rate is never under the floor. */
const CLAIM_WEIGHT_MAX = 700;

/** What a claim spends and how. */
export interface Claim {
  readonly tx: Tx;
  readonly spent: TxOutput;
  readonly witnessScript: Uint8Array;
}

export interface ClaimTerms {
  readonly outpoint: OutPoint;
  readonly spent: TxOutput;
  readonly witnessScript: Uint8Array;
  readonly sequence: number;
  readonly locktime: number;
  readonly destination: Uint8Array;
  readonly feeratePerKw: number;
}

/** One input, one output; undefined when the fee leaves dust. */
export function claimOf(terms: ClaimTerms): Claim | undefined {
  const { outpoint, spent, witnessScript, sequence, locktime, destination, feeratePerKw } = terms;
  const value = spent.value - BigInt(Math.ceil((CLAIM_WEIGHT_MAX * feeratePerKw) / 1000));
  if (value < 330n) return undefined;
  const tx: Tx = {
    version: 2,
    inputs: [{ ...outpoint, scriptSig: EMPTY, sequence, witness: [] }],
    outputs: [{ value, script: destination }],
    locktime,
  };
  return { tx, spent, witnessScript };
}

const claimTx = ({ tx, spent }: Claim) => makeBitcoinTx(tx, [{ utxo: spent }]);

const onBehalf = (channel: Channel) => ({
  input: 0,
  peerid: channel.terms.peerId,
  channelDbid: channel.terms.dbid,
});

export interface ClaimOptions {
  readonly destination: Uint8Array;
  readonly feeratePerKw: number;
}

/** Of the owner's own commitment, after its delay. */
export function delayedClaim(channel: Channel, built: Built, options: ClaimOptions): Claim | undefined {
  const vout = built.outputs.findIndex(({ role }) => role === 'to_local');
  const spent = built.outputs[vout];
  if (spent?.witnessScript === undefined) return undefined;
  return claimOf({
    outpoint: { txid: txidOf(built.tx), vout },
    spent,
    witnessScript: spent.witnessScript,
    sequence: channel.terms.delayBlocks.owner,
    locktime: 0,
    ...options,
  });
}

/** Of the output of a second-level transaction of the owner's own. */
export function secondLevelClaim(
  channel: Channel,
  tx: Tx,
  witnessScript: Uint8Array,
  options: ClaimOptions,
): Claim | undefined {
  return claimOf({
    outpoint: { txid: txidOf(tx), vout: 0 },
    spent: tx.outputs[0]!,
    witnessScript,
    sequence: channel.terms.delayBlocks.owner,
    locktime: 0,
    ...options,
  });
}

export function delayedRequest(
  channel: Channel,
  commitNumber: number,
  claim: Claim,
): MessageOf<'hsmd_sign_any_delayed_payment_to_us'> {
  return {
    name: 'hsmd_sign_any_delayed_payment_to_us',
    commitNum: BigInt(commitNumber),
    tx: claimTx(claim),
    wscript: claim.witnessScript,
    ...onBehalf(channel),
  };
}

/** Of the peer's commitment: an HTLC that the owner offered, after its expiry, or received, with the preimage. */
export function remoteHtlcClaim(
  channel: Channel,
  built: Built,
  one: BuiltHtlc,
  options: ClaimOptions,
): Claim | undefined {
  return claimOf({
    outpoint: { txid: txidOf(built.tx), vout: one.outputIndex },
    spent: one.output,
    witnessScript: one.witnessScript,
    sequence: hasAnchors(channel) ? 1 : SEQUENCE_RBF,
    locktime: one.htlc.offeredBy === 'owner' ? one.htlc.cltvExpiry : 0,
    ...options,
  });
}

export function remoteHtlcRequest(
  channel: Channel,
  built: Built,
  claim: Claim,
): MessageOf<'hsmd_sign_any_remote_htlc_to_us'> {
  return {
    name: 'hsmd_sign_any_remote_htlc_to_us',
    remotePerCommitmentPoint: built.point,
    tx: claimTx(claim),
    wscript: claim.witnessScript,
    optionAnchorOutputs: hasAnchors(channel),
    ...onBehalf(channel),
  };
}

/** The owner's own HTLC transaction. */
export function localHtlcRequest(
  channel: Channel,
  built: Built,
  one: BuiltHtlc,
): MessageOf<'hsmd_sign_any_local_htlc_tx'> {
  return {
    name: 'hsmd_sign_any_local_htlc_tx',
    commitNum: BigInt(built.number),
    tx: makeBitcoinTx(one.tx, [{ utxo: one.output }]),
    wscript: one.witnessScript,
    optionAnchorOutputs: hasAnchors(channel),
    ...onBehalf(channel),
  };
}

/** Takes an output of a revoked commitment of the peer, with the revocation key. */
export function penaltyClaim(built: Built, vout: number, options: ClaimOptions): Claim | undefined {
  const spent = built.outputs[vout];
  if (spent?.witnessScript === undefined) return undefined;
  return claimOf({
    outpoint: { txid: txidOf(built.tx), vout },
    spent,
    witnessScript: spent.witnessScript,
    sequence: SEQUENCE_RBF,
    locktime: 0,
    ...options,
  });
}

/** In advance, for a watchtower: what channeld asks after each revocation. */
export function watchtowerRequest(
  world: World,
  channel: Channel,
  built: Built,
): MessageOf<'hsmd_sign_penalty_to_us'> | undefined {
  const vout = built.outputs.findIndex(({ role }) => role === 'to_local');
  const options = { destination: world.receivingScript(), feeratePerKw: 1000 };
  const claim = vout < 0 ? undefined : penaltyClaim(built, vout, options);
  if (claim === undefined) return undefined;
  return {
    name: 'hsmd_sign_penalty_to_us',
    revocationSecret: channel.peer.secret(built.number),
    tx: claimTx(claim),
    wscript: claim.witnessScript,
  };
}

export function penaltyRequest(
  channel: Channel,
  number: number,
  claim: Claim,
): MessageOf<'hsmd_sign_any_penalty_to_us'> {
  return {
    name: 'hsmd_sign_any_penalty_to_us',
    revocationSecret: channel.peer.secret(number),
    tx: claimTx(claim),
    wscript: claim.witnessScript,
    ...onBehalf(channel),
  };
}
