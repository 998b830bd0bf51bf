/** The audit log: chain, ranges, known heads, and that SQL cannot rewrite it. */
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { auditGenesis, nextEntry, walk } from '../src/audit-chain.ts';
import type { AuditEntry, AuditHead } from '../src/index.ts';
import { bytes, codeOf, inDirectory, open, text } from './support.ts';

function tamper(directory: string, sql: string, ...values: (Uint8Array | number)[]): void {
  const db = new DatabaseSync(join(directory, 'journal.sqlite'));
  db.exec('DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete');
  db.prepare(sql).run(...values);
  db.close();
}

/** A store with `count` entries, then changed behind the journal's back, then verified. */
async function verifyAfter(count: number, sql: string, ...values: (Uint8Array | number)[]): Promise<string> {
  return inDirectory(async (directory) => {
    const journal = open(directory);
    for (let seq = 1; seq <= count; seq += 1) void journal.commit([], [bytes(`entry ${seq}`)]);
    await journal.close();
    tamper(directory, sql, ...values);
    return codeOf(async () => {
      const again = open(directory, { mode: 'open' });
      try {
        await again.verifyAudit();
      } finally {
        await again.close();
      }
    });
  });
}

describe('audit log', () => {
  it('chains sha256(previous ‖ seq ‖ body) from a genesis that names the store, over reopening', async () => {
    await inDirectory(async (directory) => {
      let journal = open(directory);
      const genesis = createHash('sha256').update('countersign/audit/1').update(journal.storeId).digest();
      expect(Buffer.from(journal.auditHead.hash)).toEqual(genesis);
      for (let seq = 1; seq <= 1200; seq += 3) {
        const bodies = [seq, seq + 1, seq + 2].map((number) => bytes(`entry ${number}`));
        void journal.commit([], bodies);
        if (seq === 601) {
          await journal.close();
          journal = open(directory);
        }
      }
      await journal.settled();
      let previous: Uint8Array = genesis;
      const entries = journal.audit(1, 10_000);
      for (const [index, entry] of entries.entries()) {
        const seq = Buffer.alloc(8);
        seq.writeBigUInt64BE(BigInt(index + 1));
        expect(text(entry.body)).toBe(`entry ${index + 1}`);
        expect(Buffer.compare(entry.previousHash, previous)).toBe(0);
        const hash = createHash('sha256').update(previous).update(seq).update(entry.body).digest();
        expect(Buffer.compare(entry.hash, hash)).toBe(0);
        previous = entry.hash;
      }
      expect(entries).toHaveLength(1200);
      expect(journal.auditHead).toEqual({ seq: 1200, hash: previous });
      expect(await journal.verifyAudit()).toEqual(journal.auditHead);
      expect(journal.audit(1199, 5).map((entry) => entry.seq)).toEqual([1199, 1200]);
      expect(journal.audit(1201, 5)).toEqual([]);
      for (const [from, count] of [
        [0, 1],
        [1, 0],
        [1, 10_001],
        [1.5, 1],
        [1, 1.5],
      ] as const)
        expect(await codeOf(() => journal.audit(from, count))).toBe('store-limit');
      await journal.close();
    });
  });

  it.each([
    ['a changed body', 'UPDATE audit SET body = ? WHERE seq = 3', bytes('forged')],
    ['a changed hash', 'UPDATE audit SET hash = ? WHERE seq = 3', new Uint8Array(32)],
    ['a changed link', 'UPDATE audit SET prev_hash = ? WHERE seq = 3', new Uint8Array(32)],
    ['a missing entry', 'DELETE FROM audit WHERE seq = ?', 3],
    ['a missing first entry', 'DELETE FROM audit WHERE seq = ?', 1],
    ['a changed newest entry', 'UPDATE audit SET body = ? WHERE seq = 5', bytes('forged')],
    ['an entry moved away', 'UPDATE audit SET seq = ? WHERE seq = 5', 6],
  ])('finds %s', async (_, sql, changed) => {
    expect(await verifyAfter(5, sql, changed)).toBe('store-corrupt');
  });

  it('verifies against a head kept elsewhere: a cut or another log is found', async () => {
    await inDirectory(async (directory) => {
      const journal = open(directory);
      for (let seq = 1; seq <= 4; seq += 1) await journal.commit([], [randomBytes(20)]);
      const known = journal.auditHead;
      await journal.commit([], [bytes('later')]);
      expect(await journal.verifyAudit(known)).toEqual(journal.auditHead);
      expect(await codeOf(() => journal.verifyAudit({ ...known, hash: new Uint8Array(32) }))).toBe(
        'store-corrupt',
      );
      expect(await codeOf(() => journal.verifyAudit({ seq: 0, hash: new Uint8Array(32) }))).toBe(
        'store-corrupt',
      );
      await journal.close();
      tamper(directory, 'DELETE FROM audit WHERE seq > ?', 3);
      const cut = open(directory, { mode: 'open' });
      expect(await codeOf(() => cut.verifyAudit())).toBe('none');
      expect(await codeOf(() => cut.verifyAudit(known))).toBe('store-corrupt');
      await cut.close();
    });
  });

  it('cannot be changed or shortened through SQL, nor can records be deleted', async () => {
    await inDirectory(async (directory) => {
      const journal = open(directory);
      await journal.commit([{ key: 'k', version: 1, value: null }], [bytes('entry')]);
      await journal.close();
      const db = new DatabaseSync(join(directory, 'journal.sqlite'));
      for (const sql of ['UPDATE audit SET body = body', 'DELETE FROM audit', 'DELETE FROM record'])
        expect(() => db.exec(sql)).toThrow(/append-only|tombstones/);
      db.close();
    });
  });
});

describe('the chain of the audit log, wherever it is kept', () => {
  const genesis = auditGenesis(new Uint8Array(16));
  const entries: AuditEntry[] = [];
  let head: AuditHead = { seq: 0, hash: genesis };
  for (const body of ['a', 'b', 'c', 'd', 'e']) {
    const entry = nextEntry(head, bytes(body));
    entries.push(entry);
    head = { seq: entry.seq, hash: entry.hash };
  }
  const pages =
    (from: readonly AuditEntry[], count = 2) =>
    async (afterSeq: number): Promise<readonly AuditEntry[]> =>
      from.filter(({ seq }) => seq > afterSeq).slice(0, count);

  it('is walked page by page to its head, through what is known of it', async () => {
    for (const count of [1, 2, 5, 100]) {
      await walk(genesis, head, undefined, pages(entries, count));
      for (const { seq, hash } of entries) await walk(genesis, head, { seq, hash }, pages(entries, count));
    }
    await walk(genesis, { seq: 0, hash: genesis }, undefined, pages([]));
  });

  it.each<[string, AuditHead, AuditHead | undefined, readonly AuditEntry[], RegExp]>([
    ['ends too soon', head, undefined, entries.slice(0, 4), /entry is missing/],
    ['has nothing', head, undefined, [], /entry is missing/],
    ['lacks one', head, undefined, entries.filter(({ seq }) => seq !== 3), /entry is missing/],
    ['ends otherwise', { ...head, hash: genesis }, undefined, entries, /ends in another hash/],
    ['is of another store', head, { seq: 0, hash: head.hash }, entries, /is not the log of the known head/],
    ['went another way', head, { seq: 3, hash: head.hash }, entries, /is not the log of the known head/],
    ['is shorter than it was', head, { ...head, seq: 6 }, entries, /shorter than the known head/],
    [
      'begins elsewhere',
      head,
      undefined,
      entries.map((entry) => (entry.seq === 1 ? { ...entry, previousHash: head.hash } : entry)),
      /link to the entry before/,
    ],
  ])('that %s is found', async (_, to, known, kept, why) => {
    await expect(walk(genesis, to, known, pages(kept))).rejects.toMatchObject({
      code: 'store-corrupt',
      message: expect.stringMatching(why),
    });
  });
});
