/**
 * `decide`: the one place where a request becomes a refusal or an approval. Pure: it reads the state, changes
 * nothing but its own draft, and returns what to make durable and what to release afterwards.
 */
import {
  equalBytes,
  type Facts,
  FormError,
  type Secp256k1,
  serializeNoWitness,
  txid,
  txidToHex,
} from '@countersign/bitcoin';
import type { MessageOf, Request, RequestName } from '@countersign/wire';
import type { ChainView } from './chain/view.ts';
import {
  checkFutureSecret,
  checkOutpoint,
  forgetChannel,
  getChannelBasepoints,
  getPerCommitmentPoint,
  getPerCommitmentPointAlone,
  lockOutpoint,
  newChannel,
} from './channel/lifecycle.ts';
import { channelId, clientChannel } from './channel/lookup.ts';
import { setupChannel } from './channel/setup.ts';
import type { AuditEvent, ChannelRef, ClientIdentity, Context, KeyView, Warning } from './context.ts';
import { genericError, malformed } from './form.ts';
import {
  signChannelAnnouncement,
  signChannelUpdate,
  signClientChannelAnnouncement,
  signNodeAnnouncement,
} from './identity/gossip.ts';
import { signUnsignedGossip } from './identity/gossip-unsigned.ts';
import {
  checkBip86Pubkey,
  checkPubkey,
  deriveSecret,
  ecdh,
  signBip137,
  signBolt12,
  signBolt12Alias,
  signInvoice,
  signLease,
  signMessage,
} from './identity/node.ts';
import { getOutputScriptpubkey } from './identity/output-script.ts';
import type { Network } from './network.ts';
import { addPending } from './payments/pending.ts';
import { preapproveInvoice, preapproveKeysend } from './payments/preapproval.ts';
import { learnPreimages } from './payments/preimages.ts';
import { requirePermission } from './permissions.ts';
import { requireInitNetwork } from './policy/init-binding.ts';
import type { Policy } from './policy/settings.ts';
import { signCommitmentTx, signMutualClose, signSplice } from './ratchet/closing.ts';
import { signCounterpartyCommitment, validateRevocation } from './ratchet/counterparty.ts';
import {
  closeByValues,
  signLocalByNumber,
  signRemoteByValues,
  validateByValues,
} from './ratchet/from-values.ts';
import { revokeCommitment, validateCommitment } from './ratchet/holder.ts';
import { type PendingRequest, type Refusal, RefusalSignal, refusalFrom } from './refusal.ts';
import type { Release } from './release.ts';
import { signAnchorspend, signHtlcTxMingle } from './spending/anchors.ts';
import { signLocalHtlcTx, signRemoteHtlcTx } from './spending/second-level.ts';
import { signDelayedPayment, signPenalty, signRemoteHtlcToUs } from './spending/sweeps.ts';
import { signWithdrawal } from './spending/wallet.ts';
import { type Change, Draft, type StateReader } from './state.ts';

/** Everything a decision depends on besides the state and the request. */
export interface DecisionInput {
  readonly state: StateReader;
  readonly client: ClientIdentity;
  readonly policy: Policy;
  readonly keys: KeyView;
  readonly secp: Secp256k1;
  readonly protocolVersion: number;
  readonly failPreapprovals: boolean;
  /** Seconds since 1970 by the signer's own clock. */
  readonly nowSeconds: number;
  /** Null while the signer follows no chain. */
  readonly chain: ChainView | null;
}

/** What becomes of a request: a no, or what is to be stored and then released. */
export type Decision =
  | {
      readonly kind: 'refused';
      readonly refusal: Refusal;
      /** At most the list of pending approvals: nothing of what was asked for. */
      readonly changes: readonly Change[];
    }
  | {
      readonly kind: 'approved';
      readonly warnings: readonly Warning[];
      readonly events: readonly AuditEvent[];
      /** Empty when the request changes nothing: then nothing needs to become durable. */
      readonly changes: readonly Change[];
      /** The decision read records: its release must wait until all it saw is durable. */
      readonly dependsOnState: boolean;
      readonly release: Release;
    };

type Handlers = {
  readonly [N in RequestName]?: (ctx: Context, request: Extract<Request, { name: N }>) => Release;
};

interface NamedChannel {
  readonly peerid: Uint8Array;
  readonly channelDbid: bigint;
}
const named = (request: NamedChannel): ChannelRef => ({ peerId: request.peerid, dbid: request.channelDbid });

/**
 * Request → handler. What is missing here is refused as unknown: the session's messages (who the signer is, random bytes:
 * nothing here draws any), and VLS's other ones.
 */
const HANDLERS: Handlers = {
  hsmd_ecdh_req: ecdh,
  hsmd_derive_secret: (_, request) => deriveSecret(request),
  hsmd_check_pubkey: checkPubkey,
  hsmd_check_bip86_pubkey: checkBip86Pubkey,
  hsmd_sign_message: (_, request) => signMessage(request),
  hsmd_bip137_sign_message: signBip137,
  hsmd_sign_invoice: signInvoice,
  hsmd_sign_bolt12: (_, request) => signBolt12(request),
  hsmd_sign_bolt12_2: (_, request) => signBolt12Alias(request),
  hsmd_sign_option_will_fund_offer: signLease,
  hsmd_preapprove_invoice: preapproveInvoice,
  hsmd_preapprove_invoice_check: preapproveInvoice,
  hsmd_preapprove_keysend: preapproveKeysend,
  hsmd_preapprove_keysend_check: preapproveKeysend,
  hsmd_node_announcement_sig_req: (_, request) => signNodeAnnouncement(request),
  hsmd_cupdate_sig_req: (_, request) => signChannelUpdate(request),
  hsmd_cannouncement_sig_req: signClientChannelAnnouncement,
  hsmd_sign_any_cannouncement_req: (ctx, request) =>
    signChannelAnnouncement(ctx, named(request), request.ca, 'hsmd_sign_any_cannouncement_reply'),
  hsmd_new_channel: newChannel,
  hsmd_forget_channel: forgetChannel,
  hsmd_get_channel_basepoints: getChannelBasepoints,
  hsmd_setup_channel: setupChannel,
  hsmd_check_outpoint: checkOutpoint,
  hsmd_lock_outpoint: lockOutpoint,
  hsmd_get_per_commitment_point: getPerCommitmentPoint,
  hsmd_check_future_secret: checkFutureSecret,
  hsmd_validate_commitment_tx: validateCommitment,
  hsmd_revoke_commitment_tx: revokeCommitment,
  hsmd_sign_remote_commitment_tx: signCounterpartyCommitment,
  hsmd_validate_revocation: validateRevocation,
  hsmd_sign_commitment_tx: signCommitmentTx,
  hsmd_sign_mutual_close_tx: signMutualClose,
  hsmd_sign_splice_tx: signSplice,
  hsmd_sign_remote_htlc_tx: signRemoteHtlcTx,
  hsmd_sign_any_local_htlc_tx: signLocalHtlcTx,
  hsmd_sign_penalty_to_us: (ctx, request) => signPenalty(ctx, clientChannel(ctx), request),
  hsmd_sign_any_penalty_to_us: (ctx, request) => signPenalty(ctx, named(request), request, request.input),
  hsmd_sign_delayed_payment_to_us: (ctx, request) => signDelayedPayment(ctx, clientChannel(ctx), request),
  hsmd_sign_any_delayed_payment_to_us: (ctx, request) =>
    signDelayedPayment(ctx, named(request), request, request.input),
  hsmd_sign_remote_htlc_to_us: (ctx, request) => signRemoteHtlcToUs(ctx, clientChannel(ctx), request),
  hsmd_sign_any_remote_htlc_to_us: (ctx, request) =>
    signRemoteHtlcToUs(ctx, named(request), request, request.input),
  hsmd_sign_withdrawal: signWithdrawal,
  hsmd_sign_anchorspend: signAnchorspend,
  hsmd_sign_htlc_tx_mingle: signHtlcTxMingle,
  hsmd_get_output_scriptpubkey: getOutputScriptpubkey,
  countersign_preimages: learnPreimages,
  vls_sign_gossip_message: signUnsignedGossip,
  vls_get_per_commitment_point2: getPerCommitmentPointAlone,
  vls_sign_remote_commitment_tx2: signRemoteByValues,
  vls_validate_commitment_tx2: validateByValues,
  vls_sign_local_commitment_tx2: signLocalByNumber,
  vls_sign_mutual_close_tx2: closeByValues,
};

/** The requests `decide` has a handler for. */
export const DECIDED_REQUESTS: readonly RequestName[] = Object.keys(HANDLERS) as RequestName[];

/**
 * Judge a request. Pure: nothing is signed and nothing has changed until the caller makes the changes durable, then
 * performs the release.
 */
export function decide(input: DecisionInput, request: Request): Decision {
  const draft = new Draft(input.state);
  const { state: _, ...rest } = input;
  const ctx: Context = { ...rest, draft, warnings: [], events: [] };
  try {
    requirePermission(input.client, request.name);
    const handler = HANDLERS[request.name] as ((ctx: Context, request: Request) => Release) | undefined;
    if (handler === undefined)
      malformed('the signer does not answer this request', { request: request.name });
    requireSameTransaction(request);
    const release = handler(ctx, request);
    const { warnings, events } = ctx;
    return {
      kind: 'approved',
      warnings,
      events,
      changes: draft.changes(),
      dependsOnState: draft.hasRead,
      release,
    };
  } catch (error) {
    const refusal = refusalOf(error, input.client, request);
    const pending = error instanceof RefusalSignal ? error.pending : null;
    return { kind: 'refused', refusal, changes: pending === null ? [] : pendingChanges(input, pending) };
  }
}

/** The list of pending approvals with this one asked for (again). */
function pendingChanges(input: DecisionInput, pending: PendingRequest): readonly Change[] {
  const draft = new Draft(input.state);
  addPending(draft, pending, input.nowSeconds);
  return draft.changes();
}

/**
 * A bitcoin_tx carries the transaction and a PSBT of it, and each is read for something. A scriptSig above all would
 * change the txid that the peer's HTLC signatures commit to, and no signature of ours would notice.
 */
function requireSameTransaction(request: Request): void {
  if (!('tx' in request)) return;
  const { tx, psbt } = request.tx;
  if (!equalBytes(serializeNoWitness(tx), serializeNoWitness(psbt.unsignedTx))) {
    malformed('the transaction and its PSBT are not the same transaction', {
      txid: txidToHex(txid(tx)),
      txid_psbt: txidToHex(txid(psbt.unsignedTx)),
    });
  }
}

/**
 * INIT (11), before there is a state to decide on: the network the signer will serve, or why it may not.
 * `hasPreinit` tells that a developer's preinit came first.
 */
export function decideInit(
  init: MessageOf<'hsmd_init'>,
  hasPreinit: boolean,
): { readonly ok: true; readonly network: Network } | { readonly ok: false; readonly refusal: Refusal } {
  try {
    return { ok: true, network: requireInitNetwork(init, hasPreinit) };
  } catch (error) {
    if (!(error instanceof RefusalSignal)) throw error;
    return { ok: false, refusal: refusalFrom(error, 'error', init.name, null) };
  }
}

/** Any other error is a bug of ours and goes on to end the process. */
function refusalOf(error: unknown, client: ClientIdentity, request: Request): Refusal {
  const channel = channelOf(client, request);
  if (error instanceof RefusalSignal) return refusalFrom(error, 'error', request.name, channel);
  if (error instanceof FormError) return malformedRefusal(request.name, channel, error.message, error.facts);
  throw error;
}

/** Why this client may not ask this, for a place whose signer does not hear who asks; null where it may. */
export function permissionRefusal(client: ClientIdentity, request: Request): Refusal | null {
  try {
    requirePermission(client, request.name);
    return null;
  } catch (error) {
    return refusalOf(error, client, request);
  }
}

/** The refusal of bytes that do not decode, for the session that could not call `decide` with them. */
export function malformedRefusal(
  request: string,
  channel: string | null,
  message: string,
  facts: Facts,
): Refusal {
  return {
    code: 'malformed',
    tag: genericError.tag,
    law: genericError.law,
    severity: 'error',
    temporary: false,
    message,
    facts,
    request,
    channel,
  };
}

/** `<peer id hex>/<dbid>` of the channel a request is about: its client's, or the one it names; null without one. */
export function channelOf(client: ClientIdentity, request: Request): string | null {
  if (client.channel !== null) return channelId(client.channel);
  if ('channelDbid' in request) {
    const peerId = 'peerid' in request ? request.peerid : request.peerId;
    return channelId({ peerId, dbid: request.channelDbid });
  }
  if ('dbid' in request) {
    const peerId = 'peerid' in request ? request.peerid : request.id;
    return channelId({ peerId, dbid: request.dbid });
  }
  return null;
}
