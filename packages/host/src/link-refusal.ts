/** A refusal as a link carries it, and back: without the law and severity, which are the signer's own business. */
import { REFUSAL_WIRE_CODE, type Refusal, type RefusalCode } from '@countersign/core';
import type { LinkRefusal } from '@countersign/transport';

/** `auditId`: number of its entry in the signer's audit log; null when it has none. */
export function toLinkRefusal(refusal: Refusal, auditId: number | null): LinkRefusal {
  const { code, tag, request, channel, message, temporary, facts } = refusal;
  return { code, tag, request, channel, text: message, temporary, auditId, facts };
}

/** A code nobody knows is that of a broken signer. */
export function fromLinkRefusal(refused: LinkRefusal): Refusal {
  const { code, tag, request, channel, text, temporary, facts } = refused;
  return {
    code: isCode(code) ? code : 'malformed',
    tag,
    law: 'setup',
    severity: 'error',
    temporary,
    message: text,
    facts,
    request,
    channel,
  };
}

function isCode(code: string): code is RefusalCode {
  return Object.hasOwn(REFUSAL_WIRE_CODE, code);
}
