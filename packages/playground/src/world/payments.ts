/** Invoices and payments as an application makes them: the signer is asked first, then LDK pays. */
import { toHex } from '@countersign/bitcoin';
import {
  Bolt11Invoice,
  Bolt11InvoiceDescription,
  Description,
  Offer,
  Option_StrZ,
  Option_ThirtyTwoBytesZ,
  Option_u16Z,
  Option_u32Z,
  Option_u64Z,
  Option_u64Z_Some,
  PaymentParameters,
  RecipientOnionFields,
  Result_Bolt11InvoiceParseOrSemanticErrorZ_OK,
  Result_Bolt11InvoiceSignOrCreationErrorZ_OK,
  Result_C3Tuple_ThirtyTwoBytesRecipientOnionFieldsRouteParametersZNoneZ_OK,
  Result_DescriptionCreationErrorZ_OK,
  Result_NoneBolt12SemanticErrorZ_OK,
  Result_NoneRetryableSendFailureZ_OK,
  Result_OfferBolt12ParseErrorZ_OK,
  Result_OfferBolt12SemanticErrorZ_OK,
  Result_OfferWithDerivedMetadataBuilderBolt12SemanticErrorZ_OK,
  Result_ThirtyTwoBytesRetryableSendFailureZ_OK,
  Retry,
  RouteParameters,
  UtilMethods,
} from 'lightningdevkit';
import type { LightningNode } from '../node/lightning-node.ts';

export interface InvoiceOptions {
  readonly amountMsat: bigint | null;
  readonly description?: string;
  readonly expirySeconds?: number;
}

export interface Invoice {
  readonly text: string;
  readonly paymentHash: string;
}

export type PayResult =
  | { readonly sent: true; readonly paymentHash: string }
  | { readonly sent: false; readonly why: 'declined' | 'no-route' };

export function createInvoice(node: LightningNode, options: InvoiceOptions): Invoice {
  const { amountMsat } = options;
  const description = Description.constructor_new(options.description ?? 'playground');
  if (!(description instanceof Result_DescriptionCreationErrorZ_OK))
    throw new Error('the description is too long');
  const made = node.manager.create_bolt11_invoice(
    amountMsat === null ? Option_u64Z.constructor_none() : Option_u64Z.constructor_some(amountMsat),
    Bolt11InvoiceDescription.constructor_direct(description.res),
    Option_u32Z.constructor_some(options.expirySeconds ?? 3600),
    Option_u16Z.constructor_none(),
    Option_ThirtyTwoBytesZ.constructor_none(),
  );
  if (!(made instanceof Result_Bolt11InvoiceSignOrCreationErrorZ_OK)) throw new Error('no invoice was made');
  return { text: made.res.to_str(), paymentHash: toHex(made.res.payment_hash()) };
}

export interface PayOptions {
  readonly attempts?: number;
  /** Without asking the signer first: what a compromised node would do. */
  readonly unasked?: boolean;
  /** 32 bytes; the payment hash where nothing is said. Another one lets LDK pay a hash again. */
  readonly paymentId?: Uint8Array;
}

export function payInvoice(node: LightningNode, text: string, options: PayOptions = {}): PayResult {
  if (options.unasked !== true && !node.keys.preapproveInvoice(text)) return { sent: false, why: 'declined' };
  const parsed = Bolt11Invoice.constructor_from_str(text);
  if (!(parsed instanceof Result_Bolt11InvoiceParseOrSemanticErrorZ_OK)) throw new Error('no invoice');
  const invoice = parsed.res;
  const how = UtilMethods.constructor_payment_parameters_from_invoice(invoice);
  if (!(how instanceof Result_C3Tuple_ThirtyTwoBytesRecipientOnionFieldsRouteParametersZNoneZ_OK))
    throw new Error('an invoice without an amount');
  const hash = how.res.get_a();
  const result = node.manager.send_payment(
    hash,
    how.res.get_b(),
    options.paymentId ?? hash,
    how.res.get_c(),
    Retry.constructor_attempts(options.attempts ?? 0),
  );
  if (!(result instanceof Result_NoneRetryableSendFailureZ_OK)) return { sent: false, why: 'no-route' };
  return { sent: true, paymentHash: toHex(hash) };
}

export interface Keysend {
  readonly destination: Uint8Array;
  readonly amountMsat: bigint;
  readonly preimage: Uint8Array;
  readonly paymentHash: Uint8Array;
}

const FINAL_CLTV_BLOCKS = 42;

export function payKeysend(node: LightningNode, keysend: Keysend, options: PayOptions = {}): PayResult {
  const { destination, amountMsat, preimage, paymentHash } = keysend;
  if (options.unasked !== true && !node.keys.preapproveKeysend(destination, paymentHash, amountMsat))
    return { sent: false, why: 'declined' };
  const parameters = PaymentParameters.constructor_for_keysend(destination, FINAL_CLTV_BLOCKS, false);
  const result = node.manager.send_spontaneous_payment(
    Option_ThirtyTwoBytesZ.constructor_some(preimage),
    RecipientOnionFields.constructor_spontaneous_empty(),
    options.paymentId ?? paymentHash,
    RouteParameters.constructor_from_payment_params_and_value(parameters, amountMsat),
    Retry.constructor_attempts(0),
  );
  if (!(result instanceof Result_ThirtyTwoBytesRetryableSendFailureZ_OK))
    return { sent: false, why: 'no-route' };
  return { sent: true, paymentHash: toHex(paymentHash) };
}

/** Of an invoice; null where the payer chooses. */
export function amountOf(text: string): bigint | null {
  const parsed = Bolt11Invoice.constructor_from_str(text);
  if (!(parsed instanceof Result_Bolt11InvoiceParseOrSemanticErrorZ_OK)) return null;
  const amount = parsed.res.amount_milli_satoshis();
  return amount instanceof Option_u64Z_Some ? amount.some : null;
}

/**
 * `lno1…`, found by the node's blinded path: it has to be announced, or to have a peer that is. Without an amount: the setters of
 * the bindings' offer builder change a copy that nobody gets.
 */
export function createOffer(node: LightningNode): string {
  const begun = node.manager.create_offer_builder(Option_u64Z.constructor_none());
  if (!(begun instanceof Result_OfferWithDerivedMetadataBuilderBolt12SemanticErrorZ_OK))
    throw new Error('no path leads to this node');
  const built = begun.res.build();
  if (!(built instanceof Result_OfferBolt12SemanticErrorZ_OK)) throw new Error('no offer was made');
  return built.res.to_str();
}

/** Asks for an invoice; it is paid when it comes. `paymentId`: 32 bytes. */
export function payOffer(
  node: LightningNode,
  text: string,
  amountMsat: bigint,
  paymentId: Uint8Array,
): boolean {
  const parsed = Offer.constructor_from_str(text);
  if (!(parsed instanceof Result_OfferBolt12ParseErrorZ_OK)) throw new Error('no offer');
  const asked = node.manager.pay_for_offer(
    parsed.res,
    Option_u64Z.constructor_none(),
    Option_u64Z.constructor_some(amountMsat),
    Option_StrZ.constructor_none(),
    paymentId,
    Retry.constructor_attempts(0),
    Option_u64Z.constructor_none(),
  );
  return asked instanceof Result_NoneBolt12SemanticErrorZ_OK;
}
