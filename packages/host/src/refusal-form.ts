/**
 * The gentlest form in which each request can be refused (`docs/refusal-table.md`). A few replies have a way to say no;
 * all other requests get a reply of a type nobody waits for, with the reason as text. Never a signature of any kind.
 */
import { concat } from '@countersign/bitcoin';
import { REFUSAL_WIRE_CODE, type Refusal, refusalText } from '@countersign/core';
import { decodeMessage, type Reply, type Request, SIGHASH_ALL } from '@countersign/wire';
import { LOG_TEXT_BYTES_MAX, statusText } from './status-text.ts';

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
    case 'hsmd_sign_splice_tx':
      return isTooEarly(refusal) ? NOT_SIGNED_YET : refusalAsText(refusal);
    default:
      return refusalAsText(refusal);
  }
}

function refusalAsText(refusal: Refusal): Reply {
  return {
    name: 'vls_signer_error',
    code: REFUSAL_WIRE_CODE[refusal.code],
    message: statusText(refusalText(refusal), LOG_TEXT_BYTES_MAX),
  };
}

/**
 * Whether asking a signer again a moment later is better than saying no now: where the no would end a daemon, and may be over
 * soon. Requests with a gentle form get it at once.
 */
export function isAskedAgain(body: Uint8Array, refusal: Refusal): boolean {
  if (!refusal.temporary) return false;
  const decoded = decodeMessage(body, 'request');
  if (!decoded.ok || decoded.message.name === 'unknown') return false;
  return refusalReply(decoded.message, refusal).name === 'vls_signer_error';
}

/**
 * channeld asks for the signature on the shared input of a splice before the commitments on the new funding exist
 * (`splice_initiator_user_finalized`), keeps what it gets, and asks again once they do. It would end of a refusal.
 */
function isTooEarly({ tag, temporary }: Refusal): boolean {
  return temporary && tag === 'policy-onchain-initial-commitment-countersigned';
}

/**
 * 64 bytes in the form of a signature that anyone can read. No curve point has this r as its x, so it verifies for no
 * key and no transaction; both halves are below the order and s below half of it, so that nobody takes them for damage.
 */
const NOT_SIGNED_YET: Reply = {
  name: 'hsmd_sign_tx_reply',
  sig: {
    signature: concat(half('Countersign: not signed, commit-'), half('ments of this splice come first.')),
    sighash: SIGHASH_ALL,
  },
};

/** 32 bytes of ASCII, so below half of the order. */
function half(text: string): Uint8Array {
  return new TextEncoder().encode(text.padEnd(32)).subarray(0, 32);
}
