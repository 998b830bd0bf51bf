/** What a signer that speaks VLS's protocol answers, as an answer of ours. Its no is a text and nothing else. */
import { toHex } from '@countersign/bitcoin';
import { decodeMessage } from '@countersign/wire';
import type { LinkAnswer, LinkClient, LinkRefusal } from '../link/protocol.ts';
import { foreignText } from './log.ts';

/** Where the text names no policy. */
export const VLS_ERROR_TAG = 'vls-signer-error';
const POLICY_TAG = /policy-[a-z0-9-]+/;

export interface Foreign {
  readonly code: 'policy' | 'malformed';
  readonly text: string;
  readonly temporary: boolean;
}

/** A final answer: not that of a failure for the moment. */
export function answerOf(
  client: LinkClient,
  body: Uint8Array,
  error: string,
  message: Uint8Array,
): LinkAnswer {
  if (error !== '') return foreignRefusal(client, body, { code: 'policy', text: error, temporary: false });
  if (message.length < 2) {
    const text = 'a reply without a type';
    return foreignRefusal(client, body, { code: 'malformed', text, temporary: false });
  }
  // A view of it would keep everything alive that came in the same chunk.
  return { kind: 'reply', body: Uint8Array.from(message) };
}

export function foreignRefusal(client: LinkClient, body: Uint8Array, refused: Foreign): LinkAnswer {
  const { code, temporary } = refused;
  const text = foreignText(refused.text);
  const refusal: LinkRefusal = {
    code,
    tag: POLICY_TAG.exec(text)?.[0] ?? VLS_ERROR_TAG,
    request: nameOf(body),
    channel: client.peerId === null ? null : `${toHex(client.peerId)}/${client.dbid}`,
    text,
    temporary,
    auditId: null,
    facts: {},
  };
  return { kind: 'refused', refusal };
}

/** Wire name of a request, for a log. */
export function nameOf(body: Uint8Array): string {
  const decoded = decodeMessage(body, 'request');
  return decoded.ok ? decoded.message.name : String(decoded.error.facts.message_name ?? 'unknown');
}
