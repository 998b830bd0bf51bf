/**
 * Preapprovals: may this invoice be paid, this keysend be sent? Answered at once and never by waiting for a person.
 * Law 3 will bind every outgoing payment to an approval on record; until then only `permissive` approves.
 */
import type { Context } from '../context.ts';
import type { Release } from '../release.ts';

/** Whether this version may approve: everything under `permissive`, nothing otherwise. */
function mayApprove(ctx: Context): boolean {
  return ctx.policy.preset === 'permissive' && !ctx.failPreapprovals;
}

/** preapprove_invoice (38) and its check form (51), which leaves no record when `check_only`. */
export function preapproveInvoice(ctx: Context): Release {
  return { kind: 'reply', reply: { name: 'hsmd_preapprove_invoice_reply', approved: mayApprove(ctx) } };
}

/** preapprove_keysend (39) and its check form (52). */
export function preapproveKeysend(ctx: Context): Release {
  return { kind: 'reply', reply: { name: 'hsmd_preapprove_keysend_reply', approved: mayApprove(ctx) } };
}
