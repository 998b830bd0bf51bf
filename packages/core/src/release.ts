/**
 * What an approved decision gives away, as an instruction: nothing is signed and no secret derived until the
 * changed records are durable, or at least nothing leaves. `keys/perform.ts` carries it out.
 */
import type { Psbt } from '@countersign/bitcoin';
import type { Reply } from '@countersign/wire';
import type { ChannelRef } from './context.ts';

/** Which of our keys signs an input of a PSBT. */
export type PsbtKey =
  | { readonly kind: 'wallet'; readonly index: number }
  | { readonly kind: 'wallet-taproot'; readonly index: number }
  | { readonly kind: 'to-remote'; readonly channel: ChannelRef; readonly commitmentPoint: Uint8Array | null }
  | { readonly kind: 'anchor'; readonly channel: ChannelRef };

/** A signature that goes into a PSBT. */
export interface PsbtSignature {
  readonly input: number;
  readonly key: PsbtKey;
  /** 33 bytes. */
  readonly publicKey: Uint8Array;
  readonly sighash: Uint8Array;
}

/** One signature of a release that has many: data only, so that another thread may compute it. */
export type SignatureJob =
  | { readonly kind: 'funding'; readonly channel: ChannelRef; readonly sighash: Uint8Array }
  | {
      readonly kind: 'htlc';
      readonly channel: ChannelRef;
      readonly perCommitmentPoint: Uint8Array;
      readonly sighash: Uint8Array;
    }
  | { readonly kind: 'psbt'; readonly key: PsbtKey; readonly sighash: Uint8Array };

/** What an approved decision lets out: an instruction for `perform`, plain data without any secret. */
export type Release =
  | { readonly kind: 'reply'; readonly reply: Reply }
  /** The funding key, SIGHASH_ALL. */
  | {
      readonly kind: 'sign-funding';
      readonly channel: ChannelRef;
      readonly sighash: Uint8Array;
      readonly reply: 'hsmd_sign_tx_reply' | 'hsmd_sign_commitment_tx_reply';
    }
  /** A commitment of the peer with its HTLC transactions, in output order: the funding key, then the HTLC key for each. */
  | {
      readonly kind: 'sign-commitment';
      readonly channel: ChannelRef;
      readonly sighash: Uint8Array;
      readonly perCommitmentPoint: Uint8Array;
      readonly htlcs: readonly { readonly sighash: Uint8Array; readonly sighashType: number }[];
    }
  | {
      readonly kind: 'sign-htlc';
      readonly channel: ChannelRef;
      readonly perCommitmentPoint: Uint8Array;
      readonly sighash: Uint8Array;
      readonly sighashType: number;
    }
  | {
      readonly kind: 'sign-delayed';
      readonly channel: ChannelRef;
      readonly perCommitmentPoint: Uint8Array;
      readonly sighash: Uint8Array;
    }
  | {
      readonly kind: 'sign-revocation';
      readonly channel: ChannelRef;
      readonly revocationSecret: Uint8Array;
      readonly sighash: Uint8Array;
    }
  | {
      readonly kind: 'sign-psbt';
      /** Already carries key origins and scripts; signatures are added. */
      readonly psbt: Psbt;
      readonly signatures: readonly PsbtSignature[];
      readonly reply:
        | 'hsmd_sign_withdrawal_reply'
        | 'hsmd_sign_anchorspend_reply'
        | 'hsmd_sign_htlc_tx_mingle_reply';
    }
  /** The secret of holder commitment `number`. */
  | {
      readonly kind: 'revoke-commitment';
      readonly channel: ChannelRef;
      readonly number: number;
      readonly nextPerCommitmentPoint: Uint8Array;
    }
  /** A point, and below protocol version 6 the secret of the commitment two before. */
  | {
      readonly kind: 'point-and-secret';
      readonly channel: ChannelRef;
      readonly perCommitmentPoint: Uint8Array;
      readonly secretNumber: number;
    }
  | { readonly kind: 'ecdh'; readonly point: Uint8Array }
  | { readonly kind: 'derive-secret'; readonly info: Uint8Array }
  | { readonly kind: 'sign-invoice'; readonly digest: Uint8Array }
  | { readonly kind: 'sign-message'; readonly digest: Uint8Array }
  | { readonly kind: 'sign-bip137'; readonly digest: Uint8Array; readonly index: number }
  | { readonly kind: 'sign-bolt12'; readonly digest: Uint8Array; readonly publicTweak: Uint8Array }
  | {
      readonly kind: 'sign-bolt12-alias';
      readonly digest: Uint8Array;
      readonly info: Uint8Array;
      readonly publicTweak: Uint8Array;
    }
  | { readonly kind: 'sign-lease'; readonly digest: Uint8Array }
  /** The node key alone. */
  | {
      readonly kind: 'sign-gossip';
      readonly digest: Uint8Array;
      readonly reply: 'hsmd_node_announcement_sig_reply' | 'vls_sign_gossip_message_reply';
    }
  | { readonly kind: 'sign-channel-update'; readonly digest: Uint8Array; readonly update: Uint8Array }
  | {
      readonly kind: 'sign-channel-announcement';
      readonly digest: Uint8Array;
      readonly channel: ChannelRef;
      readonly reply: 'hsmd_cannouncement_sig_reply' | 'hsmd_sign_any_cannouncement_reply';
    };
