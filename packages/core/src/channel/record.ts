/**
 * What the signer remembers of one channel: its parameters, its candidate fundings, and the two ratchets.
 * O(current HTLCs and variants), never O(history): revoked states leave only their secret, compacted.
 */
import type { Msat, OutPoint, Sat } from '@countersign/bitcoin';

/** Commitment numbers count up from 0 and fit 48 bits (BOLT 3), so `number` is exact. */
export const COMMITMENT_NUMBER_MAX = 2 ** 48 - 1;
/** Live candidate fundings of one channel: RBF rounds of an opening, or pending splices. */
export const CANDIDATES_MAX = 16;
/** Different contents issued for one counterparty commitment number (rules, law 1 "Variants"). */
export const VARIANTS_MAX = 8;
/** BOLT 2: HTLCs that one side may have offered. */
export const HTLCS_OFFERED_MAX = 483;
export const HTLCS_MAX = 2 * HTLCS_OFFERED_MAX;
/** Fates of two commitments of one view. */
export const FATES_MAX = 2 * HTLCS_MAX;
/** The newest splice transactions signed and not locked; they may be signed again while the channel closes. */
export const SPLICES_MAX = 32;

/** `<peer id hex>/<dbid>`. */
export type ChannelId = string;

/** BOLT 3 basepoints, 33 bytes each. */
export interface Basepoints {
  readonly revocation: Uint8Array;
  readonly payment: Uint8Array;
  readonly htlc: Uint8Array;
  readonly delayedPayment: Uint8Array;
}

export type ChannelFormat = 'static_remotekey' | 'anchors_zero_fee_htlc';

/** From `setup_channel`; immutable for the life of the channel. */
export interface ChannelSetup {
  /** We opened the channel, so we pay the commitment fee. */
  readonly isOutbound: boolean;
  readonly format: ChannelFormat;
  /** Feature bits as the node sent them (big-endian bit string). */
  readonly channelType: Uint8Array;
  /** The delay we impose on the counterparty's to_local, blocks. */
  readonly counterpartyToSelfDelayBlocks: number;
  /** The delay the counterparty imposes on ours, blocks. */
  readonly holderToSelfDelayBlocks: number;
  readonly counterpartyBasepoints: Basepoints;
  readonly holderShutdownScript: Uint8Array;
  readonly holderShutdownWalletIndex: number | null;
  readonly counterpartyShutdownScript: Uint8Array;
}

/** As the hsmd wire lists it: untrimmed HTLCs only. */
export interface HtlcRecord {
  readonly offeredBy: 'holder' | 'counterparty';
  readonly amountMsat: Msat;
  readonly paymentHash: Uint8Array;
  readonly cltvExpiry: number;
}

/** What became of an HTLC that is no longer in a commitment, where it matters to the payment it belongs to. */
export interface Fate {
  readonly paymentHash: Uint8Array;
  readonly amountMsat: Msat;
  /** Offered by us and gone to the peer; or offered to us and ours now. Failed ones leave no trace. */
  readonly how: 'settled' | 'credited';
}

/** Law 2's account of one commitment. Self + peer + HTLCs + what is invisible = capacity. */
export interface Ledger {
  /** Our balance, before the commitment fee where we pay it: what is certain of it, to the millisatoshi. */
  readonly holderMsat: Msat;
  /** What changed our balance and no visible HTLC explains, since the channel began: negative is dust outflow. */
  readonly driftMsat: bigint;
  /** Known HTLCs in flight that have no output here: below the trim threshold. */
  readonly trimmed: readonly HtlcRecord[];
  /** HTLCs settled and credited since the oldest commitment of this view that the ratchet still has. */
  readonly fates: readonly Fate[];
}

/** The content of one commitment transaction, enough to rebuild it. */
export interface CommitmentContent {
  readonly number: number;
  /** Internal byte order. */
  readonly txid: Uint8Array;
  readonly feeratePerKw: number;
  /** Null: the side has no main output. */
  readonly toHolderSat: Sat | null;
  readonly toCounterpartySat: Sat | null;
  readonly htlcs: readonly HtlcRecord[];
  /** Null for a validated holder commitment that was not judged yet: its predecessor is not revoked. */
  readonly ledger: Ledger | null;
}

/** A holder commitment whose signatures of the peer are all verified; they are what a force close needs. */
export interface ValidatedCommitment extends CommitmentContent {
  /** 64 bytes compact. */
  readonly signature: Uint8Array;
  /** In the order of the transaction's HTLC outputs. */
  readonly htlcSignatures: readonly Uint8Array[];
}

/** A counterparty commitment we have signed: one variant of its number. */
export type IssuedCommitment = CommitmentContent;

/** One outpoint that may become (or is) the channel's funding. */
export interface FundingCandidate {
  readonly outpoint: OutPoint;
  readonly valueSat: Sat;
  /** As sent; a splice puts a relative amount here, so it is no amount until law 2 has judged it. */
  readonly pushValue: bigint;
  readonly counterpartyFundingKey: Uint8Array;
  /** Created by spending an earlier funding of this channel: it can confirm only with our signature on that spend. */
  readonly isSplice: boolean;
  /** First unrevoked holder commitment when it was set up. */
  readonly setUpAtNumber: number;
  /** We signed an input of the transaction that creates it. */
  readonly fundingSigned: boolean;
  /** Validated and unrevoked, by rising number; at most the current and the next. */
  readonly validated: readonly ValidatedCommitment[];
  /** Every variant of every unrevoked number, in the order they were issued. */
  readonly issued: readonly IssuedCommitment[];
}

export interface PointRecord {
  readonly number: number;
  readonly point: Uint8Array;
}

/** A bucket of BOLT 3's compact secret storage. */
export interface SecretEntry {
  readonly index: bigint;
  readonly secret: Uint8Array;
}

/** Everything the signer knows of one channel. */
export interface ChannelRecord {
  readonly peerId: Uint8Array;
  readonly dbid: bigint;
  readonly setup: ChannelSetup | null;
  readonly candidates: readonly FundingCandidate[];
  /** The candidate the node declared locked; null before. */
  readonly locked: OutPoint | null;
  /** Secrets of all holder commitments below this number have left the signer. */
  readonly holderNextRevoke: number;
  /** Counterparty commitments below this number have been signed at least once. */
  readonly counterpartyNextSign: number;
  /** Counterparty commitments below this number are revoked by the peer. */
  readonly counterpartyNextRevoke: number;
  /** Per-commitment points of the unrevoked counterparty numbers. */
  readonly counterpartyPoints: readonly PointRecord[];
  readonly counterpartySecrets: readonly SecretEntry[];
  /** A signature on a close was given: no new commitment, no revocation. */
  readonly mutualCloseSigned: boolean;
  /** Lowest holder commitment number signed for broadcast; null when none was. */
  readonly holderSigned: number | null;
  /** Splice transactions of which we signed the funding input (txids), the oldest first. */
  readonly splicesSigned: readonly Uint8Array[];
  /** We signed the terms of a lease of our funds to this peer: our outputs may lock longer. */
  readonly leaseSigned: boolean;
  /** A rollback was proven: never again a commitment, a revocation or a force close. */
  readonly frozen: boolean;
  /** By whose commitment it is: the dust limit is at most this, as its outputs have shown; 1,000 sat before. */
  readonly dustLimitsMaxSat: { readonly holder: bigint; readonly counterparty: bigint };
  /** The operator's kill switch: as frozen, until the operator releases it. */
  readonly stopped: boolean;
  /** The node asked to forget the channel; the record stays. */
  readonly forgotten: boolean;
}
