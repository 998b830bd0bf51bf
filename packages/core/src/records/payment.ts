/**
 * The stored form of a payment: everything of one payment hash, over all channels and all commitments that could still
 * reach the chain. Read and written only for the hashes a request touches.
 */
import type { Msat } from '@countersign/bitcoin';
import { bool, type Codec, choice, list, struct, u32 } from '@countersign/wire';
import { exactNumber, hash32, key33, millisatoshis, nullable, signedMsat, text } from './codecs.ts';
import type { RecordKind } from './kind.ts';

/** Channels that one payment may run over at a time; more parts of it are refused. */
export const PAYMENT_CHANNELS_MAX = 512;
/** HTLCs of one hash in one channel: BOLT 2's limit for both sides. */
export const TIMED_MAX = 966;

/** Part of a payment that ends at a height. */
export interface TimedAmount {
  readonly cltvExpiry: number;
  readonly amountMsat: Msat;
}

/** What one channel contributes to a payment; amounts in millisatoshi. */
export interface PaymentPart {
  /** `<peer id hex>/<dbid>`. */
  readonly channel: string;
  /** Offered by us: claimable or settled, the most that any unrevoked commitment gives to the peer. */
  readonly outMsat: bigint;
  /** Offered to us: standing or credited, the least that any unrevoked commitment gives to us. */
  readonly inMsat: bigint;
  /** Of `inMsat`, what still stands as HTLCs in every unrevoked commitment. */
  readonly standingMsat: bigint;
  /** The most that any unrevoked commitment has credited. */
  readonly creditMaxMsat: bigint;
  /** Settled and credited in the revoked past of each view, which no unrevoked commitment tells of any more. */
  readonly settledHolderMsat: bigint;
  readonly settledCounterpartyMsat: bigint;
  readonly creditedHolderMsat: bigint;
  readonly creditedCounterpartyMsat: bigint;
  /** What stands until which expiry, for law 4: for each expiry what ends then or later, the worst of all commitments. */
  readonly outgoing: readonly TimedAmount[];
  readonly incoming: readonly TimedAmount[];
}

/** Who approved. */
export type ApprovalSource = 'operator' | 'allowlist' | 'velocity' | 'all';

/** That a payment may be made: once, up to this amount and this fee. */
export interface PaymentApproval {
  /** `unasked`: bound by what was offered, not by what somebody asked for; it may rise within the automatic budget. */
  readonly kind: 'invoice' | 'keysend' | 'unasked';
  /** Null: an invoice that names no amount, to be bound by the first total that is offered (`approveUnasked`). */
  readonly amountMsat: Msat | null;
  readonly feeBudgetMsat: Msat;
  /** Null where nothing proves who is paid (keysend, a payment that nobody asked approval for). */
  readonly payee: Uint8Array | null;
  readonly source: ApprovalSource;
  readonly approvedAtSeconds: number;
  /** Unused until then, it is gone. */
  readonly expiresAtSeconds: number;
  /** Once paid, the hash stays on record until then by chain time: nobody takes a second payment for it any more. */
  readonly keepUntilSeconds: number;
}

/** An invoice that we signed. */
export interface OwnInvoice {
  /** Null: any amount. */
  readonly amountMsat: Msat | null;
  readonly expiresAtSeconds: number;
}

/** Everything the signer knows of one payment hash. */
export interface PaymentRecord {
  readonly approval: PaymentApproval | null;
  readonly invoice: OwnInvoice | null;
  /** 32 bytes; known means durable. */
  readonly preimage: Uint8Array | null;
  /** Outgoing settled and incoming credited by channels that are through with this hash. */
  readonly settledMsat: bigint;
  readonly creditedMsat: bigint;
  /** Credited beyond what it had to cover: ours, and never again cover for anything. */
  readonly incomeMsat: bigint;
  /** Used of the approval; returns when an outgoing part fails. */
  readonly usedMsat: bigint;
  /** Outgoing below the trim threshold that nothing visible covers, charged to dust outflow. */
  readonly dustChargedMsat: bigint;
  /** The approval is small enough to be paid invisibly, and was credited to dust outflow until it shows. */
  readonly isDustCredited: boolean;
  readonly parts: readonly PaymentPart[];
}

const timed = list(struct({ cltvExpiry: u32, amountMsat: millisatoshis }), TIMED_MAX);

const part: Codec<PaymentPart> = struct({
  channel: text,
  outMsat: signedMsat,
  inMsat: signedMsat,
  standingMsat: signedMsat,
  creditMaxMsat: signedMsat,
  settledHolderMsat: signedMsat,
  settledCounterpartyMsat: signedMsat,
  creditedHolderMsat: signedMsat,
  creditedCounterpartyMsat: signedMsat,
  outgoing: timed,
  incoming: timed,
});

const approval: Codec<PaymentApproval> = struct({
  kind: choice({ invoice: 1, keysend: 2, unasked: 3 }, 'approval kind'),
  amountMsat: nullable(millisatoshis),
  feeBudgetMsat: millisatoshis,
  payee: nullable(key33),
  source: choice({ operator: 1, allowlist: 2, velocity: 3, all: 4 }, 'approval source'),
  approvedAtSeconds: exactNumber,
  expiresAtSeconds: exactNumber,
  keepUntilSeconds: exactNumber,
});

const codec: Codec<PaymentRecord> = struct({
  approval: nullable(approval),
  invoice: nullable(struct({ amountMsat: nullable(millisatoshis), expiresAtSeconds: exactNumber })),
  preimage: nullable(hash32),
  settledMsat: signedMsat,
  creditedMsat: signedMsat,
  incomeMsat: signedMsat,
  usedMsat: signedMsat,
  dustChargedMsat: signedMsat,
  isDustCredited: bool,
  parts: list(part, PAYMENT_CHANNELS_MAX),
});

/** Id: the payment hash in hex. */
export const paymentRecords: RecordKind<PaymentRecord> = {
  name: 'payment',
  schemaVersion: 1,
  codec,
  migrations: {},
};

/** Of a hash that nobody has named yet. */
export const EMPTY_PAYMENT: PaymentRecord = {
  approval: null,
  invoice: null,
  preimage: null,
  settledMsat: 0n,
  creditedMsat: 0n,
  incomeMsat: 0n,
  usedMsat: 0n,
  dustChargedMsat: 0n,
  isDustCredited: false,
  parts: [],
};
