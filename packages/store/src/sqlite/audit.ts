/** The audit log's table: rows of the chain in `audit-chain.ts`, appended within the transaction of their commit. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { auditGenesis, auditHash, corruptAudit, walk } from '../audit-chain.ts';
import { equalBytes } from '../checksum.ts';
import type { AuditEntry, AuditHead } from '../journal.ts';

const PAGE_ENTRIES = 500;

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
    await walk(this.#genesis, to, known, async (afterSeq) => {
      if (afterSeq > 0) await pause();
      return this.range(afterSeq + 1, to.seq, PAGE_ENTRIES);
    });
    await pause();
  }
}
