/**
 * Checksums of rows: SQLite's pages carry none, so each row of ours does. They find bad media, not an attacker.
 */
import { hash } from 'node:crypto';

/** sha256 over table, key, version (u64 big-endian), and the value or the mark that there is none. */
export function rowChecksum(
  table: 'meta' | 'record',
  key: string,
  version: number,
  value: Uint8Array | null,
): Uint8Array {
  // Table and key hold no NUL, so the concatenation is unambiguous.
  const name = `${table}\0${key}\0`;
  const bytes = Buffer.allocUnsafe(name.length + 9 + (value?.length ?? 0));
  bytes.write(name, 'latin1');
  bytes.writeBigUInt64BE(BigInt(version), name.length);
  bytes[name.length + 8] = value === null ? 0 : 1;
  if (value !== null) bytes.set(value, name.length + 9);
  const out = hash('sha256', bytes, 'buffer');
  return new Uint8Array(out.buffer, out.byteOffset, out.length);
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
