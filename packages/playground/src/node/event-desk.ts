/**
 * What a node does about LDK's events, and what it remembers of them. Payments to an invoice of ours are claimed at once unless
 * their hash is held; a channel is funded from the wallet and its funding signed when LDK says that it is safe.
 */
import { toHex } from '@countersign/bitcoin';
import {
  type Event,
  Event_BumpTransaction,
  Event_ChannelClosed,
  Event_ChannelReady,
  Event_FundingGenerationReady,
  Event_FundingTxBroadcastSafe,
  Event_HTLCHandlingFailed,
  Event_InvoiceReceived,
  Event_OpenChannelRequest,
  Event_PaymentClaimable,
  Event_PaymentClaimed,
  Event_PaymentFailed,
  Event_PaymentForwarded,
  Event_PaymentSent,
  Event_PendingHTLCsForwardable,
  Event_SpendableOutputs,
  InboundChannelFunds_PushMsat,
  Option_ThirtyTwoBytesZ_Some,
  Option_u32Z,
  OutPoint,
  type PaymentPurpose,
  PaymentPurpose_Bolt11InvoicePayment,
  PaymentPurpose_Bolt12OfferPayment,
  PaymentPurpose_SpontaneousPayment,
  Result_NoneAPIErrorZ_OK,
  Result_NoneBolt12PaymentErrorZ_OK,
} from 'lightningdevkit';
import type { LightningNode } from './lightning-node.ts';

export interface Payment {
  readonly paymentHash: string;
  readonly amountMsat: bigint;
  readonly preimage: Uint8Array | null;
}

const MATURE_FEE_PER_KW = 1000;

export class EventDesk {
  readonly #node: LightningNode;
  /** Payment hashes that are not claimed until `claim` is called; `all` holds everything. */
  readonly held = new Set<string>();
  holdsAll = false;
  readonly claimable = new Map<string, Payment>();
  readonly claimed = new Map<string, bigint>();
  readonly sent = new Map<string, Uint8Array>();
  readonly failed = new Set<string>();
  /** Payment hashes of what was sent, by payment id. */
  readonly sentById = new Map<string, string>();
  readonly closed: string[] = [];
  forwards = 0;
  readyChannels = 0;
  handlingFailures = 0;
  /** Forwards that a test keeps waiting. */
  holdsForwards = false;
  readonly problems: string[] = [];
  readonly #invoiced = new Set<string>();
  #nextUserChannelId = 1n;

  constructor(node: LightningNode) {
    this.#node = node;
  }

  takeUserChannelId(): bigint {
    return this.#nextUserChannelId++;
  }

  async handle(event: Event): Promise<void> {
    if (event instanceof Event_FundingGenerationReady) this.#fund(event);
    else if (event instanceof Event_FundingTxBroadcastSafe) this.#signFunding(event);
    else if (event instanceof Event_OpenChannelRequest) this.#accept(event);
    else if (event instanceof Event_PendingHTLCsForwardable) this.forward();
    else if (event instanceof Event_PaymentClaimable) this.#claimable(event);
    else if (event instanceof Event_PaymentClaimed)
      this.claimed.set(toHex(event.payment_hash), event.amount_msat);
    else if (event instanceof Event_PaymentSent) this.#sent(event);
    else if (event instanceof Event_PaymentFailed) this.#failed(event);
    else if (event instanceof Event_PaymentForwarded) this.forwards++;
    else if (event instanceof Event_HTLCHandlingFailed) this.handlingFailures++;
    else if (event instanceof Event_SpendableOutputs) this.#spendable(event);
    else if (event instanceof Event_BumpTransaction)
      this.#node.keys.handleBump(event.bump_transaction, this.#node.bumps);
    else if (event instanceof Event_InvoiceReceived) this.#payOffered(event);
    else if (event instanceof Event_ChannelReady) this.readyChannels++;
    else if (event instanceof Event_ChannelClosed) this.closed.push(event.reason.to_str());
  }

  #fund(event: Event_FundingGenerationReady): void {
    const { wallet } = this.#node.keys;
    const funding = wallet.buildFunding({
      script: event.output_script,
      valueSat: event.channel_value_satoshis,
      feeratePerKw: Math.max(MATURE_FEE_PER_KW, this.#node.fees.perKw),
    });
    if (funding === null) {
      this.problems.push('no coins for a funding');
      return;
    }
    const outpoint = OutPoint.constructor_new(funding.txid, funding.vout);
    const { temporary_channel_id, counterparty_node_id } = event;
    const result = this.#node.manager.unsafe_manual_funding_transaction_generated(
      temporary_channel_id,
      counterparty_node_id,
      outpoint,
    );
    if (!(result instanceof Result_NoneAPIErrorZ_OK)) this.problems.push('a funding was not taken');
  }

  #signFunding({ funding_txo }: Event_FundingTxBroadcastSafe): void {
    const raw = this.#node.keys.wallet.signFunding(funding_txo.get_txid());
    if (raw === null) this.problems.push('a funding was not signed');
    else this.#node.outbox.packages.push([raw]);
  }

  #accept(event: Event_OpenChannelRequest): void {
    const funds = event.channel_negotiation_type;
    const pushMsat = funds instanceof InboundChannelFunds_PushMsat ? funds.push_msat : 0n;
    const userChannelId = this.takeUserChannelId();
    this.#node.keys.announceChannel(userChannelId, pushMsat);
    const result = this.#node.manager.accept_inbound_channel(
      event.temporary_channel_id,
      event.counterparty_node_id,
      userChannelId,
    );
    if (!(result instanceof Result_NoneAPIErrorZ_OK))
      this.problems.push('an inbound channel was not accepted');
  }

  /** What the timer of `PendingHTLCsForwardable` is for. */
  forward(): void {
    if (!this.holdsForwards) this.#node.manager.process_pending_htlc_forwards();
  }

  #claimable({ payment_hash, amount_msat, purpose }: Event_PaymentClaimable): void {
    const paymentHash = toHex(payment_hash);
    const preimage = preimageOf(purpose);
    this.claimable.set(paymentHash, { paymentHash, amountMsat: amount_msat, preimage });
    if (!this.holdsAll && !this.held.has(paymentHash)) this.claim(paymentHash);
  }

  claim(paymentHash: string): void {
    const preimage = this.claimable.get(paymentHash)?.preimage;
    if (preimage === null || preimage === undefined) throw new Error('nothing to claim under this hash');
    this.#node.manager.claim_funds(preimage);
  }

  fail(paymentHash: string): void {
    this.#node.manager.fail_htlc_backwards(Buffer.from(paymentHash, 'hex'));
  }

  /** The invoice of an offer that this node has asked to pay. */
  #payOffered({ invoice, context, payment_id }: Event_InvoiceReceived): void {
    const { manager, keys } = this.#node;
    // LDK asks over several paths, and an invoice may come over each: one is approved.
    if (this.#invoiced.has(toHex(payment_id))) return;
    this.#invoiced.add(toHex(payment_id));
    if (!keys.preapproveBolt12Invoice(invoice.write())) {
      manager.abandon_payment(payment_id);
      return;
    }
    const result = manager.send_payment_for_bolt12_invoice(invoice, context);
    if (!(result instanceof Result_NoneBolt12PaymentErrorZ_OK)) this.problems.push('an offer was not paid');
  }

  #sent({ payment_id, payment_hash, payment_preimage }: Event_PaymentSent): void {
    const hash = toHex(payment_hash);
    this.sent.set(hash, payment_preimage);
    if (payment_id instanceof Option_ThirtyTwoBytesZ_Some) this.sentById.set(toHex(payment_id.some), hash);
  }

  #failed({ payment_hash }: Event_PaymentFailed): void {
    if (payment_hash instanceof Option_ThirtyTwoBytesZ_Some) this.failed.add(toHex(payment_hash.some));
  }

  #spendable({ outputs, channel_id }: Event_SpendableOutputs): void {
    const { staticOutputsAreWallet } = this.#node.keys;
    this.#node.sweeper.track_spendable_outputs(
      outputs,
      channel_id,
      staticOutputsAreWallet,
      Option_u32Z.constructor_none(),
    );
  }
}

function preimageOf(purpose: PaymentPurpose): Uint8Array | null {
  if (purpose instanceof PaymentPurpose_SpontaneousPayment) return purpose.spontaneous_payment;
  const isInvoice =
    purpose instanceof PaymentPurpose_Bolt11InvoicePayment ||
    purpose instanceof PaymentPurpose_Bolt12OfferPayment;
  if (!isInvoice) return null;
  const { payment_preimage } = purpose;
  return payment_preimage instanceof Option_ThirtyTwoBytesZ_Some ? payment_preimage.some : null;
}
