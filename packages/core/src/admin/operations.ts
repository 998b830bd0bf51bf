/**
 * What an operator may ask of a signer that runs, and what comes back: plain values, so that a socket, a command or a
 * page can carry them. The node side has no way to any of it.
 */
import type { Facts, Msat, Secp256k1 } from '@countersign/bitcoin';
import type { AuditEvent } from '../context.ts';
import type { Policy } from '../policy/settings.ts';
import type { AllowlistEntry, AllowlistKind, PendingApproval, PendingOutput } from '../records/approval.ts';
import type { ApprovalSource, PaymentApproval } from '../records/payment.ts';
import type { Change, StateReader } from '../state.ts';

/** A question or an order of the operator. */
export type AdminOperation =
  /** What waits for an answer, expired questions left out; the newest last. */
  | { readonly op: 'pending-list' }
  /**
   * Approves what waits under `id`. `amountMsat` sets the amount where an invoice names none, or of a payment that came
   * without an invoice; it may not change one that is named. `expirySeconds` (from now) overrides the policy's.
   */
  | {
      readonly op: 'approve';
      readonly id: string;
      readonly amountMsat: bigint | null;
      readonly expirySeconds: number | null;
    }
  /** Takes it off the list. The node may ask again. */
  | { readonly op: 'reject'; readonly id: string }
  /** Approvals that may still be used, the newest last. */
  | { readonly op: 'approvals-list' }
  /** Takes an approval back; what it already paid for goes on. */
  | { readonly op: 'revoke'; readonly id: string }
  | { readonly op: 'allowlist-list' }
  /** `kind` null: told from the text. */
  | { readonly op: 'allowlist-add'; readonly kind: AllowlistKind | null; readonly text: string }
  | { readonly op: 'allowlist-remove'; readonly text: string }
  /** The kill switch of one channel, `<peer id hex>/<dbid>`: no commitment, revocation or close until it is released. */
  | { readonly op: 'channel-freeze'; readonly channel: string }
  /** Releases the kill switch; a channel that froze by a proof of rollback stays frozen. */
  | { readonly op: 'channel-unfreeze'; readonly channel: string };

/** An approval as the operator sees it. */
export interface ApprovalEntry {
  /** As in `PendingApproval.id`: payment hash, txid, or `out:…`. */
  readonly id: string;
  readonly kind: PaymentApproval['kind'] | 'onchain' | 'splice-out';
  /** Payments; null: any amount, bound by the first total that is offered. On chain: null. */
  readonly amountMsat: Msat | null;
  readonly feeBudgetMsat: Msat | null;
  /** Used of it so far: in flight and settled. */
  readonly usedMsat: bigint;
  readonly payee: Uint8Array | null;
  /** On chain: the outputs approved. */
  readonly outputs: readonly PendingOutput[];
  readonly source: ApprovalSource;
  readonly approvedAtSeconds: number;
  readonly expiresAtSeconds: number;
}

/** The answer to an operation that was carried out, by its `op`. */
export type AdminResult =
  | { readonly op: 'pending-list'; readonly pending: readonly PendingApproval[] }
  | { readonly op: 'approve'; readonly approval: ApprovalEntry }
  | { readonly op: 'reject'; readonly id: string }
  | { readonly op: 'approvals-list'; readonly approvals: readonly ApprovalEntry[] }
  | { readonly op: 'revoke'; readonly id: string }
  | { readonly op: 'allowlist-list'; readonly entries: readonly AllowlistEntry[] }
  | { readonly op: 'allowlist-add'; readonly entry: AllowlistEntry }
  | { readonly op: 'allowlist-remove'; readonly entry: AllowlistEntry }
  | { readonly op: 'channel-freeze'; readonly channel: string }
  | { readonly op: 'channel-unfreeze'; readonly channel: string };

/** Stable codes, for programs; the message is for people. */
export type AdminErrorCode =
  /** Nothing of that name: pending request, approval, allowlist entry, channel. */
  | 'not-found'
  /** An invoice that names no amount was approved without one. */
  | 'amount-needed'
  /** An amount was given where the request names another. */
  | 'amount-fixed'
  | 'amount-invalid'
  | 'expiry-invalid'
  /** The request waits no longer: its invoice expired. */
  | 'expired'
  /** A part of it is in flight or settled: no other approval can take its place. */
  | 'in-use'
  | 'entry-invalid'
  | 'entry-known'
  | 'list-full'
  /** Of this version's rules, or of a proof of rollback: not the operator's to undo. */
  | 'not-possible';

/** Why an operation was not carried out. Nothing has changed then. */
export interface AdminError {
  readonly code: AdminErrorCode;
  readonly message: string;
  readonly facts: Facts;
}

/** What an operation depends on; the caller holds the state still until the changes are durable. */
export interface AdminInput {
  readonly state: StateReader;
  readonly policy: Policy;
  readonly secp: Secp256k1;
  readonly nowSeconds: number;
}

/** What `administer` makes of an operation. */
export type AdminOutcome =
  | {
      readonly ok: true;
      readonly result: AdminResult;
      /** To be durable before the result is told; empty for lists. */
      readonly changes: readonly Change[];
      /** Every change has at least one, for the audit log. */
      readonly events: readonly AuditEvent[];
    }
  | { readonly ok: false; readonly error: AdminError };
