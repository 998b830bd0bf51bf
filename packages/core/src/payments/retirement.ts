/**
 * When something of a payment's record may go. An approval that nobody used goes when it expires, by the signer's clock:
 * that can only refuse a payment. A hash that was paid stays until nobody takes a second payment for it any more, by the
 * chain's time, which a node cannot move; without a chain view it stays for ever.
 */
import type { ChainView } from '../chain/view.ts';
import type { PaymentRecord } from '../records/payment.ts';
import { isSquare } from './balance.ts';

/** After an invoice has expired, its hash stays on record for so long. */
export const TOMBSTONE_SECONDS = 7 * 24 * 3600;
/** Of a payment without an invoice: nothing says until when its payee would take it again. */
export const TOMBSTONE_WITHOUT_INVOICE_SECONDS = 365 * 24 * 3600;

/** A part of the payment is in flight or settled, or was. */
export function isUsed(record: PaymentRecord): boolean {
  return record.usedMsat > 0n || record.settledMsat > 0n || record.parts.some((part) => part.outMsat > 0n);
}

/** The record without an approval that expired before anybody used it; the same record when there is none. */
export function withoutExpiredApproval(record: PaymentRecord, nowSeconds: number): PaymentRecord {
  const { approval } = record;
  if (approval === null || approval.expiresAtSeconds > nowSeconds || isUsed(record)) return record;
  // What it allowed to leave as dust slides out of that window by itself: it may have been used there, unseen.
  return { ...record, approval: null, isDustCredited: false };
}

/**
 * Whether the whole record may go: nothing of it stands in any channel, and its hash is worth nothing any more, whether
 * we paid for it or signed an invoice with it.
 */
export function mayRetire(record: PaymentRecord, nowSeconds: number, chain: ChainView | null): boolean {
  if (record.parts.length > 0) return false;
  const { approval, invoice } = record;
  if (approval !== null && !isUsed(record) && approval.expiresAtSeconds > nowSeconds) return false;
  const keepUntilSeconds = Math.max(
    approval !== null && isUsed(record) ? approval.keepUntilSeconds : 0,
    invoice === null ? 0 : invoice.expiresAtSeconds + TOMBSTONE_SECONDS,
  );
  // A forward that is through, or nothing at all. What went out without cover stays: an incoming HTLC may still come for it.
  if (keepUntilSeconds === 0) return isSquare(record);
  return chain !== null && chain.medianTimeSeconds > keepUntilSeconds;
}
