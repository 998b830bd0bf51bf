/**
 * A remedy: a transaction that saves funds of a channel, unsigned, with everything that signing it takes. Planning makes
 * them from records and public keys; `keys/sign-remedy.ts` signs them; whoever asked publishes them.
 */
import type { OutPoint, Sat, Transaction, TxOutput } from '@countersign/bitcoin';
import type { ChannelId } from '../channel/record.ts';
import type { ChannelRef } from '../context.ts';
import type { OutputRole } from '../records/chain.ts';

/** What a transaction that saves funds does. */
export type RemedyKind =
  /** Our own commitment. */
  | 'commitment'
  /** The second level of our commitment (BOLT 3 HTLC-timeout and HTLC-success). */
  | 'htlc-timeout'
  | 'htlc-success'
  /** Our delayed outputs: to_local, and those of our HTLC transactions. */
  | 'delayed'
  /** Our main output of a commitment of the peer. */
  | 'to-remote'
  /** HTLC outputs of a commitment of the peer, taken directly: ours after the expiry, the peer's with the preimage. */
  | 'claim-timeout'
  | 'claim-preimage'
  /** Outputs of a commitment that the peer has revoked, by the revocation key; with our own main output, where it may. */
  | 'justice';

/** Which of our keys signs an input. */
export type RemedyKey =
  | { readonly kind: 'funding' }
  | { readonly kind: 'to-remote' }
  | { readonly kind: 'htlc' | 'delayed'; readonly perCommitmentPoint: Uint8Array }
  /** With the secret that the peer revealed; it is no secret of ours, and no fact for a log either. */
  | { readonly kind: 'revocation'; readonly perCommitmentSecret: Uint8Array };

/** An input of it, and what it takes to spend. */
export interface RemedyInput {
  readonly outpoint: OutPoint;
  readonly spent: TxOutput;
  /** Null for P2WPKH. */
  readonly witnessScript: Uint8Array | null;
  /** What BIP 143 signs: the witness script, or for P2WPKH the script of BIP 143. */
  readonly scriptCode: Uint8Array;
  readonly key: RemedyKey;
  readonly sighashType: number;
  /** The witness stack from the bottom; null is where our signature goes, in DER with its sighash byte. */
  readonly witness: readonly (Uint8Array | null)[];
}

/** From that height of the tip on, the fee rate to pay. */
export interface Rung {
  readonly fromHeightBlocks: number;
  readonly feeratePerKw: number;
}

/** How a remedy that does not confirm gets more fee. */
export type Bump =
  /** By another plan at a later height: it signals BIP 125 and every rung pays for its replacement. */
  | 'replace'
  /** A child that spends our anchor, with coins of the wallet. */
  | 'anchor'
  /** It pays none: BOLT 3's zero-fee HTLC transactions get an input of the wallet, and may get a change output. */
  | 'fee-input'
  /** The peer's signature fixes it. */
  | 'none';

/** A transaction that would save funds of a channel, unsigned. */
export interface Remedy {
  readonly kind: RemedyKind;
  readonly channel: ChannelId;
  readonly ref: ChannelRef;
  /** Unsigned. */
  readonly transaction: Transaction;
  /** In the order of the transaction's inputs. */
  readonly inputs: readonly RemedyInput[];
  /** Txid of a transaction of the same plan that must confirm before; null where the chain has all that is spent. */
  readonly after: Uint8Array | null;
  /** Nodes take it from this height of the tip on (BIP 65, BIP 68); an estimate where `after` is set. */
  readonly earliestHeightBlocks: number;
  /** The first block that somebody else's claim of the same outputs may be in; null where nobody has any. */
  readonly deadlineHeightBlocks: number | null;
  /** What its outputs pay to us. */
  readonly valueSat: Sat;
  readonly feeSat: Sat;
  /** Signed, with signatures at their largest. */
  readonly weight: number;
  readonly bump: Bump;
  /** The whole ladder of fee rates; the plan of a later height stands on a later rung. Empty unless `bump` is `replace`. */
  readonly rungs: readonly Rung[];
  /** It pays our wallet; a commitment and its HTLC transactions only lead to others that do. */
  readonly isFinal: boolean;
  /** Spends what another remedy of the plan already does, for the case that that one becomes invalid. */
  readonly isFallback: boolean;
  /** Of our own revoked commitment: the peer can take the same outputs now. */
  readonly isPunishable: boolean;
  /**
   * It takes an HTLC that pays an invoice of ours, by the invoice's preimage. The node may want to fail it (part of an amount,
   * paid already, held), so nobody publishes it unasked: a received HTLC is ours only once credited (rules, law 3).
   */
  readonly isOptional: boolean;
  /**
   * False: law 1 allows no signature yet, because the channel is open and nothing on record ends it. `forceClose` makes
   * a plan that may be signed, once its changes are durable.
   */
  readonly isReleased: boolean;
}

/** Why an output is in no transaction of the plan. */
export type UnclaimedReason =
  /** Nothing on record explains the script. */
  | 'script-unknown'
  /** The script that belongs to the output's role is another one. */
  | 'script-differs'
  /** An HTLC offered to us, whose preimage the signer does not know. */
  | 'no-preimage'
  /** A secret, a point or a signature that it takes is not on record. */
  | 'no-key-material'
  /** Not worth the fee at the least rate. */
  | 'below-fee'
  /** An anchor of ours: worth less than its claim, kept for raising fees. */
  | 'anchor'
  /** The channel is frozen: nothing of it may be published by us. */
  | 'frozen'
  /** No commitment of ours on record may be published. */
  | 'no-commitment';

/** An output that the plan leaves alone, and why. */
export interface Unclaimed {
  /** `<txid>:<vout>`. */
  readonly outpoint: string;
  readonly valueSat: Sat;
  readonly role: OutputRole;
  readonly reason: UnclaimedReason;
}

/** What would save the funds of a channel now. */
export interface RemedyPlan {
  readonly channel: ChannelId;
  /** In the order to publish them; fallbacks last. */
  readonly remedies: readonly Remedy[];
  readonly unclaimed: readonly Unclaimed[];
}
