/**
 * A transaction on a channel's funding, read by the referee: every output's script is derived anew from the channel's
 * points, and what fits none of them is not the owner's. Source: BOLT 3.
 */
import { toHex } from '../bitcoin/bytes.ts';
import { p2wpkh, p2wsh } from '../bitcoin/scripts.ts';
import { outpointKey, type Tx, txidOf } from '../bitcoin/transaction.ts';
import {
  ANCHOR_VALUE,
  anchorScript,
  type ChannelPoints,
  type CommitmentKeys,
  commitmentFeeSat,
  commitmentKeys,
  htlcFeeSat,
  offeredHtlcScript,
  receivedHtlcScript,
  toLocalScript,
  toRemoteScript,
} from '../bolt3/index.ts';
import type { ChannelTerms, Ending, ListedHtlc, Meaning, Side } from './channel-file.ts';
import type { HtlcAtStake } from './problem.ts';
import { agreedFeeSat, type OwnerTerms } from './terms.ts';

export interface CommitmentReading {
  readonly side: Side;
  readonly number: number;
  readonly tx: Tx;
  readonly owner: ChannelPoints;
  readonly terms: ChannelTerms;
  readonly peerFundingKey: Uint8Array;
  readonly keys: CommitmentKeys;
  readonly htlcs: readonly ListedHtlc[];
  /** 0 where the request does not say it (the first commitment). */
  readonly feeratePerKw: number;
  readonly fundingValueSat: number;
  readonly ownerTerms: OwnerTerms;
}

/** The keys in this commitment's scripts. */
export function keysOf(
  side: Side,
  owner: ChannelPoints,
  terms: ChannelTerms,
  peerFundingKey: Uint8Array,
  perCommitmentPoint: Uint8Array,
): CommitmentKeys {
  const peer = { ...terms.peer, funding: peerFundingKey };
  return side === 'holder'
    ? commitmentKeys(owner, peer, perCommitmentPoint)
    : commitmentKeys(peer, owner, perCommitmentPoint);
}

/** The output script that the broadcaster's main output has, and every HTLC transaction's. */
export function delayedScript({ side, terms, keys }: CommitmentReading): Uint8Array {
  const delayBlocks = side === 'holder' ? terms.ownerDelayBlocks : terms.peerDelayBlocks;
  return p2wsh(toLocalScript(keys, delayBlocks));
}

export type Described = Omit<Ending, 'tallies' | 'isReleased' | 'isComplete' | 'ownerSignature'>;

export function describeCommitment(reading: CommitmentReading): Described {
  const { side, number, tx, terms, ownerTerms, fundingValueSat } = reading;
  const delayed = delayedScript(reading);
  const meanings = meaningsOf(reading, toHex(delayed));
  const htlcs = meanings.flatMap((one) => (one.is === 'htlc' ? [one.htlc] : []));
  const totalSat = tx.outputs.reduce((sum, { value }) => sum + Number(value), 0);
  const missingSat = Math.max(0, fundingValueSat - totalSat);
  const feerate = reading.feeratePerKw;
  const anchorsSat = tx.outputs.reduce(
    (sum, { value }, i) => (meanings[i]?.is === 'anchor' ? sum + Number(value) : sum),
    0,
  );
  const expectedSat =
    number === 0 && feerate === 0
      ? missingSat
      : Math.min(
          missingSat,
          Number(commitmentFeeSat({ kind: terms.kind, feeratePerKw: feerate }, htlcs.length)),
        );
  const weight = Number(commitmentFeeSat({ kind: terms.kind, feeratePerKw: 1000 }, htlcs.length));
  const feeSat = terms.isOwnerFunder
    ? agreedFeeSat(expectedSat, weight, ownerTerms.commitmentFeeratePerKwMax) + anchorsSat
    : 0;
  const directSat = tx.outputs.reduce((sum, { value }, i) => {
    const { is } = meanings[i]!;
    return is === 'owner' || (is === 'owner-delayed' && isDelayFair(terms, ownerTerms))
      ? sum + Number(value)
      : sum;
  }, feeSat);
  return {
    name: `${side} commitment ${number}`,
    side,
    number,
    tx,
    txid: toHex(txidOf(tx)),
    funding: outpointKey(tx.inputs[0]!),
    meanings,
    directSat,
    feeSat,
    slackSat: Math.min(missingSat - expectedSat, ownerTerms.dustExposureSat) + tx.outputs.length + 2,
    htlcs,
    keys: reading.keys,
    delayed,
    feeratePerKw: feerate,
    bypassed: new Set(),
    early: new Map(),
  };
}

/** The owner's money is not locked up for longer than agreed. */
const isDelayFair = ({ ownerDelayBlocks }: ChannelTerms, terms: OwnerTerms): boolean =>
  ownerDelayBlocks <= terms.contestDelayBlocksMax;

function meaningsOf(reading: CommitmentReading, delayed: string): Meaning[] {
  const { side, tx, terms, owner, peerFundingKey, keys } = reading;
  const isAnchors = terms.kind === 'anchors_zero_fee_htlc';
  const toRemote = isAnchors ? p2wsh(toRemoteScript(keys.otherPayment)) : p2wpkh(keys.otherPayment);
  const known = new Map<string, Meaning>([
    [delayed, { is: side === 'holder' ? 'owner-delayed' : 'peer-delayed' }],
    [toHex(toRemote), { is: side === 'holder' ? 'other' : 'owner' }],
  ]);
  if (isAnchors) {
    for (const key of [owner.funding, peerFundingKey])
      known.set(toHex(p2wsh(anchorScript(key))), { is: 'anchor' });
  }
  const htlcs = htlcOutputs(reading, keys);
  return tx.outputs.map(({ value, script }) => {
    const text = toHex(script);
    const meaning = known.get(text);
    if (meaning !== undefined)
      return meaning.is === 'anchor' && value !== ANCHOR_VALUE ? { is: 'other' } : meaning;
    const at = (htlcs.get(text) ?? []).findIndex((one) => one.amountMsat / 1000n === value);
    if (at < 0) return { is: 'other' };
    const [htlc] = htlcs.get(text)!.splice(at, 1);
    return { is: 'htlc', htlc: atStake(reading, htlc!), listed: htlc! };
  });
}

/** By output script, the listed HTLCs that have it. */
function htlcOutputs(
  { side, terms, htlcs }: CommitmentReading,
  keys: CommitmentKeys,
): Map<string, ListedHtlc[]> {
  const found = new Map<string, ListedHtlc[]>();
  for (const htlc of htlcs) {
    const isBroadcasters = htlc.isOffered === (side === 'holder');
    const script = isBroadcasters
      ? offeredHtlcScript(terms.kind, keys, htlc)
      : receivedHtlcScript(terms.kind, keys, htlc);
    const text = toHex(p2wsh(script));
    found.set(text, [...(found.get(text) ?? []), htlc]);
  }
  return found;
}

function atStake(reading: CommitmentReading, htlc: ListedHtlc): HtlcAtStake {
  const { side, terms, feeratePerKw, ownerTerms } = reading;
  const valueSat = Number(htlc.amountMsat / 1000n);
  return {
    hash: toHex(htlc.paymentHash),
    direction: htlc.isOffered ? 'offered' : 'received',
    valueSat: valueSat - burntSat(),
    isOwnable: true,
    expiryBlocks: htlc.cltvExpiry,
  };

  /** Without anchors a high fee rate burns HTLCs on the owner's commitment: what goes beyond the agreed rate is lost. */
  function burntSat(): number {
    if (side !== 'holder') return 0;
    const feeSat = Number(htlcFeeSat({ kind: terms.kind, feeratePerKw }, htlc.isOffered));
    const agreedSat = Number(
      htlcFeeSat(
        { kind: terms.kind, feeratePerKw: Math.min(feeratePerKw, ownerTerms.commitmentFeeratePerKwMax) },
        htlc.isOffered,
      ),
    );
    return Math.min(valueSat, feeSat - agreedSat);
  }
}
