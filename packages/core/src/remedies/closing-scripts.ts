/**
 * The scripts of a commitment that went to the chain, as its kind and number give them: whose outputs they are, and how
 * long they are locked. All from the channel's record and the keys; the transaction is only compared with them.
 */
import {
  type CommitmentKeys,
  type CommitmentScriptParams,
  type CommitmentScripts,
  commitmentScripts,
  equalBytes,
  equalOutPoints,
  type HtlcScripts,
  lookupSecret,
  type OutPoint,
  p2wshOfScript,
  secretIndex,
  toHex,
} from '@countersign/bitcoin';
import { channelId, type OpenChannel } from '../channel/lookup.ts';
import type { ChannelRecord, ChannelSetup, FundingCandidate } from '../channel/record.ts';
import type { KeyPlace } from '../context.ts';
import { type Broadcaster, commitmentKeys, mayBeLeased, scriptParams } from '../ratchet/commitment.ts';
import { leasedScripts } from '../ratchet/lease.ts';
import type { ClosingKind, OutputHtlc, OutputRole } from '../records/chain.ts';

/** What is known of a close before its outputs are looked at. */
export interface Close {
  readonly kind: ClosingKind;
  readonly number: number | null;
}

/** A channel whose parameters are known. */
export type SetUpRecord = ChannelRecord & { readonly setup: ChannelSetup };

export function channelOf(record: SetUpRecord): OpenChannel {
  const { peerId, dbid, setup } = record;
  const ref = { peerId, dbid };
  return { ref, id: channelId(ref), record, setup };
}

export interface MainScript {
  readonly role: 'main-holder' | 'main-counterparty';
  /** Null for P2WPKH. */
  readonly witnessScript: Uint8Array | null;
  /** Relative lock for the side it pays, blocks; 0 where there is none. */
  readonly csvBlocks: number;
}

export interface ClosingScripts {
  readonly broadcaster: Broadcaster;
  /** The main output with this script, the lessor's under a lease included; null when it is none. */
  main(script: Uint8Array): MainScript | null;
  anchor(script: Uint8Array): OutputRole | null;
  /** Null where the commitment's point is not known: then only what does not depend on it is ours to find. */
  readonly secondLevel: {
    readonly keys: CommitmentKeys;
    readonly htlc: HtlcScripts;
    /** Of the outputs of HTLC transactions. */
    readonly delayBlocks: number;
  } | null;
}

/** The peer's secret of a commitment it has revoked, from the compact store (BOLT 3); null when it never came. */
export function revealedSecret(record: ChannelRecord, number: number): Uint8Array | null {
  return lookupSecret({ entries: record.counterpartySecrets }, secretIndex(number));
}

/** The per-commitment point; null where none of the records has it. */
export function closingPoint(
  place: KeyPlace,
  { ref, record }: OpenChannel,
  { kind, number }: Close,
): Uint8Array | null {
  if (number === null) return null;
  switch (kind) {
    case 'holder':
    case 'holder-revoked':
      return place.keys.perCommitmentPoint(ref, number);
    case 'counterparty':
    case 'counterparty-revoked': {
      const signed = record.counterpartyPoints.find((one) => one.number === number);
      if (signed !== undefined) return signed.point;
      const secret = revealedSecret(record, number);
      return secret === null ? null : place.secp.publicKey(secret);
    }
    default:
      return null;
  }
}

/** Null for a mutual close, which has no scripts of ours to follow. `candidate`: the funding it spends, where it is known. */
export function closingScripts(
  place: KeyPlace,
  channel: OpenChannel,
  close: Close,
  candidate: FundingCandidate | undefined,
): ClosingScripts | null {
  if (close.kind === 'mutual') return null;
  const broadcaster: Broadcaster =
    close.kind === 'holder' || close.kind === 'holder-revoked' ? 'holder' : 'counterparty';
  const point = closingPoint(place, channel, close);
  const ours = place.keys.fundingPublicKey(channel.ref);
  // to_remote and the anchors need no point; any will do for the keys that are not looked at then.
  const keys = commitmentKeys(place, channel, broadcaster, point ?? ours);
  const key = candidate?.counterpartyFundingKey ?? ours;
  const params = scriptParams(place, channel, { counterpartyFundingKey: key }, broadcaster, keys);
  const scripts = commitmentScripts(params);
  const mains = plainMains(scripts, params, broadcaster, point !== null);
  const isLeased = candidate === undefined || mayBeLeased(channel, candidate);
  let leased: ReadonlyMap<string, MainScript> | null = null;
  return {
    broadcaster,
    main: (script) => {
      const hex = toHex(script);
      const plain = mains.get(hex);
      if (plain !== undefined || !isLeased) return plain ?? null;
      leased ??= leasedMains(params, broadcaster, point !== null);
      return leased.get(hex) ?? null;
    },
    anchor: (script) => anchorRole(scripts, broadcaster, script),
    secondLevel: point === null ? null : { keys, htlc: scripts.htlc, delayBlocks: params.toSelfDelayBlocks },
  };
}

export function candidateOf(record: ChannelRecord, funding: OutPoint): FundingCandidate | undefined {
  return record.candidates.find(({ outpoint }) => equalOutPoints(outpoint, funding));
}

type Mains = Map<string, MainScript>;

const roleOf = (broadcaster: Broadcaster, isBroadcasters: boolean): MainScript['role'] =>
  (broadcaster === 'holder') === isBroadcasters ? 'main-holder' : 'main-counterparty';

function plainMains(
  { toLocal, toRemote }: CommitmentScripts,
  { toSelfDelayBlocks }: CommitmentScriptParams,
  broadcaster: Broadcaster,
  isPointKnown: boolean,
): Mains {
  const mains: Mains = new Map();
  const { witnessScript } = toRemote;
  mains.set(toHex(toRemote.script), {
    role: roleOf(broadcaster, false),
    witnessScript,
    csvBlocks: witnessScript === null ? 0 : 1,
  });
  if (isPointKnown) {
    mains.set(toHex(toLocal.script), {
      role: roleOf(broadcaster, true),
      witnessScript: toLocal.witnessScript,
      csvBlocks: toSelfDelayBlocks,
    });
  }
  return mains;
}

/** 4,032 hashes at most, once for a close. */
function leasedMains(params: CommitmentScriptParams, broadcaster: Broadcaster, isPointKnown: boolean): Mains {
  const mains: Mains = new Map();
  for (const { blocks, lessorIsBroadcaster, witnessScript, script } of leasedScripts(params)) {
    if (lessorIsBroadcaster && !isPointKnown) break;
    const role = roleOf(broadcaster, lessorIsBroadcaster);
    mains.set(toHex(script), { role, witnessScript, csvBlocks: blocks });
  }
  return mains;
}

function anchorRole(
  { anchors }: CommitmentScripts,
  broadcaster: Broadcaster,
  script: Uint8Array,
): OutputRole | null {
  if (anchors === null) return null;
  const [ours, theirs] =
    broadcaster === 'holder'
      ? [anchors.broadcaster, anchors.countersignatory]
      : [anchors.countersignatory, anchors.broadcaster];
  if (equalBytes(ours.script, script)) return 'anchor-holder';
  return equalBytes(theirs.script, script) ? 'anchor-counterparty' : null;
}

/** The witness script of an HTLC output, as the side that published the commitment has it. */
export function htlcWitnessScript(
  scripts: HtlcScripts,
  broadcaster: Broadcaster,
  { offeredBy, paymentHash160, cltvExpiry }: Pick<OutputHtlc, 'offeredBy' | 'paymentHash160' | 'cltvExpiry'>,
): Uint8Array {
  return offeredBy === broadcaster
    ? scripts.offered160(paymentHash160)
    : scripts.received160(paymentHash160, cltvExpiry);
}

export const htlcScriptHex = (...args: Parameters<typeof htlcWitnessScript>): string =>
  toHex(p2wshOfScript(htlcWitnessScript(...args)));
