/**
 * Checksums of rows: neither SQLite's pages nor IndexedDB's rows carry any that we could read, so each row of ours does. They
 * find bad media, not an attacker.
 */
import { publicSha256 } from '@countersign/bitcoin';

export { equalBytes } from '@countersign/bitcoin';

const encoder = new TextEncoder();

/** sha256 over table, key, version (u64 big-endian), and the value or the mark that there is none. */
export function rowChecksum(
  table: 'meta' | 'record',
  key: string,
  version: number,
  value: Uint8Array | null,
): Uint8Array {
  // Table and key hold no NUL, so the concatenation is unambiguous.
  const name = encoder.encode(`${table}\0${key}\0`);
  const mark = new Uint8Array(9);
  new DataView(mark.buffer).setBigUint64(0, BigInt(version));
  mark[8] = value === null ? 0 : 1;
  return value === null ? publicSha256(name, mark) : publicSha256(name, mark, value);
}
