/**
 * The audit log: append-only and hash-chained from a genesis hash that names the store. An entry cannot be changed,
 * dropped from the middle or moved to another store without breaking the chain.
 */
import { createHash } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { StoreError } from '../error.ts';
import type { AuditEntry, AuditHead } from '../journal.ts';
import { equalBytes } from './checksum.ts';

const GENESIS_TAG = 'countersign/audit/1';
const PAGE_ENTRIES = 500;

export function auditGenesis(storeId: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(GENESIS_TAG).update(storeId).digest());
}

/** sha256(previous hash ‖ seq as u64 big-endian ‖ body). */
export function auditHash(previousHash: Uint8Array, seq: number, body: Uint8Array): Uint8Array {
  const number = new Uint8Array(8);
  new DataView(number.buffer).setBigUint64(0, BigInt(seq));
  return new Uint8Array(createHash('sha256').update(previousHash).update(number).update(body).digest());
}

function corruptAudit(seq: number, detail: string): StoreError {
  return new StoreError('store-corrupt', `audit log, ${detail}`, { seq });
}

export class AuditLog {
  readonly #append: StatementSync;
  readonly #range: StatementSync;
  readonly #genesis: Uint8Array;
  /** The end of the chain, written but perhaps not durable yet. */
  #head: AuditHead;

  /** @throws StoreError `store-corrupt` if the newest entry does not carry its own hash. */
  constructor(db: DatabaseSync, storeId: Uint8Array) {
    this.#append = db.prepare('INSERT INTO audit (seq, prev_hash, hash, body) VALUES (?, ?, ?, ?)');
    this.#range = db.prepare(
      'SELECT seq, prev_hash, hash, body FROM audit WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?',
    );
    this.#genesis = auditGenesis(storeId);
    this.#head = this.#loadHead(db);
  }

  #loadHead(db: DatabaseSync): AuditHead {
    const last = db.prepare('SELECT max(seq) AS seq FROM audit').get()?.seq;
    if (last === null || last === undefined) return { seq: 0, hash: this.#genesis };
    const seq = Number(last);
    const entry = this.range(seq, seq, 1)[0];
    if (entry === undefined || !equalBytes(entry.hash, auditHash(entry.previousHash, seq, entry.body)))
      throw corruptAudit(seq, 'hash of the newest entry');
    return { seq, hash: entry.hash };
  }

  get head(): AuditHead {
    return this.#head;
  }

  /** Of one entry, or of the beginning (0); undefined beyond the head. */
  hashAt(seq: number): Uint8Array | undefined {
    return seq === 0 ? this.#genesis : this.range(seq, seq, 1)[0]?.hash;
  }

  /** The caller holds a transaction; when it fails, this object is of no use any more. */
  append(body: Uint8Array): void {
    const seq = this.#head.seq + 1;
    const hash = auditHash(this.#head.hash, seq, body);
    this.#append.run(seq, this.#head.hash, hash, body);
    this.#head = { seq, hash };
  }

  range(fromSeq: number, toSeq: number, countMax: number): AuditEntry[] {
    return this.#range.all(fromSeq, toSeq, countMax).map((row) => {
      const { seq, prev_hash: previousHash, hash, body } = row;
      const formed =
        typeof seq === 'number' &&
        previousHash instanceof Uint8Array &&
        hash instanceof Uint8Array &&
        body instanceof Uint8Array;
      if (!formed) throw corruptAudit(fromSeq, 'form of an entry');
      return { seq, previousHash, hash, body };
    });
  }

  /**
   * Verify entries 1 to `to.seq`, page by page with `pause` between, and that the chain ends in `to`; with `known`,
   * that it passes through it.
   */
  async verify(to: AuditHead, known: AuditHead | undefined, pause: () => Promise<void>): Promise<void> {
    if (known !== undefined && known.seq > to.seq)
      throw corruptAudit(known.seq, 'shorter than the known head');
    let reached: AuditHead = { seq: 0, hash: this.#genesis };
    while (reached.seq < to.seq) {
      this.#checkKnown(reached, known);
      const page = this.range(reached.seq + 1, to.seq, PAGE_ENTRIES);
      if (page.length === 0) throw corruptAudit(reached.seq + 1, 'entry is missing');
      for (const entry of page) {
        reached = this.#follow(reached, entry);
        this.#checkKnown(reached, known);
      }
      await pause();
    }
    this.#checkKnown(reached, known);
    if (!equalBytes(reached.hash, to.hash)) throw corruptAudit(to.seq, 'ends in another hash');
  }

  #follow(from: AuditHead, entry: AuditEntry): AuditHead {
    const seq = from.seq + 1;
    if (entry.seq !== seq) throw corruptAudit(seq, 'entry is missing');
    if (!equalBytes(entry.previousHash, from.hash)) throw corruptAudit(seq, 'link to the entry before');
    if (!equalBytes(entry.hash, auditHash(from.hash, seq, entry.body)))
      throw corruptAudit(seq, 'hash of the entry');
    return { seq, hash: entry.hash };
  }

  #checkKnown(reached: AuditHead, known: AuditHead | undefined): void {
    if (known !== undefined && known.seq === reached.seq && !equalBytes(known.hash, reached.hash))
      throw corruptAudit(known.seq, 'is not the log of the known head');
  }
}
