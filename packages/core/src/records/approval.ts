/**
 * The stored forms of what waits for the operator, of what the operator approved on chain, and of the allowlist.
 * Approved payments stand in their payment's record.
 */
import type { Msat, Sat } from '@countersign/bitcoin';
import { bool, type Codec, choice, list, octets, struct, u32 } from '@countersign/wire';
import { exactNumber, key33, millisatoshis, nullable, satoshis, text } from './codecs.ts';
import type { RecordKind } from './kind.ts';
import type { ApprovalSource } from './payment.ts';

/** Requests that wait for the operator at a time; a newer one takes the place of the oldest. */
export const PENDING_MAX = 256;
/** Outputs of one request that waits. */
export const PENDING_OUTPUTS_MAX = 256;
/** Entries of the allowlist. */
export const ALLOWLIST_MAX = 10_000;

/** An output that somebody should approve. */
export interface PendingOutput {
  readonly script: Uint8Array;
  readonly valueSat: Sat;
}

/** A request that was declined because nobody approved it; asked again after an approval, it passes. */
export interface PendingApproval {
  /** What the operator names it by: the payment hash or the txid (display order), hex; `out:` + 16 hex for a splice-out. */
  readonly id: string;
  readonly kind: 'invoice' | 'keysend' | 'payment' | 'onchain' | 'splice-out';
  readonly firstAskedAtSeconds: number;
  readonly lastAskedAtSeconds: number;
  readonly timesAsked: number;
  /** Payments: the amount asked for; null for an invoice that names none. On chain: null. */
  readonly amountMsat: Msat | null;
  readonly payee: Uint8Array | null;
  /** On chain: the outputs that nothing on record explains. */
  readonly outputs: readonly PendingOutput[];
  /** On chain: what the transaction takes from us as fee. */
  readonly feeSat: Sat | null;
  /** The invoice's description, shortened; an attacker's text. */
  readonly description: string;
  /** When asking makes no sense any more (invoice expiry); null: never. */
  readonly expiresAtSeconds: number | null;
}

/** A transaction (by txid), or for a splice a destination with its amount, that may be signed. */
export interface OnchainApproval {
  readonly outputs: readonly PendingOutput[];
  readonly source: ApprovalSource;
  readonly approvedAtSeconds: number;
  readonly expiresAtSeconds: number;
}

/** What an entry of the allowlist names. */
export type AllowlistKind = 'address' | 'script' | 'xpub' | 'payee';

/** A destination or payee that needs no approval. */
export interface AllowlistEntry {
  readonly kind: AllowlistKind;
  /** As the operator wrote it: an address, a script in hex, an extended public key, a node id in hex. */
  readonly text: string;
  readonly addedAtSeconds: number;
}

const outputs = list(struct({ script: octets, valueSat: satoshis }), PENDING_OUTPUTS_MAX);

const pending: Codec<PendingApproval> = struct({
  id: text,
  kind: choice({ invoice: 1, keysend: 2, payment: 3, onchain: 4, 'splice-out': 5 }, 'kind of approval'),
  firstAskedAtSeconds: exactNumber,
  lastAskedAtSeconds: exactNumber,
  timesAsked: u32,
  amountMsat: nullable(millisatoshis),
  payee: nullable(key33),
  outputs,
  feeSat: nullable(satoshis),
  description: text,
  expiresAtSeconds: nullable(exactNumber),
});

/** One record, id `list`: the newest `PENDING_MAX`, the one asked for last at the end. */
export const pendingRecords: RecordKind<readonly PendingApproval[]> = {
  name: 'pending',
  schemaVersion: 1,
  codec: list(pending, PENDING_MAX),
  migrations: {},
};

/** Id: the txid in display hex, or the `out:` id of a splice-out. */
export const onchainApprovalRecords: RecordKind<OnchainApproval> = {
  name: 'onchain-approval',
  schemaVersion: 1,
  codec: struct({
    outputs,
    source: choice({ operator: 1, allowlist: 2, velocity: 3, all: 4 }, 'approval source'),
    approvedAtSeconds: exactNumber,
    expiresAtSeconds: exactNumber,
  }),
  migrations: {},
};

/** Approvals that are listed at a time; beyond it the oldest automatic ones are not listed any more. */
export const APPROVAL_SLOTS = 4096;

/** Where the list of approvals begins and ends: numbers of slots that were ever used, the slot being the rest. */
export interface ApprovalIndex {
  readonly oldest: number;
  readonly next: number;
}

/** Where an approval stands. */
export interface ApprovalSlot {
  readonly kind: 'payment' | 'onchain';
  /** Payment hash, txid, or `out:` id: the id of the record that holds the approval. */
  readonly id: string;
}

/** One record, id `index`. */
export const approvalIndexRecords: RecordKind<ApprovalIndex> = {
  name: 'approval-index',
  schemaVersion: 1,
  codec: struct({ oldest: exactNumber, next: exactNumber }),
  migrations: {},
};

/** Id: the slot, 0 to `APPROVAL_SLOTS` − 1. */
export const approvalSlotRecords: RecordKind<ApprovalSlot> = {
  name: 'approval-slot',
  schemaVersion: 1,
  codec: struct({ kind: choice({ payment: 1, onchain: 2 }, 'kind of approval'), id: text }),
  migrations: {},
};

/** One record, id `list`. */
export const allowlistRecords: RecordKind<readonly AllowlistEntry[]> = {
  name: 'allowlist',
  schemaVersion: 1,
  codec: list(
    struct({
      kind: choice({ address: 1, script: 2, xpub: 3, payee: 4 }, 'kind of allowlist entry'),
      text,
      addedAtSeconds: exactNumber,
    }),
    ALLOWLIST_MAX,
  ),
  migrations: {},
};

/** One record, id `node`: facts about the node as a whole. */
export interface NodeRecord {
  /** Highest wallet index that was proven to be in use or asked about within the window. */
  readonly walletIndexMax: number;
  /** The node side delivers preimages: from the first time on, a removed HTLC without its preimage is an error. */
  readonly deliversPreimages: boolean;
  /** Channels set up and not forgotten. */
  readonly channelsLive: number;
}

/** One record: what the signer knows of its own node. */
export const nodeRecords: RecordKind<NodeRecord> = {
  name: 'node',
  schemaVersion: 1,
  codec: struct({
    walletIndexMax: u32,
    deliversPreimages: bool,
    channelsLive: u32,
  }),
  migrations: {},
};

/** Of a node that has asked for nothing yet. */
export const EMPTY_NODE: NodeRecord = { walletIndexMax: 0, deliversPreimages: false, channelsLive: 0 };
