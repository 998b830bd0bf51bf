/** The name that was probably meant, for whoever mistyped one; and values as an error shows them, never at length. */

/** The known name with the fewest edits, if it is near enough to be meant. */
export function nearest(name: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let bestEdits = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    if (Math.abs(candidate.length - name.length) >= bestEdits) continue;
    const edits = editDistance(name, candidate);
    if (edits < bestEdits) {
      best = candidate;
      bestEdits = edits;
    }
  }
  return best ?? continuation(name, known);
}

/** Shorter than this, a beginning says nothing. */
const BEGINNING_CHARS_MIN = 4;

/** The one name that continues this one or that this one continues: `funding_max` without its unit, `warning`. */
function continuation(name: string, known: readonly string[]): string | null {
  const related = known.filter((candidate) => {
    const [shorter, longer] = name.length < candidate.length ? [name, candidate] : [candidate, name];
    return shorter.length >= BEGINNING_CHARS_MIN && longer.startsWith(shorter);
  });
  return related.length === 1 ? (related[0] ?? null) : null;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(change, previous[j]! + 1, row[j - 1]! + 1));
    }
    previous = row;
  }
  return previous[b.length]!;
}

const SHOWN_CHARS_MAX = 80;

export function shorten(text: string): string {
  return text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX)}…`;
}

/** A value of a configuration in the words of an error. */
export function describeValue(input: unknown): string {
  if (typeof input === 'string') return JSON.stringify(shorten(input));
  if (Array.isArray(input)) return 'a list';
  if (input instanceof Date) return 'a date';
  return typeof input === 'object' ? 'a table' : String(input);
}
