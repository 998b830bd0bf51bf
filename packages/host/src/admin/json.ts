/**
 * The signer's values as JSON for the operator: amounts as decimal text, bytes as hex, long texts and lists cut, and
 * lists in pages that fit on a line. Everything in them may be an attacker's text.
 */
import { toHex } from '@countersign/bitcoin';
import type { Json, Page } from './protocol.ts';

const TEXT_CHARS_MAX = 1024;
const BYTES_SHOWN_MAX = 512;
/** Of a list inside of an item, such as the outputs of one transaction. */
const LIST_ITEMS_MAX = 24;
/** What a page may take of a line; the largest item is far below the rest. */
const PAGE_BYTES_MAX = 32 * 1024;

/** Never throws; what has no JSON form becomes its text. */
export function toJson(value: unknown): Json {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'string') return cut(value, TEXT_CHARS_MAX);
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return value;
  if (value instanceof Uint8Array) return bytesText(value);
  if (value instanceof Map) return objectJson([...value].map(([key, item]) => [String(key), item]));
  if (Array.isArray(value)) return listJson(value);
  if (typeof value === 'object') return objectJson(Object.entries(value));
  return String(value);
}

function listJson(items: readonly unknown[]): Json {
  const shown = items.slice(0, LIST_ITEMS_MAX).map(toJson);
  const more = items.length - shown.length;
  return more > 0 ? [...shown, `… ${more} more`] : shown;
}

function objectJson(entries: readonly (readonly [string, unknown])[]): Json {
  return Object.fromEntries(
    entries.filter(([, item]) => item !== undefined).map(([key, item]) => [key, toJson(item)]),
  );
}

function bytesText(bytes: Uint8Array): string {
  const text = toHex(bytes.subarray(0, BYTES_SHOWN_MAX));
  return bytes.length > BYTES_SHOWN_MAX ? `${text}… (${bytes.length} bytes)` : text;
}

function cut(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax)}…`;
}

/** Items from `offset` on, as many as fit, at least one if there is one. `form` keeps each below half a line. */
export function pageOf<T>(items: readonly T[], offset: number, form: (item: T) => Json = toJson): Page {
  const shown: Json[] = [];
  let bytes = 0;
  for (const item of items.slice(offset)) {
    const json = form(item);
    bytes += Buffer.byteLength(JSON.stringify(json)) + 1;
    if (shown.length > 0 && bytes > PAGE_BYTES_MAX) break;
    shown.push(json);
  }
  const next = offset + shown.length;
  return { items: shown, total: items.length, next: next < items.length ? next : null };
}
