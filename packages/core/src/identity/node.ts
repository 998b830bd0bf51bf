/**
 * Requests that use the node's own identity: key checks, shared secrets, derived secrets, signed text, invoices,
 * offers. Each signs in its own domain (tag or prefix), so none can be taken for a transaction's signature.
 */

import { equalBytes, toHex } from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import { channelId, clientChannel, saveChannel } from '../channel/lookup.ts';
import type { Context } from '../context.ts';
import { malformed } from '../form.ts';
import {
  bip137Digest,
  bolt11Digest,
  bolt12Digest,
  leaseDigest,
  lightningMessageDigest,
} from '../keys/digests.ts';
import { deficitMsat, outMsat } from '../payments/balance.ts';
import { INVOICE_PREFIX, type InvoiceFields, readInvoiceFields } from '../payments/bolt11.ts';
import { offeredHashMatches } from '../payments/rules.ts';
import { channelRecords, emptyChannel } from '../records/channel.ts';
import { EMPTY_PAYMENT, paymentRecords } from '../records/payment.ts';
import { refuse } from '../refusal.ts';
import type { Release } from '../release.ts';
import { noteWalletIndex } from '../spending/ownership.ts';
import { keyUse } from '../spending/rules.ts';

/** Longest text, invoice or derivation info that is hashed; the wire's own limit for these fields. */
export const TEXT_BYTES_MAX = 65_535;

/** ecdh_req (1). */
export function ecdh(ctx: Context, request: MessageOf<'hsmd_ecdh_req'>): Release {
  if (!ctx.secp.isPublicKey(request.point)) malformed('the point is no point on the curve');
  return { kind: 'ecdh', point: request.point };
}

/** derive_secret (27). */
export function deriveSecret(request: MessageOf<'hsmd_derive_secret'>): Release {
  return { kind: 'derive-secret', info: request.info };
}

/** A node that derives other keys than we do must not go on: CLN ends there, and so does lightningd on a refusal. */
function requireSameKey(ours: Uint8Array, given: Uint8Array, index: number): void {
  if (equalBytes(ours, given)) return;
  refuse(keyUse, 'the node derives another key at this index than the signer', {
    index,
    ours: toHex(ours),
    given: toHex(given),
  });
}

/** check_pubkey (28): m/0/0/i, or the key of the wallet at i where that is another: a node of another kind knows only that one. */
export function checkPubkey(ctx: Context, request: MessageOf<'hsmd_check_pubkey'>): Release {
  const { index, pubkey } = request;
  const ours = ctx.keys.bip32PublicKey(index);
  const wallets = ctx.keys.walletPublicKey(index);
  if (ours === null || wallets === null) malformed('wallet key index beyond 2^31', { index });
  if (!equalBytes(wallets, pubkey)) requireSameKey(ours, pubkey, index);
  noteWalletIndex(ctx, request.index);
  return { kind: 'reply', reply: { name: 'hsmd_check_pubkey_reply', ok: true } };
}

/** check_bip86_pubkey (56). */
export function checkBip86Pubkey(ctx: Context, request: MessageOf<'hsmd_check_bip86_pubkey'>): Release {
  const ours = ctx.keys.bip86PublicKey(request.index);
  if (ours === null) {
    malformed('this secret has no BIP 86 wallet, or the index is beyond 2^31', { index: request.index });
  }
  requireSameKey(ours, request.pubkey, request.index);
  noteWalletIndex(ctx, request.index);
  return { kind: 'reply', reply: { name: 'hsmd_check_bip86_pubkey_reply', ok: true } };
}

/** sign_message (23): "Lightning Signed Message:" and the text. */
export function signMessage(request: MessageOf<'hsmd_sign_message'>): Release {
  return { kind: 'sign-message', digest: lightningMessageDigest(request.msg) };
}

/** bip137_sign_message (45): "Bitcoin Signed Message:" and the text, with a wallet key. */
export function signBip137(ctx: Context, request: MessageOf<'hsmd_bip137_sign_message'>): Release {
  if (ctx.keys.walletPublicKey(request.keyidx) === null) {
    malformed('wallet key index beyond 2^31', { index: request.keyidx });
  }
  return { kind: 'sign-bip137', digest: bip137Digest(request.msg), index: request.keyidx };
}

/**
 * sign_invoice (8): BOLT 11. The hash is a single SHA-256 of what the node sends, so what it sends must be an invoice:
 * 32 bytes with a free prefix could be the inner hash of a gossip message. Its payment hash is one of ours from now on:
 * paid to us, and never a forward.
 */
export function signInvoice(ctx: Context, request: MessageOf<'hsmd_sign_invoice'>): Release {
  const hrp = new TextDecoder('latin1').decode(request.hrp);
  const fields = readInvoiceFields(hrp, request.u5bytes);
  const prefix = INVOICE_PREFIX[ctx.policy.network.name];
  if (fields.prefix !== prefix) {
    malformed('an invoice of another network', { prefix, prefix_given: fields.prefix });
  }
  if (fields.claimedPayee !== null && !equalBytes(fields.claimedPayee, ctx.keys.nodeId())) {
    malformed('an invoice that names another node as its payee', { payee: toHex(fields.claimedPayee) });
  }
  recordInvoice(ctx, fields);
  return { kind: 'sign-invoice', digest: bolt11Digest(request.hrp, request.u5bytes) };
}

/** Of several invoices with one hash, the newest amount and the latest expiry count. */
function recordInvoice(ctx: Context, fields: InvoiceFields): void {
  const hash = toHex(fields.paymentHash);
  const record = ctx.draft.get(paymentRecords, hash) ?? EMPTY_PAYMENT;
  const expiresAtSeconds = Math.max(
    fields.createdAtSeconds + fields.expirySeconds,
    record.invoice?.expiresAtSeconds ?? 0,
  );
  const { invoice } = record;
  const { amountMsat } = fields;
  if (invoice?.amountMsat === amountMsat && invoice.expiresAtSeconds === expiresAtSeconds) return;
  // A forward that becomes an invoice would lose its cover without any step that law 3 judges.
  const after = { ...record, invoice: { amountMsat, expiresAtSeconds } };
  if (deficitMsat(after, ctx.nowSeconds) > deficitMsat(record, ctx.nowSeconds)) {
    refuse(offeredHashMatches, 'a payment with this hash is being forwarded: it can be no invoice of ours', {
      payment_hash: hash,
      out_msat: outMsat(record),
    });
  }
  ctx.draft.put(paymentRecords, hash, after);
}

/** sign_bolt12 (25): it names only a Merkle root, so the payment hash of an invoice of ours stays unknown here. */
export function signBolt12(request: MessageOf<'hsmd_sign_bolt12'>): Release {
  const digest = bolt12Digest(request.messagename, request.fieldname, request.merkleroot);
  return { kind: 'sign-bolt12', digest, publicTweak: request.publictweak };
}

/** sign_bolt12_2 (41). */
export function signBolt12Alias(request: MessageOf<'hsmd_sign_bolt12_2'>): Release {
  const digest = bolt12Digest(request.messagename, request.fieldname, request.merkleroot);
  return { kind: 'sign-bolt12-alias', digest, info: request.info, publicTweak: request.publictweak };
}

/**
 * sign_option_will_fund_offer (26): the terms of a lease of our funds, bound to the funding key of the channel's opener.
 * It comes before setup_channel; from then on our outputs in this channel may lock for as long as a lease runs.
 */
export function signLease(ctx: Context, request: MessageOf<'hsmd_sign_option_will_fund_offer'>): Release {
  const ref = clientChannel(ctx);
  const id = channelId(ref);
  const record = ctx.draft.get(channelRecords, id) ?? emptyChannel(ref.peerId, ref.dbid);
  if (!record.leaseSigned) saveChannel(ctx, id, { ...record, leaseSigned: true });
  return {
    kind: 'sign-lease',
    digest: leaseDigest({
      fundingPubkey: request.fundingPubkey,
      leaseExpiry_height: request.blockheight,
      channelFeeMaxBase_msat: request.channelFeeBaseMaxMsat,
      channelFeeMaxProportional_ppt: request.channelFeeProportionalBasisMax,
    }),
  };
}
