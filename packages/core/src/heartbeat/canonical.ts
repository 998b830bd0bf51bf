/**
 * Canonical JSON: one text for each value, so that a signature over the text is one over the value. Keys ascend by their
 * code units, nothing stands between the tokens, numbers are integers that a double holds exactly, and everything beyond printable
 * ASCII is escaped, so that bytes are characters and no terminal or transport can change them.
 */
import { invariant } from '@countersign/bitcoin';

/** JSON without what has more than one way to be written. */
export type CanonicalValue =
  | null
  | boolean
  | number
  | string
  | readonly CanonicalValue[]
  | { readonly [key: string]: CanonicalValue };

/** The one way to write a value: keys sorted, no spaces, ASCII only. */
export function canonicalJson(value: CanonicalValue): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'number') {
    invariant(Number.isSafeInteger(value), 'canonical JSON holds exact integers', { value });
    return JSON.stringify(value);
  }
  if (isList(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${quoted(key)}:${canonicalJson(member)}`).join(',')}}`;
}

const isList = (value: CanonicalValue): value is readonly CanonicalValue[] => Array.isArray(value);

/** `JSON.stringify` leaves printable ASCII, escapes what JSON demands, and lone surrogates; the rest is escaped here. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
