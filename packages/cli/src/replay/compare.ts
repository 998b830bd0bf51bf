/**
 * The verdict on one answer: the recorded bytes, a refusal that says why, or a mismatch. Nothing in between, but for
 * INIT_REPLY_FAILURE, whose number is compared and whose words are free.
 */
import { equalBytes, toHex } from '@countersign/bitcoin';
import type { Expectation } from './recording.ts';

/** What came back for a request. */
export type Answer =
  | { readonly kind: 'reply'; readonly body: Uint8Array }
  /** The socket the request went out on was closed by the hsmd. */
  | { readonly kind: 'closed' }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'timeout'; readonly waitedMs: number }
  /** Not asked, because something before it already failed. */
  | { readonly kind: 'unsent'; readonly why: string };

export type Verdict =
  | { readonly kind: 'identical' }
  | { readonly kind: 'refused'; readonly tag: string; readonly text: string }
  | { readonly kind: 'mismatch'; readonly what: string };

/** SignerError of the wire: u16 code, then the refusal's text, NUL-terminated. */
const SIGNER_ERROR = 3000;
const INIT_REPLY_FAILURE = 115;
const SHOWN_BYTES_MAX = 48;

export function messageType(body: Uint8Array): number | undefined {
  return body.length < 2 ? undefined : (body[0]! << 8) | body[1]!;
}

/** The tag and whole text of a typed refusal; undefined for every other message. */
export function readRefusal(body: Uint8Array): { tag: string; text: string } | undefined {
  if (messageType(body) !== SIGNER_ERROR || body.length < 5 || body.at(-1) !== 0) return undefined;
  const text = new TextDecoder().decode(body.subarray(4, -1));
  const tag = /^[a-z0-9]+(?:-[a-z0-9]+)*/.exec(text)?.[0];
  return tag === undefined ? undefined : { tag, text };
}

/** Replies to preapprovals: u16 type, then whether it may be paid. They refuse in their own form, without a reason. */
const PREAPPROVAL_REPLIES = [138, 139];
export const DECLINED = 'preapproval-declined';

function isDeclined(expected: Uint8Array, got: Uint8Array): boolean {
  const type = messageType(got);
  if (type === undefined || !PREAPPROVAL_REPLIES.includes(type) || messageType(expected) !== type)
    return false;
  return expected.length === 3 && got.length === 3 && expected[2] === 1 && got[2] === 0;
}

/** SIGN_TX_REPLY: u16 type, 64 bytes of signature, sighash. A splice asked for too early gets words for a signature. */
const SIGN_TX_REPLY = 112;
const PLACEHOLDER = new TextEncoder().encode('Countersign: not signed');
export const NOT_SIGNED_YET = 'splice-not-signed-yet';

function isPlaceholder(expected: Uint8Array, got: Uint8Array): boolean {
  if (messageType(expected) !== SIGN_TX_REPLY || messageType(got) !== SIGN_TX_REPLY) return false;
  return got.length === expected.length && equalBytes(got.subarray(2, 2 + PLACEHOLDER.length), PLACEHOLDER);
}

/** The claim of an HTLC, signed with ALL where CLN's hsmd gives SINGLE|ANYONECANPAY: lightningd takes either. */
const SIGHASH_AT = 2 + 64;
export const SIGNED_WHOLE = 'signed-whole';

function isSignedWhole(expected: Uint8Array, got: Uint8Array): boolean {
  if (messageType(expected) !== SIGN_TX_REPLY || messageType(got) !== SIGN_TX_REPLY) return false;
  return got.length === expected.length && expected[SIGHASH_AT] === 0x83 && got[SIGHASH_AT] === 0x01;
}

function shorten(body: Uint8Array): string {
  const hex = toHex(body.subarray(0, SHOWN_BYTES_MAX));
  return body.length > SHOWN_BYTES_MAX ? `${hex}… (${body.length} bytes)` : hex;
}

/** INIT_REPLY_FAILURE: u16 type, u32 error number, text. Type and number decide what lightningd does. */
function sameInitFailure(expected: Uint8Array, got: Uint8Array): boolean {
  return (
    messageType(expected) === INIT_REPLY_FAILURE && equalBytes(expected.subarray(0, 6), got.subarray(0, 6))
  );
}

function firstDifference(a: Uint8Array, b: Uint8Array): number {
  let at = 0;
  while (at < a.length && at < b.length && a[at] === b[at]) at += 1;
  return at;
}

function describe(answer: Answer): string {
  switch (answer.kind) {
    case 'reply':
      return `answered ${shorten(answer.body)}`;
    case 'closed':
      return 'the socket was closed';
    case 'nothing':
      return 'nothing came';
    case 'timeout':
      return `no answer within ${answer.waitedMs / 1000} s`;
    case 'unsent':
      return `not asked: ${answer.why}`;
  }
}

function describeExpected(expected: Expectation): string {
  switch (expected.kind) {
    case 'reply':
      return `the reply ${shorten(expected.body)}`;
    case 'nothing':
      return 'no reply';
    case 'client-closed':
      return "a refusal, or the client's socket closed";
    case 'fatal':
      return 'a refusal, or the end of the process';
  }
}

export function compare(expected: Expectation, answer: Answer): Verdict {
  if (answer.kind === 'reply') {
    const refusal = readRefusal(answer.body);
    if (refusal !== undefined) return { kind: 'refused', ...refusal };
  }
  if (expected.kind === 'reply' && answer.kind === 'reply') {
    if (equalBytes(expected.body, answer.body) || sameInitFailure(expected.body, answer.body)) {
      return { kind: 'identical' };
    }
    if (isDeclined(expected.body, answer.body)) {
      return { kind: 'refused', tag: DECLINED, text: `${DECLINED}: may not be paid` };
    }
    if (isPlaceholder(expected.body, answer.body)) {
      return {
        kind: 'refused',
        tag: NOT_SIGNED_YET,
        text: `${NOT_SIGNED_YET}: asked before its commitments`,
      };
    }
    if (isSignedWhole(expected.body, answer.body)) {
      return {
        kind: 'refused',
        tag: SIGNED_WHOLE,
        text: `${SIGNED_WHOLE}: ALL where SINGLE|ANYONECANPAY was recorded`,
      };
    }
    const at = firstDifference(expected.body, answer.body);
    return {
      kind: 'mismatch',
      what: `differs from byte ${at}: expected ${shorten(expected.body.subarray(at))}, got ${shorten(answer.body.subarray(at))}`,
    };
  }
  const same =
    (expected.kind === 'nothing' && answer.kind === 'nothing') ||
    (expected.kind === 'client-closed' && answer.kind === 'closed') ||
    (expected.kind === 'fatal' && answer.kind === 'closed');
  if (same) return { kind: 'identical' };
  if (answer.kind === 'unsent') return { kind: 'mismatch', what: describe(answer) };
  return { kind: 'mismatch', what: `expected ${describeExpected(expected)}; ${describe(answer)}` };
}
