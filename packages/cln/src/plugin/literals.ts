/**
 * The 32-byte values of SQL statements, whatever the statements are. lightningd hands out what SQLite expands
 * (`sqlite3_expanded_sql`), where a blob is X'…'; its tables and columns may change, that form does not.
 */
import { fromHex } from '@countersign/bitcoin';

/** Of one write. A write of lightningd at work has some dozens; only a migration has more, and no new preimages. */
export const VALUES_MAX = 16_384;

const LITERAL = /x'([0-9a-f]{64})'/gi;

/** Each value once, in the order they first appear; beyond `VALUES_MAX` the rest is not looked at. */
export function valuesOf(statements: readonly string[]): Uint8Array[] {
  const found = new Set<string>();
  for (const statement of statements) {
    for (const [, digits] of statement.matchAll(LITERAL)) {
      found.add(digits!.toLowerCase());
      if (found.size === VALUES_MAX) return [...found].map(fromHex);
    }
  }
  return [...found].map(fromHex);
}
