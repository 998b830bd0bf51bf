/**
 * Which permission each request needs, as CLN's hsmd defines it; VLS's forms need that of CLN's own. A request that is not
 * listed here needs the master's: a new message is closed to every daemon until someone opens it.
 */
import type { RequestName } from '@countersign/wire';
import { type ClientIdentity, PERMISSION } from './context.ts';
import { denied } from './form.ts';

const NEEDS: Partial<Record<RequestName, bigint>> = {
  hsmd_ecdh_req: PERMISSION.ECDH,
  hsmd_cannouncement_sig_req: PERMISSION.SIGN_GOSSIP,
  hsmd_cupdate_sig_req: PERMISSION.SIGN_GOSSIP,
  hsmd_node_announcement_sig_req: PERMISSION.SIGN_GOSSIP,
  hsmd_sign_delayed_payment_to_us: PERMISSION.SIGN_ONCHAIN_TX,
  hsmd_sign_remote_htlc_to_us: PERMISSION.SIGN_ONCHAIN_TX,
  hsmd_sign_penalty_to_us: PERMISSION.SIGN_ONCHAIN_TX,
  hsmd_get_per_commitment_point: PERMISSION.COMMITMENT_POINT,
  hsmd_check_future_secret: PERMISSION.COMMITMENT_POINT,
  hsmd_setup_channel: PERMISSION.COMMITMENT_POINT,
  hsmd_sign_remote_commitment_tx: PERMISSION.SIGN_REMOTE_TX,
  hsmd_sign_remote_htlc_tx: PERMISSION.SIGN_REMOTE_TX,
  hsmd_validate_commitment_tx: PERMISSION.SIGN_REMOTE_TX,
  hsmd_revoke_commitment_tx: PERMISSION.SIGN_REMOTE_TX,
  hsmd_validate_revocation: PERMISSION.SIGN_REMOTE_TX,
  hsmd_sign_mutual_close_tx: PERMISSION.SIGN_CLOSING_TX,
  hsmd_sign_splice_tx: PERMISSION.SIGN_SPLICE_TX,
  hsmd_sign_option_will_fund_offer: PERMISSION.SIGN_WILL_FUND_OFFER,
  vls_sign_gossip_message: PERMISSION.SIGN_GOSSIP,
  vls_get_per_commitment_point2: PERMISSION.COMMITMENT_POINT,
  vls_sign_remote_commitment_tx2: PERMISSION.SIGN_REMOTE_TX,
  vls_validate_commitment_tx2: PERMISSION.SIGN_REMOTE_TX,
  vls_sign_mutual_close_tx2: PERMISSION.SIGN_CLOSING_TX,
  hsmd_check_outpoint: PERMISSION.LOCK_OUTPOINT,
  hsmd_lock_outpoint: PERMISSION.LOCK_OUTPOINT,
};

/** The permission bit that a client needs for a request. */
export function permissionFor(request: RequestName): bigint {
  return NEEDS[request] ?? PERMISSION.MASTER;
}

/** Leaves the handler with a refusal when the client lacks the permission. */
export function requirePermission(client: ClientIdentity, request: RequestName): void {
  const needed = permissionFor(request);
  if ((client.permissions & needed) !== 0n) return;
  denied(`client does not have capability to run ${request}`, {
    permissions: client.permissions,
    permission_needed: needed,
  });
}
