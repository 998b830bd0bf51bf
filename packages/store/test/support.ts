/**
 * Shared by the store's tests: temporary directories, an opener with fixed choices, and a commit script whose values
 * and audit bodies say what they are, so that a store can be judged from its own content.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Journal, type JournalOptions, openJournal, type RecordChange } from '../src/index.ts';

export function open(directory: string, options: Partial<JournalOptions> = {}): Journal {
  const monotonicMs = (): number => performance.now();
  return openJournal(directory, { mode: 'open-or-create', randomBytes, monotonicMs, ...options });
}

/** A directory that is removed after `body`. The store goes into a subdirectory that does not exist yet. */
export async function inDirectory<T>(body: (directory: string) => T | Promise<T>): Promise<T> {
  const root = mkdtempSync(join(tmpdir(), 'countersign-store-'));
  try {
    return await body(join(root, 'store'));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (value: Uint8Array): string => new TextDecoder().decode(value);

/** What the value of a key's version is in all scripted commits: 0 to 4 KB, every seventh version a tombstone. */
export function scriptedValue(key: string, version: number): Uint8Array | null {
  const seed = createHash('sha256').update(`${key}:${version}`).digest();
  if (version % 7 === 0) return null;
  const value = new Uint8Array((seed[0] ?? 0) * 16);
  for (let at = 0; at < value.length; at += seed.length) value.set(seed.subarray(0, value.length - at), at);
  return value;
}

export function scriptedChange(key: string, version: number): RecordChange {
  return { key, version, value: scriptedValue(key, version) };
}

/** The audit body of a scripted commit names the commit and all its changes. */
export function scriptedAudit(id: string, changes: readonly RecordChange[]): Uint8Array {
  return bytes(JSON.stringify({ id, changes: changes.map(({ key, version }) => [key, version]) }));
}

interface ScriptedAudit {
  readonly id: string;
  readonly changes: readonly (readonly [string, number])[];
}

/**
 * Judge a store that only scripted commits wrote: the audit chain is intact, its replay has contiguous versions and
 * ends exactly in the stored records (so no commit is there in part), and it holds all acknowledged ids.
 * Returns the ids in order.
 */
export async function judge(journal: Journal, acknowledged: Iterable<string>): Promise<string[]> {
  await journal.verifyAudit();
  const versions = new Map<string, number>();
  const ids: string[] = [];
  for (let seq = 1; seq <= journal.auditHead.seq; seq += 1000) {
    for (const { body } of journal.audit(seq, 1000)) {
      const entry: ScriptedAudit = JSON.parse(text(body));
      ids.push(entry.id);
      for (const [key, version] of entry.changes) {
        if (version !== (versions.get(key) ?? 0) + 1)
          throw new Error(`gap in the versions of ${key}: ${version}`);
        versions.set(key, version);
      }
    }
  }
  const present = new Set(ids);
  for (const id of acknowledged) if (!present.has(id)) throw new Error(`acknowledged and lost: ${id}`);
  for (const [key, version] of versions) checkRecord(journal, key, version);
  const live = [...versions].filter(([key, version]) => scriptedValue(key, version) !== null);
  const expected = live.map(([key]) => key).sort();
  if (expected.join() !== journal.keys('').join()) throw new Error('keys are not those of the audit log');
  return ids;
}

function checkRecord(journal: Journal, key: string, version: number): void {
  const record = journal.read(key);
  if (record?.version !== version) throw new Error(`${key} has version ${record?.version}, not ${version}`);
  const expected = scriptedValue(key, version);
  const same =
    record.value === null || expected === null
      ? record.value === expected
      : Buffer.compare(record.value, expected) === 0;
  if (!same) throw new Error(`${key} version ${version} has another value`);
}

/** The code of the StoreError a call throws or rejects with, or `none`. */
export async function codeOf(call: () => unknown): Promise<string> {
  try {
    await call();
    return 'none';
  } catch (error) {
    return error instanceof Error && 'code' in error
      ? String(error.code)
      : `not a StoreError: ${String(error)}`;
  }
}
