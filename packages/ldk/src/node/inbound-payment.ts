/**
 * LDK's own payment hashes: LDK derives the preimage of an invoice from its payment secret and the inbound payment key, so that it
 * need not remember invoices. Source: rust-lightning 0.1 `ln/inbound_payment.rs`.
 */
import { createCipheriv } from 'node:crypto';
import { hkdfSha256, hmacSha256, sha256 } from '@countersign/bitcoin';

const SALT = new TextEncoder().encode('LDK Inbound Payment Key Expansion');
const KEY_BYTES = 32;
/** Of the payment secret: the initialization vector, then the encrypted metadata. */
const IV_BYTES = 16;

/** The payment hash that LDK made together with this secret, if it made it. */
export function paymentHashOf(inboundPaymentKey: Uint8Array, paymentSecret: Uint8Array): Uint8Array {
  const expanded = hkdfSha256(inboundPaymentKey, SALT, new Uint8Array(0), 2 * KEY_BYTES);
  const [metadataKey, hashKey] = [expanded.subarray(0, KEY_BYTES), expanded.subarray(KEY_BYTES)];
  const iv = paymentSecret.subarray(0, IV_BYTES);
  const cipher = createCipheriv('chacha20', metadataKey, iv);
  const metadata = new Uint8Array(cipher.update(paymentSecret.subarray(IV_BYTES)));
  return sha256(hmacSha256(hashKey, iv, metadata));
}
