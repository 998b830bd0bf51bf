/**
 * Preapprovals: may this invoice be paid, this keysend be sent? Answered at once and never by waiting for a person: what
 * nobody approved is declined, and passes when the node asks again after the operator approved it.
 */
import { equalBytes, toHex } from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import type { Context } from '../context.ts';
import { malformed } from '../form.ts';
import { enforce } from '../policy/enforce.ts';
import { refuse } from '../refusal.ts';
import type { Release } from '../release.ts';
import { invoiceNotExpired, invoiceSignature } from './approval-rules.ts';
import { approvePayment, type PaymentTerms } from './approvals.ts';
import { bolt11Payee, INVOICE_PREFIX, readBolt11 } from './bolt11.ts';
import { isSignedByPayee, readBolt12 } from './bolt12.ts';

type InvoiceRequest = MessageOf<'hsmd_preapprove_invoice' | 'hsmd_preapprove_invoice_check'>;
type KeysendRequest = MessageOf<'hsmd_preapprove_keysend' | 'hsmd_preapprove_keysend_check'>;

/** preapprove_invoice (38) and its check form (51), which leaves no record when `check_only`. BOLT 11 and BOLT 12. */
export function preapproveInvoice(ctx: Context, request: InvoiceRequest): Release {
  const approved = !ctx.failPreapprovals;
  if (approved) {
    const text = request.invstring;
    const terms = /^lni/i.test(text) ? bolt12Terms(ctx, text) : bolt11Terms(ctx, text);
    requireNotExpired(ctx, terms);
    approvePayment(ctx, terms, isCheckOnly(request));
  }
  return { kind: 'reply', reply: { name: 'hsmd_preapprove_invoice_reply', approved } };
}

/** preapprove_keysend (39) and its check form (52). Nothing proves that the destination is who will be paid. */
export function preapproveKeysend(ctx: Context, request: KeysendRequest): Release {
  const approved = !ctx.failPreapprovals;
  if (approved) {
    const { destination, paymentHash, amountMsat } = request;
    if (!ctx.secp.isPublicKey(destination)) malformed('the destination is no node id');
    const terms = { kind: 'keysend', paymentHash, amountMsat, payee: destination } as const;
    approvePayment(ctx, { ...terms, description: '', expiresAtSeconds: null }, isCheckOnly(request));
  }
  return { kind: 'reply', reply: { name: 'hsmd_preapprove_keysend_reply', approved } };
}

const isCheckOnly = (request: InvoiceRequest | KeysendRequest): boolean =>
  'checkOnly' in request && request.checkOnly;

function bolt11Terms(ctx: Context, text: string): PaymentTerms {
  const invoice = readBolt11(text);
  const { network } = ctx.policy;
  if (invoice.prefix !== INVOICE_PREFIX[network.name]) {
    refuse(invoiceSignature, 'the invoice is for another network', {
      prefix: invoice.prefix,
      network: network.name,
    });
  }
  const payee = bolt11Payee(ctx.secp, invoice);
  if (payee === null) refuseSignature(invoice.paymentHash);
  const { paymentHash, amountMsat, description, createdAtSeconds, expirySeconds } = invoice;
  const expiresAtSeconds = createdAtSeconds + expirySeconds;
  return { kind: 'invoice', paymentHash, amountMsat, payee, description, expiresAtSeconds };
}

function bolt12Terms(ctx: Context, text: string): PaymentTerms {
  const invoice = readBolt12(text);
  const { network } = ctx.policy;
  if (!equalBytes(invoice.chainHash, network.chainHash)) {
    refuse(invoiceSignature, 'the invoice is for another network', {
      chain_hash: toHex(invoice.chainHash),
      network: network.name,
    });
  }
  if (!isSignedByPayee(ctx.secp, invoice)) refuseSignature(invoice.paymentHash);
  const { paymentHash, amountMsat, payee, description, createdAtSeconds, expirySeconds } = invoice;
  const expiresAtSeconds = createdAtSeconds + expirySeconds;
  return { kind: 'invoice', paymentHash, amountMsat, payee, description, expiresAtSeconds };
}

function refuseSignature(paymentHash: Uint8Array): never {
  refuse(invoiceSignature, 'the invoice is not signed by its payee', { payment_hash: toHex(paymentHash) });
}

function requireNotExpired(ctx: Context, { paymentHash, expiresAtSeconds }: PaymentTerms): void {
  if (expiresAtSeconds === null || ctx.nowSeconds < expiresAtSeconds) return;
  enforce(ctx, invoiceNotExpired, null, {
    message: 'the invoice has expired',
    facts: {
      payment_hash: toHex(paymentHash),
      expired_at_seconds: expiresAtSeconds,
      now_seconds: ctx.nowSeconds,
    },
  });
}
