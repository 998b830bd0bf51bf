/**
 * The chain of the audit log, whatever keeps it: append-only and hash-chained from a genesis hash that names the store. An entry
 * cannot be changed, dropped from the middle or moved to another store without breaking it.
 */
import { equalBytes, publicSha256 } from '@countersign/bitcoin';
import { StoreError } from './error.ts';
import type { AuditEntry, AuditHead } from './journal.ts';

const GENESIS_TAG = new TextEncoder().encode('countersign/audit/1');

export function auditGenesis(storeId: Uint8Array): Uint8Array {
  return publicSha256(GENESIS_TAG, storeId);
}

/** sha256(previous hash ‖ seq as u64 big-endian ‖ body). */
export function auditHash(previousHash: Uint8Array, seq: number, body: Uint8Array): Uint8Array {
  const number = new Uint8Array(8);
  new DataView(number.buffer).setBigUint64(0, BigInt(seq));
  return publicSha256(previousHash, number, body);
}

export function corruptAudit(seq: number, detail: string): StoreError {
  return new StoreError('store-corrupt', `audit log, ${detail}`, { seq });
}

/** The entry that comes after `head`. */
export function nextEntry(head: AuditHead, body: Uint8Array): AuditEntry {
  const seq = head.seq + 1;
  return { seq, previousHash: head.hash, hash: auditHash(head.hash, seq, body), body };
}

/** The head after `entry`. @throws StoreError `store-corrupt` if it is not the one that comes after `from`. */
export function follow(from: AuditHead, entry: AuditEntry): AuditHead {
  const seq = from.seq + 1;
  if (entry.seq !== seq) throw corruptAudit(seq, 'entry is missing');
  if (!equalBytes(entry.previousHash, from.hash)) throw corruptAudit(seq, 'link to the entry before');
  if (!equalBytes(entry.hash, auditHash(from.hash, seq, entry.body)))
    throw corruptAudit(seq, 'hash of the entry');
  return { seq, hash: entry.hash };
}

/** @throws StoreError `store-corrupt` where the chain has another link than the one that is known from elsewhere. */
export function checkKnown(reached: AuditHead, known: AuditHead | undefined): void {
  if (known !== undefined && known.seq === reached.seq && !equalBytes(known.hash, reached.hash))
    throw corruptAudit(known.seq, 'is not the log of the known head');
}

/**
 * Walk from the genesis to `to`, page by page; with `known`, through it. `page` gives what follows an entry, at least
 * one, or nothing where it is missing.
 */
export async function walk(
  genesis: Uint8Array,
  to: AuditHead,
  known: AuditHead | undefined,
  page: (afterSeq: number) => Promise<readonly AuditEntry[]>,
): Promise<void> {
  if (known !== undefined && known.seq > to.seq) throw corruptAudit(known.seq, 'shorter than the known head');
  let reached: AuditHead = { seq: 0, hash: genesis };
  while (reached.seq < to.seq) {
    checkKnown(reached, known);
    const entries = await page(reached.seq);
    if (entries.length === 0) throw corruptAudit(reached.seq + 1, 'entry is missing');
    for (const entry of entries) {
      reached = follow(reached, entry);
      checkKnown(reached, known);
    }
  }
  checkKnown(reached, known);
  if (!equalBytes(reached.hash, to.hash)) throw corruptAudit(to.seq, 'ends in another hash');
}
