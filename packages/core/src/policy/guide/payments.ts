/** For operators: refusals of payments and forwards. */
import { type Guides, HOSTILE, hostile, limited } from './guide.ts';

const APPROVE =
  'Look at it with `countersign approvals list`. If the payment is yours, approve it and pay again; else reject it and find out who asked.';

const LOST_VARIANT =
  'After a crash the node may try again on another channel while the commitment it lost can still reach the chain: then the refusal is temporary, until the peer of that channel has revoked it.';

/** What no output shows is known as a sum: two that move in one step can be taken for each other. */
const HIDDEN_BY_DUST =
  'Rarely, on a channel of type static_remotekey, a small HTLC ends in the very step in which other dust of its size moves: nothing shows which of them it was, and the worse counts.';

export const PAYMENT_GUIDE: Guides = {
  'policy-commitment-htlc-routing-balance': {
    ...hostile('More would go out under a payment hash than comes in under it and is approved.'),
    means: `${LOST_VARIANT} Otherwise: ${HOSTILE}`,
  },
  'policy-routing-balanced': {
    happened:
      'The incoming part of a forward was to be given back while the outgoing part can still be claimed, or was paid.',
    means: `The difference would be yours to pay. While a repeated message is unacknowledged it is temporary. ${HIDDEN_BY_DUST} Otherwise: ${HOSTILE}`,
    todo: 'If it stays, the incoming channel goes to chain, which is right: there the money can be claimed.',
    limits: ['resolveDepthBlocks'],
  },
  'policy-commitment-htlc-offered-hash-matches': {
    happened: 'An HTLC was offered whose payment hash nothing explains: no incoming HTLC, no approval.',
    means: 'A payment by a command or plugin that asks for no approval, or money sent out by somebody else.',
    todo: APPROVE,
  },
  'policy-commitment-htlc-received-spends-active-utxo': {
    happened: 'A forward counts on an incoming channel whose funding is not buried deep enough, or is spent.',
    means:
      'A double-spent funding would take the incoming HTLC with it. New channels with inputs of the peer wait a little.',
    todo: 'Wait: it passes once the funding is deep enough. Close a channel whose funding is spent.',
    limits: ['paymentDepthBlocks'],
    needsChain: true,
  },
  'policy-routing-cltv-delta': limited(
    'The outgoing part of a forward expires too late to claim the incoming part after it.',
    'The node’s own delta is smaller than the signer’s (CLN: `cltv-delta`), or it is modified.',
    ['cltvDeltaBlocks'],
    'Set the node’s option to at least cltv_delta_blocks.',
  ),
  'policy-routing-abandon-unresolved': limited(
    'The incoming part of a forward was to be failed while the outgoing part is unresolved on chain.',
    'Nodes do this for small amounts, shortly before the incoming part expires, to save the channel.',
    ['abandonUnresolvedMaxSat'],
    'Let the incoming channel go to chain, or accept the loss of such HTLCs up to an amount.',
  ),
  'policy-routing-fee-min': limited(
    'A forward would earn less than the minimum.',
    'The node’s fees are lower than routing_fee_min_msat.',
    ['routingFeeMinMsat'],
    'Raise the fees of the channels, or lower the minimum.',
  ),
  'policy-commitment-payment-approved': {
    happened: 'A payment of our own has no approval on record.',
    means: 'Nobody approved it, the approval expired, or it is for another amount.',
    todo: APPROVE,
  },
  'policy-commitment-payment-invoiced': {
    happened: 'More would be paid than was approved with its fee budget, or a second time.',
    means: `A route that costs more than the budget. ${LOST_VARIANT} ${HIDDEN_BY_DUST} Otherwise: ${HOSTILE}`,
    todo: 'Pay again over a cheaper route or in other parts. A paid invoice needs no second payment.',
  },
  'policy-commitment-payment-allowlisted': {
    happened: 'A payment goes to a payee that is not on the allowlist.',
    means: 'You have set that payments may go to allowlisted payees only.',
    todo: 'Put the payee on the allowlist: `countersign allowlist add`, or [allowlist] payees.',
  },
  'policy-commitment-payment-velocity': limited(
    'More would be paid in this window of time than the budget allows.',
    'Many payments at once; or somebody with your node pays on.',
    ['paymentVelocity'],
    'Wait until the window has moved on, or raise payment_velocity.',
  ),
  'policy-invoice-not-expired': {
    happened: 'The invoice has expired.',
    means: 'Somebody took too long; the clock of the signer may be off too.',
    todo: 'Ask for a new invoice. Check the time on the machine.',
  },
  'policy-invoice-signature': {
    happened: 'The invoice is not signed by its payee, is of another network, or cannot be read.',
    means: 'A mistyped or forged invoice.',
    todo: 'Ask the payee for the invoice again, over another way.',
  },
  'policy-payment-fee-budget': limited(
    'The routing fee of the payment is beyond the budget.',
    'Only dear routes lead there, or the node pays a colluding router.',
    ['routingFeeBaseSat', 'routingFeePpm', 'routingFeeMaxPpm'],
    'Pay with a lower fee limit in the command, or raise the budget.',
  ),
  'policy-no-routing': {
    happened: 'The HTLC is a forward, and this node forwards nothing.',
    means: 'The preset, or a line of the file, says so. Peers may try all the same.',
    todo: 'Set the node to announce no channels. For a routing node choose preset = "hub".',
  },
  'policy-merchant-no-sends': {
    happened: 'A balance was to fall, and this node only receives.',
    means: 'The preset merchant, or a line of the file, says so. A payment or a rebalance was tried.',
    todo: 'If the node should pay too, choose another preset or set the rule to "off".',
  },
  'policy-routing-deltas-only-htlc': hostile('A balance changed by something else than HTLCs.'),
  'policy-velocity-transferred': limited(
    'More would leave this channel in this window of time than the budget allows.',
    'A busy channel, or one that is drained.',
    ['transferVelocity'],
    'Wait until the window has moved on, or raise transfer_velocity.',
  ),
};
