/**
 * What a handler sees: the state it may change in a draft, who asks, the policy, and the public side of the keys.
 * Nothing here can sign, reach a disk, read a clock or draw a random number.
 */
import type { Facts, Secp256k1 } from '@countersign/bitcoin';
import type { ChainView } from './chain/view.ts';
import type { Basepoints } from './channel/record.ts';
import type { Policy } from './policy/settings.ts';
import type { Draft } from './state.ts';

/** hsmd permission bits of CLN (common/hsm_capable): what a client may ask for. */
export const PERMISSION = {
  ECDH: 1n,
  SIGN_GOSSIP: 2n,
  SIGN_ONCHAIN_TX: 4n,
  COMMITMENT_POINT: 8n,
  SIGN_REMOTE_TX: 16n,
  SIGN_CLOSING_TX: 32n,
  SIGN_WILL_FUND_OFFER: 64n,
  SIGN_SPLICE_TX: 128n,
  LOCK_OUTPOINT: 256n,
  MASTER: 1024n,
} as const;

/** The node's own client: every request of lightningd itself that CLN marks as the master's, plus ECDH and gossip. */
export const MASTER_PERMISSIONS = PERMISSION.MASTER | PERMISSION.SIGN_GOSSIP | PERMISSION.ECDH;

/** A channel as its keys are derived: the peer’s node id, or 00 and a name (33 bytes), and CLN’s database id of it. */
export interface ChannelRef {
  readonly peerId: Uint8Array;
  readonly dbid: bigint;
}

/** Who asks: the node itself or a client of one channel, and what it may ask for. */
export interface ClientIdentity {
  /** Null for clients that are not bound to a channel (the node itself, connectd). */
  readonly channel: ChannelRef | null;
  readonly permissions: bigint;
}

/** Public results of key derivation; `keys` implements it, and hands nothing else to a handler. */
export interface KeyView {
  nodeId(): Uint8Array;
  basepoints(channel: ChannelRef): Basepoints;
  fundingPublicKey(channel: ChannelRef): Uint8Array;
  perCommitmentPoint(channel: ChannelRef, number: number): Uint8Array;
  /** Constant-time comparison with our own secret of that number. */
  isPerCommitmentSecret(channel: ChannelRef, number: number, secret: Uint8Array): boolean;
  /** Key of the wallet's m/0/0/i (plain secrets) whatever the secret's kind; null when the index is hardened. */
  bip32PublicKey(index: number): Uint8Array | null;
  /** m/86'/0'/0'/0/i; null for secrets that have no BIP 86 wallet. */
  bip86PublicKey(index: number): Uint8Array | null;
  /** The wallet's own key at that index: BIP 86 when the secret has it, else BIP 32. */
  walletPublicKey(index: number): Uint8Array | null;
  /** The wallet index whose key owns the output script (P2WPKH, P2SH-P2WPKH, P2TR), at most `indexMax`. */
  walletIndexOf(script: Uint8Array, indexMax: number): number | null;
  /** Whether m/0/i or m/1/i of an operator's extended public key owns the script, i at most `indexMax`. */
  ownsScript(extendedPublicKey: string, script: Uint8Array, indexMax: number): boolean;
  /** to_remote of a counterparty's commitment: static, or tweaked by the commitment point for old channels. */
  paymentPublicKey(channel: ChannelRef, commitmentPoint: Uint8Array | null): Uint8Array;
}

/** What deriving public keys takes. */
export type KeyPlace = Pick<Context, 'keys' | 'secp'>;

/** A rule that the operator set to `warn` was broken; it goes into the audit log. */
export interface Warning {
  readonly tag: string;
  readonly message: string;
  readonly facts: Facts;
}

/** Something an auditor wants to read, beside the decision itself: an approval used, a payment settled. No secrets. */
export interface AuditEvent {
  /** Stable name, `<subject>-<what happened>`. */
  readonly event: string;
  readonly facts: Facts;
}

/** The place of one decision. */
export interface Context {
  readonly draft: Draft;
  readonly client: ClientIdentity;
  readonly policy: Policy;
  readonly keys: KeyView;
  readonly secp: Secp256k1;
  /** Negotiated hsmd protocol version, 4–6. */
  readonly protocolVersion: number;
  /** Seconds since 1970 by the signer's own clock. */
  readonly nowSeconds: number;
  /** What the signer has proven about the chain; null while it follows none. */
  readonly chain: ChainView | null;
  /** Filled while the request is judged; part of the decision when it is approved. */
  readonly warnings: Warning[];
  readonly events: AuditEvent[];
  /** `fail_preapprove` of a developer's preinit (regtest only): decline every preapproval. */
  readonly failPreapprovals: boolean;
}
