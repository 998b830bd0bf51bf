/**
 * What is known of one channel: its keys and terms, as the signer accepted them, and every transaction that could end it.
 * The attacker and the peers collude, so whatever the signer signed can be completed by them.
 */

import type { OutPoint, Tx } from '../bitcoin/transaction.ts';
import { type ChannelKind, type ChannelPoints, type CommitmentKeys, SecretStore } from '../bolt3/index.ts';
import type { HtlcAtStake, Tally } from './problem.ts';

export type Side = 'holder' | 'counterparty';

/** As the wire's lists name them: `local` is offered by the owner. */
export interface ListedHtlc {
  readonly isOffered: boolean;
  readonly amountMsat: bigint;
  readonly paymentHash: Uint8Array;
  readonly cltvExpiry: number;
}

/** As `hsmd_setup_channel` was accepted. */
export interface ChannelTerms {
  readonly isOwnerFunder: boolean;
  readonly kind: ChannelKind;
  readonly peer: Omit<ChannelPoints, 'funding'>;
  /** Of the peer's own outputs; the owner has so long to punish. */
  readonly peerDelayBlocks: number;
  /** Of the owner's own outputs. */
  readonly ownerDelayBlocks: number;
  readonly pushSat: number;
}

export interface Funding {
  readonly outpoint: OutPoint;
  /** As claimed; what the chain shows counts more. */
  readonly valueSat: number;
  readonly peerKey: Uint8Array;
  /** Of the opening: set up before the channel lived on any funding. Later ones are splices, or only bear the name. */
  readonly isRound: boolean;
}

/** What an output of a transaction on a channel's funding is. */
export type Meaning =
  | { readonly is: 'owner' }
  /** The owner's after a delay, unless the secret is out. */
  | { readonly is: 'owner-delayed' }
  | { readonly is: 'htlc'; readonly htlc: HtlcAtStake; readonly listed: ListedHtlc }
  | { readonly is: 'anchor' }
  /** The peer's after a delay, or the owner's once it is revoked. */
  | { readonly is: 'peer-delayed' }
  | { readonly is: 'other' };

/** A transaction on a channel's funding: a commitment of either side, a close, or anything else that was signed. */
export interface Ending {
  readonly name: string;
  readonly side: Side | 'close';
  /** −1 for a close. */
  readonly number: number;
  readonly tx: Tx;
  /** Hex. */
  readonly txid: string;
  /** Key of the outpoint it spends. */
  readonly funding: string;
  readonly meanings: readonly Meaning[];
  /** Main outputs and what the owner agreed to pay as fee. */
  readonly directSat: number;
  /** The part of `directSat` that is agreed fee, in no output. */
  readonly feeSat: number;
  readonly slackSat: number;
  readonly htlcs: readonly HtlcAtStake[];
  /** What went out and in on the way to it, beyond what is settled. Changes as more gets settled. */
  tallies: Map<string, Tally>;
  /** The owner's signature left the signer. */
  isReleased: boolean;
  /** Holder commitments: all the signatures of the peer are valid, so that the owner can use it. */
  readonly isComplete: boolean;
  /** Of its scripts; null for a close. */
  readonly keys: CommitmentKeys | null;
  /** Compact, of the funding key; null for a commitment of ours that the signer did not sign yet. */
  ownerSignature: Uint8Array | null;
  /** Output script of the broadcaster's main output and of HTLC transactions; empty for a close. */
  readonly delayed: Uint8Array;
  /** As the request says; 0 for a close. */
  readonly feeratePerKw: number;
  /** Outputs, by position, that the peer can take around the punishment of a revoked commitment. */
  readonly bypassed: Set<number>;
  /** Received HTLCs, by position, that the peer can take back before they expire. */
  readonly early: Map<number, number>;
}

/** What a signer that loses old secrets would be robbed by is among the newest. */
export const REVOKED_MAX = 64;

export class ChannelFile {
  readonly id: string;
  readonly peerId: Uint8Array;
  readonly dbid: bigint;
  owner: ChannelPoints | null = null;
  terms: ChannelTerms | null = null;
  readonly fundings = new Map<string, Funding>();
  /** The owner's per-commitment points, by number. */
  readonly points = new Map<number, Uint8Array>();
  holder: Ending[] = [];
  counterparty: Ending[] = [];
  closes: Ending[] = [];
  /** Revoked commitments of the peer that can't be punished in full. */
  unpunished: Ending[] = [];
  /** The signer took the word that it lives on one of its fundings. */
  isLocked = false;
  /** Its funding was once as deep as the attacker can't undo. */
  isFinal = false;
  /** Highest number of the owner's secrets that left the signer; older ones follow from it (BOLT 3, secret storage). */
  secretsReleasedMax = -1;
  /** Highest number whose secret of the peer the signer took. */
  revokedMax = -1;
  /** The secrets of the peer that the signer took, as BOLT 3 has it keep them. */
  readonly peerSecrets = new SecretStore();
  /** Commitments of the peer that are revoked, newest last; at most `REVOKED_MAX`. */
  revoked: Ending[] = [];
  /** What is on the chain at the end of its funding. */
  closedBy: { readonly txid: string; readonly ending: Ending | null } | null = null;

  constructor(id: string, peerId: Uint8Array, dbid: bigint) {
    this.id = id;
    this.peerId = peerId;
    this.dbid = dbid;
  }

  /** Another channel under the same number, with the same secrets of the owner's. */
  beginAgain(): void {
    this.terms = null;
    this.isLocked = false;
    this.fundings.clear();
    this.holder = [];
    this.counterparty = [];
    this.closes = [];
    this.unpunished = [];
    this.revoked = [];
  }

  /** Everything that could still be the end of it. */
  get endings(): readonly Ending[] {
    return [...this.counterparty, ...this.holder, ...this.closes];
  }
}
