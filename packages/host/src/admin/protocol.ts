/**
 * The operator's protocol on `admin.sock`: a line of JSON asks, a line of JSON answers. Version 1. Amounts are decimal
 * text, bytes are hex; lists come in pages, so that no line is longer than 64 KiB.
 */
import type { AdminErrorCode, AdminOperation } from '@countersign/core';
import * as v from 'valibot';

export const ADMIN_SOCKET = 'admin.sock';
export const ADMIN_PROTOCOL_VERSION = 1;
/** A line with its newline, in both directions. */
export const ADMIN_LINE_BYTES_MAX = 64 * 1024;
export const ALLOWLIST_ENTRY_CHARS_MAX = 1024;
export const AUDIT_PAGE_MAX = 500;

const ID_CHARS_MAX = 128;
/** `21 million coins in msat` has 19 digits. */
const AMOUNT = v.pipe(
  v.string(),
  v.regex(/^(0|[1-9]\d{0,18})$/),
  v.transform((text) => BigInt(text)),
);
const NAME = v.pipe(v.string(), v.minLength(1), v.maxLength(ID_CHARS_MAX));
const ENTRY = v.pipe(v.string(), v.minLength(1), v.maxLength(ALLOWLIST_ENTRY_CHARS_MAX));
const COUNT = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const CHANNEL = v.pipe(v.string(), v.regex(/^[0-9a-f]{66}\/\d{1,20}$/));
const CHANNEL_FORM = 'a channel, <peer id hex>/<dbid>';

const HEAD = {
  v: v.literal(ADMIN_PROTOCOL_VERSION),
  /** Comes back with the answer. */
  id: v.pipe(v.number(), v.safeInteger()),
};

const BLOCK_HASH = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'the hash of a block, 64 hex digits'));
/** BIP 65: from here on a locktime is a time. */
const HEIGHT = v.pipe(COUNT, v.maxValue(499_999_999));

const PAGE = { offset: v.optional(COUNT, 0) };

const request = v.variant('op', [
  v.strictObject({ ...HEAD, op: v.literal('status') }),
  v.strictObject({ ...HEAD, op: v.literal('heartbeat') }),
  v.strictObject({ ...HEAD, op: v.literal('chain-status') }),
  v.strictObject({ ...HEAD, op: v.literal('chain-unlock'), tip: BLOCK_HASH }),
  v.strictObject({
    ...HEAD,
    op: v.literal('chain-rescan'),
    fromHeightBlocks: v.optional(v.nullable(HEIGHT), null),
  }),
  v.strictObject({ ...HEAD, op: v.literal('remedies'), channel: CHANNEL }),
  v.strictObject({
    ...HEAD,
    ...PAGE,
    op: v.literal('policy-show'),
    format: v.optional(v.picklist(['text', 'json']), 'text'),
  }),
  v.strictObject({ ...HEAD, ...PAGE, op: v.literal('pending-list') }),
  v.strictObject({
    ...HEAD,
    op: v.literal('approve'),
    target: NAME,
    amountMsat: v.optional(v.nullable(AMOUNT), null),
    expirySeconds: v.optional(v.nullable(COUNT), null),
  }),
  v.strictObject({ ...HEAD, op: v.literal('reject'), target: NAME }),
  v.strictObject({ ...HEAD, ...PAGE, op: v.literal('approvals-list') }),
  v.strictObject({ ...HEAD, op: v.literal('revoke'), target: NAME }),
  v.strictObject({ ...HEAD, ...PAGE, op: v.literal('allowlist-list') }),
  v.strictObject({
    ...HEAD,
    op: v.literal('allowlist-add'),
    kind: v.optional(v.nullable(v.picklist(['address', 'script', 'xpub', 'payee'])), null),
    text: ENTRY,
  }),
  v.strictObject({ ...HEAD, op: v.literal('allowlist-remove'), text: ENTRY }),
  v.strictObject({ ...HEAD, op: v.literal('channel-freeze'), channel: CHANNEL }),
  v.strictObject({ ...HEAD, op: v.literal('channel-unfreeze'), channel: CHANNEL }),
  v.strictObject({ ...HEAD, op: v.literal('channel-close'), channel: CHANNEL }),
  v.strictObject({
    ...HEAD,
    op: v.literal('audit-list'),
    from: v.pipe(COUNT, v.minValue(1)),
    count: v.pipe(COUNT, v.minValue(1), v.maxValue(AUDIT_PAGE_MAX)),
  }),
  v.strictObject({ ...HEAD, op: v.literal('audit-verify') }),
]);

export type AdminRequest = v.InferOutput<typeof request>;
/** As it stands on the line, before defaults are filled in. */
export type AdminRequestLine = v.InferInput<typeof request>;

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export type AdminProtocolErrorCode =
  /** The line is no request of this version. */
  | 'bad-request'
  /** The store failed: the signer has stopped, and changes nothing any more. */
  | 'store-failed'
  /** Another verification is still running. */
  | 'busy'
  /** The view of the chain will not have it; the message says why. */
  | 'chain-refused'
  /** The laws allow no commitment of ours for this channel; the message says why. */
  | 'close-refused';

export type AdminReply =
  | { readonly v: number; readonly id: number | null; readonly ok: true; readonly result: Json }
  | { readonly v: number; readonly id: number | null; readonly ok: false; readonly error: AdminReplyError };

export interface AdminReplyError {
  readonly code: AdminErrorCode | AdminProtocolErrorCode;
  readonly message: string;
  readonly facts: Json;
}

/** A page of a list; `next` is the offset of the following one, null at the end. */
export type Page = {
  readonly items: readonly Json[];
  readonly total: number;
  readonly next: number | null;
};

export type ParsedRequest =
  | { readonly ok: true; readonly request: AdminRequest }
  | { readonly ok: false; readonly id: number | null; readonly message: string };

/** Never throws, whatever the line is. */
export function parseAdminRequest(line: string): ParsedRequest {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { ok: false, id: null, message: 'not a line of JSON' };
  }
  const parsed = v.safeParse(request, value);
  if (parsed.success) return { ok: true, request: parsed.output };
  return { ok: false, id: idOf(value), message: explain(parsed.issues[0]) };
}

function idOf(value: unknown): number | null {
  const id: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'id') : null;
  return Number.isSafeInteger(id) ? Number(id) : null;
}

function explain(issue: v.BaseIssue<unknown>): string {
  const path = (issue.path ?? []).map(({ key }) => String(key).slice(0, ID_CHARS_MAX)).join('.');
  const expected = path === 'channel' ? CHANNEL_FORM : (issue.expected ?? issue.message);
  return path === '' ? 'a request is an object with v, id and op' : `${path}: expected ${expected}`;
}

/** The operation of core that a request asks for; null for what the host answers itself. */
export function operationOf(asked: AdminRequest): AdminOperation | null {
  switch (asked.op) {
    case 'pending-list':
    case 'approvals-list':
    case 'allowlist-list':
      return { op: asked.op };
    case 'approve':
      return {
        op: 'approve',
        id: asked.target,
        amountMsat: asked.amountMsat,
        expirySeconds: asked.expirySeconds,
      };
    case 'reject':
    case 'revoke':
      return { op: asked.op, id: asked.target };
    case 'allowlist-add':
      return { op: 'allowlist-add', kind: asked.kind, text: asked.text };
    case 'allowlist-remove':
      return { op: 'allowlist-remove', text: asked.text };
    case 'channel-freeze':
    case 'channel-unfreeze':
      return { op: asked.op, channel: asked.channel };
    default:
      return null;
  }
}
