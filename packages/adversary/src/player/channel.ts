/**
 * One channel as the attacker sees it: its terms, both parties' public keys, the peer's secrets, the update log, and all
 * that the signer handed out about it (points, secrets, signatures), which decides what can be done on the chain.
 */
import { EMPTY } from '../bitcoin/bytes.ts';
import { sign } from '../bitcoin/keys.ts';
import { p2wsh } from '../bitcoin/scripts.ts';
import type { OutPoint, Tx, TxOutput } from '../bitcoin/transaction.ts';
import type { ChannelPoints } from '../bolt3/keys.ts';
import type { ChannelKind } from '../bolt3/scripts.ts';
import type { Client } from '../subject.ts';
import { type BuildChanges, type Built, buildCommitment, fundingScriptOf } from './commitments.ts';
import type { Ending } from './ending.ts';
import { PeerKeys } from './peer.ts';
import type { Party, State } from './state.ts';
import { type Snapshot, UpdateLog } from './update-log.ts';

export interface ChannelTerms {
  /** Which of the attacker's peers. */
  readonly peer: number;
  readonly peerId: Uint8Array;
  readonly dbid: bigint;
  readonly isOwnerFunder: boolean;
  readonly format: ChannelKind;
  readonly capacitySat: bigint;
  /** From the funder to the other. */
  readonly pushMsat: bigint;
  readonly feeratePerKw: number;
  /** By whose commitment it is. */
  readonly dustLimitSat: Readonly<Record<Party, bigint>>;
  /** By whose output is delayed. */
  readonly delayBlocks: Readonly<Record<Party, number>>;
  /** The peer's secrets derive from no seed: each is its own. */
  readonly isUnchained: boolean;
}

export type Phase = 'opening' | 'open' | 'closing' | 'closed';

/** A signature that the signer gave on a commitment of the peer, with those on its HTLC transactions by their order. */
export interface PeerCommitment {
  readonly built: Built;
  readonly signature: Uint8Array;
  readonly htlcSignatures: (Uint8Array | undefined)[];
}

/** A commitment of the owner with the peer's signatures, as it was validated. */
export interface OwnerCommitment {
  readonly built: Built;
  readonly peerSignature: Uint8Array;
  readonly peerHtlcSignatures: readonly Uint8Array[];
  /** The owner's own, once it was signed for broadcast. */
  ownerSignature: Uint8Array | null;
}

/** Of older ones that are kept; the rest is forgotten. */
const COMMITMENTS_MAX = 24;

export class Channel {
  readonly index: number;
  /** Of the peer's secrets. */
  readonly label: string;
  /** A splice changes the capacity. */
  terms: ChannelTerms;
  readonly client: Client;
  readonly peer: PeerKeys;
  /** Set once the signer has named them. */
  ownerKeys: ChannelPoints | null = null;
  readonly ownerPoints = new Map<number, Uint8Array>();
  readonly ownerSecrets = new Map<number, Uint8Array>();
  fundingTx: Tx | null = null;
  funding: OutPoint = { txid: EMPTY, vout: 0 };
  readonly log: UpdateLog;
  phase: Phase = 'opening';
  /** Once something that spends the funding was broadcast. */
  ending: Ending | null = null;
  /** Newest last. */
  readonly peerCommitments: PeerCommitment[] = [];
  readonly ownerCommitments: OwnerCommitment[] = [];
  /** An attack on it was let through. */
  isTainted = false;
  /** Why the node proposes nothing more: it is shutting down. */
  isShuttingDown = false;
  nextHtlcId = 0;
  /** For good, one after the other; an attacker gives the channel up at last. */
  refusalCount = 0;
  /** Refusals for now, one after the other. */
  waitCount = 0;
  /** States that an attacker's node comes back with. */
  readonly snapshots: Snapshot[] = [];
  #built: { readonly key: readonly unknown[]; readonly value: Built }[] = [];

  constructor(index: number, terms: ChannelTerms, label: string) {
    this.index = index;
    this.label = label;
    this.terms = terms;
    this.client = { channel: { peerId: terms.peerId, dbid: terms.dbid } };
    this.peer = new PeerKeys(label, terms.isUnchained);
    this.log = new UpdateLog(initialState(terms));
  }

  get isUsable(): boolean {
    return this.phase === 'open';
  }

  /** The side's per-commitment point; the owner's is known once the signer has told it. */
  point(side: Party, number: number): Uint8Array | undefined {
    return side === 'peer' ? this.peer.point(number) : this.ownerPoints.get(number);
  }

  /** As both sides' signatures commit to it, whatever stands on the chain. */
  fundingOutput(): TxOutput {
    return { value: this.terms.capacitySat, script: p2wsh(fundingScriptOf(this)) };
  }

  /** The commitment that `side` may publish. Undefined while its point is not known, or when no commitment can say it. */
  build(side: Party, number: number, state: State): Built | undefined {
    const key = [side, number, state, this.funding];
    const known = this.#built.find((one) => one.key.every((part, i) => part === key[i]));
    if (known !== undefined) return known.value;
    const point = this.point(side, number);
    if (point === undefined || state.ownerMsat < 0n || state.peerMsat < 0n) return undefined;
    const value = buildCommitment(this, side, number, state, point);
    this.#built.push({ key, value });
    if (this.#built.length > 4) this.#built.shift();
    return value;
  }

  /** With something wrong about its form. */
  buildChanged(
    side: Party,
    number: number,
    state: State,
    changes: BuildChanges,
    point = this.point(side, number),
  ): Built | undefined {
    if (point === undefined || state.ownerMsat < 0n || state.peerMsat < 0n) return undefined;
    return buildCommitment(this, side, number, state, point, changes);
  }

  /** By the peer's funding key. */
  peerSignature(sighash: Uint8Array): Uint8Array {
    return sign(sighash, this.peer.secrets.funding);
  }

  addPeerCommitment(one: PeerCommitment): void {
    this.peerCommitments.push(one);
    if (this.peerCommitments.length > COMMITMENTS_MAX) this.peerCommitments.shift();
  }

  addOwnerCommitment(one: OwnerCommitment): void {
    this.ownerCommitments.push(one);
    if (this.ownerCommitments.length > COMMITMENTS_MAX) this.ownerCommitments.shift();
    for (const number of this.ownerPoints.keys())
      if (number + COMMITMENTS_MAX < this.log.views.owner.number) this.ownerPoints.delete(number);
  }

  /** The peer's commitments that no secret of its own revokes yet, newest last. */
  get livePeerCommitments(): readonly PeerCommitment[] {
    return this.peerCommitments.filter(({ built }) => built.number >= this.log.views.peer.number);
  }

  get revokedPeerCommitments(): readonly PeerCommitment[] {
    return this.peerCommitments.filter(({ built }) => built.number < this.log.views.peer.number);
  }

  /** The newest validated commitment of the owner with that number. */
  ownerCommitment(number: number): OwnerCommitment | undefined {
    return this.ownerCommitments.findLast(({ built }) => built.number === number);
  }
}

export function initialState({ capacitySat, pushMsat, isOwnerFunder, feeratePerKw }: ChannelTerms): State {
  const funderMsat = capacitySat * 1000n - pushMsat;
  return {
    ownerMsat: isOwnerFunder ? funderMsat : pushMsat,
    peerMsat: isOwnerFunder ? pushMsat : funderMsat,
    feeratePerKw,
    htlcs: [],
  };
}
