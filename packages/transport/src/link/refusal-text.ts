/**
 * A refusal on the link: JSON, with the type of each fact kept. Read strictly, since it ends up in logs and in lightningd;
 * texts are cut to their limit when they are written.
 */
import type { Fact, Facts } from '@countersign/bitcoin';
import { LinkError } from './error.ts';
import type { LinkRefusal } from './protocol.ts';

export const REFUSAL_BYTES_MAX = 64 * 1024;
const NAME_CHARACTERS_MAX = 200;
const TEXT_CHARACTERS_MAX = 4_000;
const FACTS_MAX = 64;

type EncodedFact = readonly [name: string, type: 's' | 'n' | 'i' | 'b', value: string];

export function encodeRefusal(refusal: LinkRefusal): Uint8Array {
  const { facts, text, ...rest } = refusal;
  const encoded = Object.entries(facts).slice(0, FACTS_MAX).map(encodeFact);
  const content = { ...rest, text: text.slice(0, TEXT_CHARACTERS_MAX), facts: encoded };
  const bytes = new TextEncoder().encode(JSON.stringify(content));
  if (bytes.length <= REFUSAL_BYTES_MAX) return bytes;
  return encodeRefusal({ ...refusal, facts: {} });
}

function encodeFact([name, value]: readonly [string, Fact]): EncodedFact {
  switch (typeof value) {
    case 'string':
      return [name, 's', value.slice(0, TEXT_CHARACTERS_MAX)];
    case 'number':
      return [name, 'n', numberText(value)];
    case 'bigint':
      return [name, 'i', String(value)];
    case 'boolean':
      return [name, 'b', String(value)];
  }
}

/** Throws `LinkError`. */
export function decodeRefusal(bytes: Uint8Array): LinkRefusal {
  if (bytes.length > REFUSAL_BYTES_MAX) throw unreadable();
  let content: unknown;
  try {
    content = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw unreadable();
  }
  if (typeof content !== 'object' || content === null) throw unreadable();
  const fields = content as Readonly<Record<string, unknown>>;
  return {
    code: textOf(fields.code),
    tag: textOf(fields.tag),
    request: textOf(fields.request),
    channel: fields.channel === null ? null : textOf(fields.channel),
    text: textOf(fields.text, TEXT_CHARACTERS_MAX),
    temporary: flagOf(fields.temporary),
    auditId: fields.auditId === null ? null : countOf(fields.auditId),
    facts: factsOf(fields.facts),
  };
}

function textOf(value: unknown, charactersMax = NAME_CHARACTERS_MAX): string {
  if (typeof value !== 'string' || value.length > charactersMax) throw unreadable();
  return value;
}

function flagOf(value: unknown): boolean {
  if (typeof value !== 'boolean') throw unreadable();
  return value;
}

function countOf(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw unreadable();
  return value;
}

function factsOf(value: unknown): Facts {
  if (!Array.isArray(value) || value.length > FACTS_MAX) throw unreadable();
  return Object.fromEntries(value.map(factOf));
}

function factOf(entry: unknown): readonly [string, Fact] {
  if (!Array.isArray(entry) || entry.length !== 3) throw unreadable();
  const [name, type, value]: readonly unknown[] = entry;
  const text = textOf(value, TEXT_CHARACTERS_MAX);
  switch (type) {
    case 's':
      return [textOf(name), text];
    case 'n':
      return [textOf(name), numberOf(text)];
    case 'i':
      if (!/^-?\d{1,40}$/.test(text)) throw unreadable();
      return [textOf(name), BigInt(text)];
    case 'b':
      if (text !== 'true' && text !== 'false') throw unreadable();
      return [textOf(name), text === 'true'];
    default:
      throw unreadable();
  }
}

/** Like `String`, which alone would lose the sign of a zero. */
function numberText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

function numberOf(text: string): number {
  const value = Number(text);
  if (numberText(value) !== text) throw unreadable();
  return value;
}

function unreadable(): LinkError {
  return new LinkError('link-protocol', 'a refusal cannot be read');
}
