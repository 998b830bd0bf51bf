/** Which operation of the rules a request is: the columns of the coverage table. What is judged by no rule is `other`. */

export type Operation =
  | 'init'
  | 'setup'
  | 'cc'
  | 'hc'
  | 'rev'
  | 'vr'
  | 'fc'
  | 'htlc'
  | 'mc'
  | 'sweep'
  | 'onchain'
  | 'pay'
  | 'rpc'
  | 'other';

export const OPERATIONS: readonly { readonly operation: Operation; readonly title: string }[] = [
  { operation: 'init', title: 'start' },
  { operation: 'setup', title: 'set a channel up' },
  { operation: 'cc', title: "sign the peer's commitment" },
  { operation: 'hc', title: 'validate ours' },
  { operation: 'rev', title: 'revoke ours' },
  { operation: 'vr', title: "take the peer's revocation" },
  { operation: 'fc', title: 'sign ours to publish' },
  { operation: 'htlc', title: 'second-level HTLC' },
  { operation: 'mc', title: 'mutual close' },
  { operation: 'sweep', title: 'sweep' },
  { operation: 'onchain', title: 'spend the wallet, splice' },
  { operation: 'pay', title: 'approve a payment' },
  { operation: 'rpc', title: 'forget, lock, points' },
  { operation: 'other', title: 'identity, gossip' },
];

const BY_REQUEST: Readonly<Record<string, Operation>> = {
  hsmd_init: 'init',
  hsmd_new_channel: 'setup',
  hsmd_setup_channel: 'setup',
  hsmd_sign_remote_commitment_tx: 'cc',
  hsmd_validate_commitment_tx: 'hc',
  hsmd_revoke_commitment_tx: 'rev',
  hsmd_validate_revocation: 'vr',
  hsmd_sign_commitment_tx: 'fc',
  hsmd_sign_remote_htlc_tx: 'htlc',
  hsmd_sign_any_local_htlc_tx: 'htlc',
  hsmd_sign_mutual_close_tx: 'mc',
  hsmd_sign_delayed_payment_to_us: 'sweep',
  hsmd_sign_any_delayed_payment_to_us: 'sweep',
  hsmd_sign_remote_htlc_to_us: 'sweep',
  hsmd_sign_any_remote_htlc_to_us: 'sweep',
  hsmd_sign_penalty_to_us: 'sweep',
  hsmd_sign_any_penalty_to_us: 'sweep',
  hsmd_sign_withdrawal: 'onchain',
  hsmd_sign_splice_tx: 'onchain',
  hsmd_sign_anchorspend: 'onchain',
  hsmd_sign_htlc_tx_mingle: 'onchain',
  hsmd_preapprove_invoice: 'pay',
  hsmd_preapprove_invoice_check: 'pay',
  hsmd_preapprove_keysend: 'pay',
  hsmd_preapprove_keysend_check: 'pay',
  countersign_preimages: 'pay',
  hsmd_forget_channel: 'rpc',
  hsmd_check_outpoint: 'rpc',
  hsmd_lock_outpoint: 'rpc',
  hsmd_get_per_commitment_point: 'rpc',
  hsmd_check_future_secret: 'rpc',
};

export const operationOf = (request: string): Operation => BY_REQUEST[request] ?? 'other';
