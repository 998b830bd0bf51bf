/**
 * The gentlest form in which each request can be refused (`docs/refusal-table.md`). A few replies have a way to say no;
 * all other requests get a reply of a type nobody waits for, with the reason as text. Never a signature of any kind.
 */
import { REFUSAL_WIRE_CODE, type Refusal, refusalText } from '@countersign/core';
import type { Reply, Request } from '@countersign/wire';
import { LOG_TEXT_BYTES_MAX, statusText } from './status.ts';

/**
 * Preapprovals are declined. An anchor spend comes back unsigned: lightningd logs that it is not final and goes on,
 * where a wrong reply would end it at this start and the next ones.
 */
export function refusalReply(request: Request | null, refusal: Refusal): Reply {
  switch (request?.name) {
    case 'hsmd_preapprove_invoice':
    case 'hsmd_preapprove_invoice_check':
      return { name: 'hsmd_preapprove_invoice_reply', approved: false };
    case 'hsmd_preapprove_keysend':
    case 'hsmd_preapprove_keysend_check':
      return { name: 'hsmd_preapprove_keysend_reply', approved: false };
    case 'hsmd_sign_anchorspend':
      return { name: 'hsmd_sign_anchorspend_reply', psbt: request.psbt };
    default:
      return {
        name: 'vls_signer_error',
        code: REFUSAL_WIRE_CODE[refusal.code],
        message: statusText(refusalText(refusal), LOG_TEXT_BYTES_MAX),
      };
  }
}
