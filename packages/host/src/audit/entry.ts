/**
 * What stands in the audit log: one JSON object per entry, keys always in the same order, every text and list bounded.
 * Secrets can't be in it: it is made of names, record keys and facts, and facts never hold one.
 */
import type { Facts } from '@countersign/bitcoin';
import type { AuditEvent, Refusal, Warning } from '@countersign/core';
import type { RecordChange } from '@countersign/store/contract';

/** Beyond these something is left out, and the entry says so. */
export const AUDIT_LIMITS = {
  /** Of a whole entry: half a line of the admin protocol. */
  bytes: 32 * 1024,
  textChars: 1024,
  facts: 48,
  changed: 64,
  warnings: 16,
  events: 64,
} as const;

/** What an approved request did. */
export interface DecidedParts {
  readonly timeSeconds: number;
  /** Wire name of the request. */
  readonly request: string;
  /** `<peer id hex>/<dbid>`; null for requests without a channel. */
  readonly channel: string | null;
  readonly changes: readonly RecordChange[];
  readonly warnings: readonly Warning[];
  readonly events: readonly AuditEvent[];
}

interface Entry {
  readonly time: number;
  readonly request?: string;
  readonly operation?: string;
  readonly channel?: string;
  readonly refusal?: object;
}

export function decidedEntry(parts: DecidedParts): Uint8Array {
  const { timeSeconds, request, channel, changes, warnings, events } = parts;
  return encode({
    time: timeSeconds,
    request,
    ...(channel === null ? {} : { channel }),
    ...changed(changes, channel),
    ...(warnings.length === 0 ? {} : { warnings: warnings.slice(0, AUDIT_LIMITS.warnings).map(warningJson) }),
    ...eventsJson(events),
  });
}

export function refusedEntry(timeSeconds: number, refusal: Refusal): Uint8Array {
  const { code, tag, law, severity, temporary, message, facts, request, channel } = refusal;
  return encode({
    time: timeSeconds,
    request,
    ...(channel === null ? {} : { channel }),
    refusal: { code, tag, law, severity, temporary, message: clip(message), facts: factsJson(facts) },
  });
}

/** What the operator did. */
export function operatedEntry(
  timeSeconds: number,
  operation: string,
  changes: readonly RecordChange[],
  events: readonly AuditEvent[],
): Uint8Array {
  return encode({ time: timeSeconds, operation, ...changed(changes, null), ...eventsJson(events) });
}

/** What nobody asked for: a start, entries left out. */
export function eventEntry(timeSeconds: number, event: AuditEvent): Uint8Array {
  return encode({ time: timeSeconds, ...eventsJson([event]) });
}

/** The record of the channel itself is written short: its id stands in `channel`. */
function changed(changes: readonly RecordChange[], channel: string | null): object {
  if (changes.length === 0) return {};
  const own = `channel/${channel}`;
  const keys = changes.slice(0, AUDIT_LIMITS.changed).map(({ key }) => (key === own ? 'channel' : key));
  const more = changes.length - keys.length;
  return more > 0 ? { changed: keys, changed_more: more } : { changed: keys };
}

function eventsJson(events: readonly AuditEvent[]): object {
  if (events.length === 0) return {};
  const kept = events.slice(0, AUDIT_LIMITS.events);
  const more = events.length - kept.length;
  const shown = kept.map(({ event, facts }) => ({ event, facts: factsJson(facts) }));
  return more > 0 ? { events: shown, events_more: more } : { events: shown };
}

function warningJson({ tag, message, facts }: Warning): object {
  return { tag, message: clip(message), facts: factsJson(facts) };
}

/** Amounts beyond what JSON's numbers hold exactly become decimal text. */
function factsJson(facts: Facts): object {
  const entries = Object.entries(facts).slice(0, AUDIT_LIMITS.facts);
  return Object.fromEntries(
    entries.map(([name, value]) => {
      if (typeof value === 'bigint') return [name, value.toString()];
      return [name, typeof value === 'string' ? clip(value) : value];
    }),
  );
}

function clip(text: string): string {
  return text.length <= AUDIT_LIMITS.textChars ? text : `${text.slice(0, AUDIT_LIMITS.textChars)}…`;
}

const encoder = new TextEncoder();

/** Should the parts, each within its bounds, be too much together, only the frame of the entry is kept. */
function encode(entry: Entry): Uint8Array {
  const bytes = encoder.encode(JSON.stringify(entry));
  if (bytes.length <= AUDIT_LIMITS.bytes) return bytes;
  const { time, request, operation, channel, refusal } = entry;
  const kept = { time, request, operation, channel, refusal: refusal && { ...refusal, facts: {} } };
  return encoder.encode(JSON.stringify({ ...kept, too_large_bytes: bytes.length }));
}
