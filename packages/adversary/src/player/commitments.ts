/**
 * From a state to the transactions that say it: a side's commitment with its scripts, and the HTLC transactions on it. What
 * an attack wants different is passed as changes to the terms.
 */
import { sign } from '../bitcoin/keys.ts';
import { SIGHASH, sighashV0 } from '../bitcoin/sighash.ts';
import { type Tx, type TxOutput, txidOf } from '../bitcoin/transaction.ts';
import {
  buildCommitment as build,
  type CommitmentOutput,
  type CommitmentTerms,
} from '../bolt3/commitment.ts';
import { buildHtlcTransactions, type HtlcTransaction, htlcDigestOfOther } from '../bolt3/htlc.ts';
import { type CommitmentKeys, commitmentKeys, derivePrivateKey } from '../bolt3/keys.ts';
import { makeObscurer } from '../bolt3/number.ts';
import { fundingScript } from '../bolt3/scripts.ts';
import type { Channel } from './channel.ts';
import type { Htlc, Party, State } from './state.ts';

/** An HTLC with an output, in the order of the outputs. */
export interface BuiltHtlc {
  readonly htlc: Htlc;
  readonly outputIndex: number;
  readonly output: TxOutput;
  readonly witnessScript: Uint8Array;
  /** Its second-level transaction, not signed. */
  readonly tx: Tx;
  readonly second: HtlcTransaction;
}

export interface Built {
  readonly side: Party;
  readonly number: number;
  readonly state: State;
  readonly point: Uint8Array;
  readonly keys: CommitmentKeys;
  readonly tx: Tx;
  readonly outputs: readonly CommitmentOutput[];
  readonly htlcs: readonly BuiltHtlc[];
}

/** What an attack changes about the terms of a commitment. */
export interface BuildChanges {
  readonly keys?: Partial<CommitmentKeys>;
  readonly terms?: Partial<CommitmentTerms>;
}

export function buildCommitment(
  channel: Channel,
  side: Party,
  number: number,
  state: State,
  point: Uint8Array,
  changes: BuildChanges = {},
): Built {
  const { terms, peer } = channel;
  const owner = channel.ownerKeys!;
  const isOwners = side === 'owner';
  const [broadcaster, other] = isOwners ? [owner, peer.points] : [peer.points, owner];
  const [opener, accepter] = terms.isOwnerFunder ? [owner, peer.points] : [peer.points, owner];
  const keys = { ...commitmentKeys(broadcaster, other, point), ...changes.keys };
  const commitment = build({
    kind: terms.format,
    funding: channel.funding,
    commitmentNumber: number,
    obscurer: makeObscurer(opener.payment, accepter.payment),
    keys,
    toSelfDelayBlocks: terms.delayBlocks[side],
    dustLimitSat: terms.dustLimitSat[side],
    feeratePerKw: state.feeratePerKw,
    funder: terms.isOwnerFunder === isOwners ? 'broadcaster' : 'other',
    toBroadcasterMsat: isOwners ? state.ownerMsat : state.peerMsat,
    toOtherMsat: isOwners ? state.peerMsat : state.ownerMsat,
    htlcs: state.htlcs.map((one) => ({
      isOffered: one.offeredBy === side,
      amountMsat: one.amountMsat,
      paymentHash: one.paymentHash,
      cltvExpiry: one.cltvExpiry,
    })),
    ...changes.terms,
  });
  const { tx, outputs } = commitment;
  const htlcs = buildHtlcTransactions(commitment).map((second) => ({
    htlc: state.htlcs[outputs[second.vout]!.htlc!]!,
    outputIndex: second.vout,
    output: second.spent,
    witnessScript: second.witnessScript,
    tx: second.tx,
    second,
  }));
  return { side, number, state, point, keys, tx, outputs, htlcs };
}

/** The same commitment as another transaction; its HTLC transactions spend that. */
export function withTx(built: Built, tx: Tx): Built {
  const txid = txidOf(tx);
  const htlcs = built.htlcs.map((one) => {
    const moved = { ...one.tx, inputs: one.tx.inputs.map((input) => ({ ...input, txid })) };
    return { ...one, tx: moved, second: { ...one.second, tx: moved } };
  });
  return { ...built, tx, htlcs };
}

export function fundingScriptOf({ ownerKeys, peer }: Channel): Uint8Array {
  return fundingScript(ownerKeys!.funding, peer.points.funding);
}

/** What the funding keys sign on a transaction that spends the funding. */
export function fundingSighash(channel: Channel, tx: Tx, inputIndex = 0): Uint8Array {
  const { value } = channel.fundingOutput();
  return sighashV0(tx, inputIndex, fundingScriptOf(channel), value, SIGHASH.ALL);
}

/** The peer's on the HTLC transactions of the owner's commitment, in their order. */
export function peerHtlcSignatures({ peer }: Channel, { htlcs, point }: Built): Uint8Array[] {
  if (htlcs.length === 0) return [];
  const key = derivePrivateKey(peer.secrets.htlc, point);
  return htlcs.map(({ second }) => sign(htlcDigestOfOther(second), key));
}
