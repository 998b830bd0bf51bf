/**
 * The form of what a commit brings: keys, versions and sizes within their bounds, bytes copied, so that nothing the
 * caller does later changes what reaches the disk.
 */
import type { Facts } from '@countersign/bitcoin';
import { StoreError } from './error.ts';
import type { JournalLimits, RecordChange } from './journal.ts';

/** One commit as it waits for its batch. */
export interface Intake {
  readonly changes: readonly RecordChange[];
  readonly audit: readonly Uint8Array[];
  /** Keys, values and audit bodies. */
  readonly bytes: number;
  readonly enqueuedMs: number;
}

const KEY = /^[\x21-\x7e]{1,255}$/;
const PREFIX = /^[\x21-\x7e]{0,255}$/;

function requireThat(holds: boolean, what: string, facts: Facts): asserts holds {
  if (!holds) throw new StoreError('store-limit', what, facts);
}

export function checkKey(key: string): void {
  requireThat(KEY.test(key), 'a key is 1 to 255 printable ASCII characters', { length: key.length });
}

export function checkPrefix(prefix: string): void {
  requireThat(PREFIX.test(prefix), 'a prefix is at most 255 printable ASCII characters', {
    length: prefix.length,
  });
}

/** What one call gives of the audit log at most. */
const AUDIT_COUNT_MAX = 10_000;

/** @throws StoreError `store-limit` */
export function checkAuditRange(fromSeq: number, countMax: number): void {
  const whole = Number.isSafeInteger(fromSeq) && Number.isSafeInteger(countMax);
  const fits = whole && fromSeq >= 1 && countMax >= 1 && countMax <= AUDIT_COUNT_MAX;
  requireThat(fits, 'a range of the audit log', { fromSeq, countMax });
}

const BINDING_BYTES_MAX = 1024;

/** @throws StoreError `store-limit` */
export function checkBinding(name: string, value: Uint8Array): void {
  checkKey(name);
  const bytes = value.length;
  requireThat(bytes <= BINDING_BYTES_MAX, 'a binding is too large', { name, bytes });
}

function takeChange(change: RecordChange, limits: JournalLimits): RecordChange {
  const { key, version, value } = change;
  checkKey(key);
  requireThat(Number.isSafeInteger(version) && version >= 1, 'a version is a positive integer', {
    key,
    version,
  });
  const bytes = value?.length ?? 0;
  requireThat(bytes <= limits.recordBytesMax, 'a record is too large', {
    key,
    bytes,
    bytesMax: limits.recordBytesMax,
  });
  return { key, version, value: value === null ? null : Uint8Array.from(value) };
}

function takeAudit(body: Uint8Array, limits: JournalLimits): Uint8Array {
  const bytesMax = limits.auditBodyBytesMax;
  requireThat(body.length <= bytesMax, 'an audit body is too large', { bytes: body.length, bytesMax });
  return Uint8Array.from(body);
}

/** @throws StoreError `store-limit` */
export function takeIn(
  changes: readonly RecordChange[],
  audit: readonly Uint8Array[],
  limits: JournalLimits,
  nowMs: number,
): Intake {
  const count = changes.length + audit.length;
  requireThat(count <= limits.changesPerCommitMax, 'a commit has too many parts', { count });
  const keys = new Set(changes.map((change) => change.key));
  requireThat(keys.size === changes.length, 'a commit changes a key twice', { changes: changes.length });
  const taken = changes.map((change) => takeChange(change, limits));
  const bodies = audit.map((body) => takeAudit(body, limits));
  const recordBytes = taken.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0);
  const auditBytes = bodies.reduce((sum, body) => sum + body.length, 0);
  return { changes: taken, audit: bodies, bytes: recordBytes + auditBytes, enqueuedMs: nowMs };
}
