/**
 * What a signer elsewhere answers, looked at before lightningd gets it: a reply has to be one to the request, whole and without
 * anything behind it; a refusal becomes one of ours. A signer that is broken fails requests, never the node's decoder.
 */
import { malformedRefusal, type Refusal } from '@countersign/core';
import { fromLinkRefusal } from '@countersign/host';
import type { LinkAnswer } from '@countersign/transport';
import { decodeMessage, MESSAGES, messageNames } from '@countersign/wire';
import type { DoorAnswer } from '../door.ts';

/** Replies of a signer elsewhere are bytes. */
export type RemoteAnswer = Exclude<DoorAnswer, { kind: 'reply' }>;

/** By the number of a request: those of its replies. */
const REPLIES: ReadonlyMap<number, readonly number[]> = new Map(
  messageNames
    .map((name) => MESSAGES[name])
    .filter(({ kind }) => kind === 'request')
    .map(({ number, replies }) => [number, replies.map((name) => MESSAGES[name].number)]),
);

/** -1 without one. */
export function typeOf(body: Uint8Array): number {
  return body.length >= 2 ? (body[0]! << 8) | body[1]! : -1;
}

/** The signer's answer to what was asked, in the session's terms. */
export function doorAnswer(asked: Uint8Array, answer: LinkAnswer, messageBytesMax: number): RemoteAnswer {
  if (answer.kind === 'refused') {
    const refusal = fromLinkRefusal(answer.refusal);
    // The link itself, which said no for the signer, knows no requests.
    const request = refusal.request === 'unknown' ? nameOf(asked) : refusal.request;
    return { kind: 'refused', refusal: { ...refusal, request }, id: answer.refusal.auditId };
  }
  if (typeOf(answer.body) === MESSAGES.vls_signer_error.number) return refusedInReply(asked, answer.body);
  const fault = replyFault(asked, answer.body, messageBytesMax);
  if (fault === null) return { kind: 'body', body: answer.body };
  const facts = {
    request_type: typeOf(asked),
    reply_type: typeOf(answer.body),
    reply_bytes: answer.body.length,
  };
  const refusal = malformedRefusal(
    nameOf(asked),
    null,
    `the signer's answer is none to this request: ${fault}`,
    facts,
  );
  return { kind: 'refused', refusal, id: null };
}

/** Where a protocol has no refusals, a signer says no in the form it would have for lightningd; lightningd gets the form we know. */
function refusedInReply(request: Uint8Array, body: Uint8Array): RemoteAnswer {
  const decoded = decodeMessage(body, 'reply');
  const isError = decoded.ok && decoded.message.name === 'vls_signer_error';
  const text = isError ? decoded.message.message : 'the signer refused, in words that cannot be read';
  const [, tag = 'signer-refused', message = text] = /^([a-z][a-z0-9-]{2,99}): (.*)$/s.exec(text) ?? [];
  const refusal: Refusal = {
    ...malformedRefusal(nameOf(request), null, message, {}),
    code: 'policy',
    tag,
    temporary: text.endsWith('(temporary: try again later)'),
  };
  return { kind: 'refused', refusal, id: null };
}

/** Null for a reply that lightningd may get. */
function replyFault(request: Uint8Array, body: Uint8Array, messageBytesMax: number): string | null {
  const expected = REPLIES.get(typeOf(request)) ?? [];
  if (!expected.includes(typeOf(body))) return 'it is of another type';
  const decoded = decodeMessage(body, 'reply', { messageBytesMax });
  if (!decoded.ok) return decoded.error.message;
  return decoded.trailing.length === 0 ? null : 'bytes follow it';
}

function nameOf(request: Uint8Array): string {
  const type = typeOf(request);
  return (
    messageNames.find((name) => MESSAGES[name].kind === 'request' && MESSAGES[name].number === type) ??
    'unknown'
  );
}

/** What the node side itself says no to, for want of a signer that could be asked. */
export function unreachable(
  request: Uint8Array,
  tag: string,
  message: string,
  temporary: boolean,
): RemoteAnswer {
  const refusal: Refusal = {
    code: 'unreachable',
    tag,
    law: 'setup',
    severity: 'error',
    temporary,
    message,
    facts: {},
    request: nameOf(request),
    channel: null,
  };
  return { kind: 'refused', refusal, id: null };
}
