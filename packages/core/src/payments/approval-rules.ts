/**
 * The rules about whether a payment of ours may be made at all: who approves it, for how much, how often, and what may
 * be asked for. That no more goes out than was approved is law 3's own arithmetic.
 */
import { rule, softRule } from '../policy/registry.ts';

export const invoiceSignature = rule({
  tag: 'policy-invoice-signature',
  law: 3,
  severity: 'hard',
  operations: ['pay'],
  documentation:
    'An invoice that is to be approved is for this network and carries a valid signature of its payee: BOLT 11 by the key it recovers to or names, BOLT 12 by its `invoice_node_id`.',
});

export const invoiceNotExpired = softRule({
  tag: 'policy-invoice-not-expired',
  law: 3,
  operations: ['pay'],
  documentation:
    'An invoice is approved only before it expires, by the signer’s own clock. Payees may refuse a later payment, or lose track of it.',
});

export const paymentApproved = softRule({
  tag: 'policy-commitment-payment-approved',
  law: 3,
  operations: ['pay', 'cc', 'rev', 'fc'],
  carriesPromise: true,
  documentation:
    'A payment of ours needs an approval on record: of the operator, or automatic for an allowlisted payee of an invoice, or within the automatic budget. A keysend proves no payee, so no allowlist approves it. What is not approved is refused and waits in the list of pending approvals.',
});

export const paymentInvoiced = rule({
  tag: 'policy-commitment-payment-invoiced',
  law: 3,
  severity: 'hard',
  operations: ['pay', 'cc', 'rev', 'fc'],
  documentation:
    'For one payment hash there is one approval, used once: no more goes out than its amount and fee budget. A later approval replaces it and never adds to it, and none takes its place once a part of the payment is in flight or settled. While only an older variant that the peer never acknowledged makes it too much, the refusal is temporary.',
});

export const paymentAllowlisted = softRule({
  tag: 'policy-commitment-payment-allowlisted',
  law: 3,
  operations: ['pay', 'cc', 'rev', 'fc'],
  presets: [],
  documentation:
    'Payments go only to allowlisted payees, whoever else would approve them. A keysend, or a payment that nobody asked approval for, proves no payee and is refused.',
});

export const paymentVelocity = softRule({
  tag: 'policy-commitment-payment-velocity',
  law: 3,
  operations: ['pay', 'cc', 'rev', 'fc'],
  carriesPromise: true,
  documentation:
    'The value approved per unit of time stays within the payment velocity, which outlives restarts. What the operator approves counts, and is not refused.',
});

export const paymentFeeBudget = softRule({
  tag: 'policy-payment-fee-budget',
  law: 3,
  operations: ['pay', 'cc', 'rev', 'fc'],
  documentation:
    'The routing fee of a payment stays within its budget: a base and a part of its amount, never beyond the larger of the base and the hard maximum. At `warn` a fee between the budget and the hard maximum passes.',
});

export const merchantNoSends = softRule({
  tag: 'policy-merchant-no-sends',
  law: 3,
  operations: ['pay', 'cc', 'rev', 'fc'],
  presets: ['merchant'],
  documentation:
    'A merchant receives and does not pay: no payment is approved, asked for or not. Balances only grow until a channel closes.',
});
