/**
 * Checksums of rows: SQLite's pages carry none, so each row of ours does. They find bad media, not an attacker.
 */
import { createHash } from 'node:crypto';

/** sha256 over table, key, version (u64 big-endian), and the value or the mark that there is none. */
export function rowChecksum(
  table: 'meta' | 'record',
  key: string,
  version: number,
  value: Uint8Array | null,
): Uint8Array {
  const fixed = new Uint8Array(9);
  new DataView(fixed.buffer).setBigUint64(0, BigInt(version));
  fixed[8] = value === null ? 0 : 1;
  // Table and key hold no NUL, so the concatenation is unambiguous.
  const hash = createHash('sha256').update(`${table}\0${key}\0`).update(fixed);
  if (value !== null) hash.update(value);
  return new Uint8Array(hash.digest());
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
