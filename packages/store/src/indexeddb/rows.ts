/**
 * Rows of the three object stores, as they are written and as they are believed when they are read: their form, and the
 * checksum that each but the audit log's (which is a chain) carries.
 */
import { equalBytes, rowChecksum } from '../checksum.ts';
import { StoreError } from '../error.ts';
import type { AuditEntry, RecordChange, StoredRecord } from '../journal.ts';

export interface MetaRow {
  readonly name: string;
  readonly value: Uint8Array;
  readonly checksum: Uint8Array;
}

export interface RecordRow extends StoredRecord {
  readonly checksum: Uint8Array;
}

export function metaRow(name: string, value: Uint8Array): MetaRow {
  return { name, value, checksum: rowChecksum('meta', name, 1, value) };
}

export function recordRow({ key, version, value }: RecordChange): RecordRow {
  return { key, version, value, checksum: rowChecksum('record', key, version, value) };
}

/** Versions and numbers of entries start at 1. */
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 1;
const isBytes = (value: unknown): value is Uint8Array => value instanceof Uint8Array;

/** What a database gives back is not of our making any more. */
function fields(row: unknown): Readonly<Record<string, unknown>> {
  return typeof row === 'object' && row !== null ? (row as Record<string, unknown>) : {};
}

/** @throws StoreError `store-corrupt` */
export function readMetaRow(row: unknown): MetaRow {
  const { name, value, checksum } = fields(row);
  if (typeof name === 'string' && isBytes(value) && isBytes(checksum)) {
    if (equalBytes(checksum, rowChecksum('meta', name, 1, value))) return { name, value, checksum };
  }
  throw new StoreError('store-corrupt', 'checksum of a meta row', { name: String(name) });
}

/** @throws StoreError `store-corrupt` */
export function readRecordRow(row: unknown): StoredRecord {
  const { key, version, value, checksum } = fields(row);
  if (
    typeof key === 'string' &&
    isCount(version) &&
    (value === null || isBytes(value)) &&
    isBytes(checksum)
  ) {
    if (equalBytes(checksum, rowChecksum('record', key, version, value))) return { key, version, value };
  }
  throw new StoreError('store-corrupt', 'checksum of a record', { key: String(key) });
}

/** Its form only: the chain says whether it is the right one. @throws StoreError `store-corrupt` */
export function readAuditRow(row: unknown): AuditEntry {
  const { seq, previousHash, hash, body } = fields(row);
  if (isCount(seq) && isBytes(previousHash) && isBytes(hash) && isBytes(body))
    return { seq, previousHash, hash, body };
  throw new StoreError('store-corrupt', 'audit log, form of an entry', { seq: String(seq) });
}
