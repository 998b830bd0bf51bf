/**
 * A journal in memory for signers under attack: the contract of the store's, durable at once, and it can be copied, which
 * a file can't be in a microsecond. The audit log is chained as the store chains it; only its newest links are kept.
 */
import {
  type AuditEntry,
  type AuditHead,
  DEFAULT_LIMITS,
  type IntegrityReport,
  type Journal,
  type JournalState,
  type JournalStats,
  type RecordChange,
  type StoredRecord,
  StoreError,
} from '@countersign/store';
import { auditGenesis, auditHash } from '../../packages/store/src/audit-chain.ts';

/** A run of a million steps writes as many entries; whoever wants to read them wants the last ones. */
export const AUDIT_KEPT_MAX = 2_000;

const KEY = /^[!-~]{1,255}$/;

interface Content {
  readonly records: Map<string, StoredRecord>;
  readonly bound: Map<string, Uint8Array>;
  readonly audit: AuditEntry[];
  head: AuditHead;
  commits: number;
}

export class MemoryJournal implements Journal {
  readonly storeId: Uint8Array;
  readonly #content: Content;
  #state: JournalState = 'open';

  constructor(storeId: Uint8Array = new Uint8Array(16), content?: Content) {
    this.storeId = storeId;
    this.#content = content ?? {
      records: new Map(),
      bound: new Map(),
      audit: [],
      head: { seq: 0, hash: auditGenesis(storeId) },
      commits: 0,
    };
  }

  /** Another journal of the same content: nothing of what happens to one happens to the other. */
  copy(): MemoryJournal {
    const { records, bound, audit, head, commits } = this.#content;
    const content = { records: new Map(records), bound: new Map(bound), audit: [...audit], head, commits };
    return new MemoryJournal(this.storeId, content);
  }

  /** The same store, opened again: this object is of no use any more. */
  reopen(): MemoryJournal {
    this.#state = 'closed';
    return new MemoryJournal(this.storeId, this.#content);
  }

  get state(): JournalState {
    return this.#state;
  }

  get auditHead(): AuditHead {
    return this.#content.head;
  }

  get stats(): JournalStats {
    const { commits, records, head } = this.#content;
    return {
      commits,
      batches: commits,
      records: records.size,
      auditEntries: head.seq,
      bytes: 0,
      pendingCommits: 0,
      pendingBytes: 0,
      latency: { boundsMs: [], counts: [0], sumMs: 0, maxMs: 0 },
    };
  }

  read(key: string): StoredRecord | undefined {
    this.#requireOpen();
    return this.#content.records.get(key);
  }

  keys(prefix: string): string[] {
    this.#requireOpen();
    const found: string[] = [];
    for (const [key, { value }] of this.#content.records) {
      if (value !== null && key.startsWith(prefix)) found.push(key);
    }
    return found.sort();
  }

  async commit(changes: readonly RecordChange[], audit: readonly Uint8Array[]): Promise<void> {
    this.#requireOpen();
    this.#check(changes, audit);
    const { records } = this.#content;
    for (const { key, version, value } of changes) {
      records.set(key, { key, version, value: value === null ? null : value.slice() });
    }
    for (const body of audit) this.#append(body.slice());
    this.#content.commits += 1;
  }

  /** All or nothing: everything that can be wrong is found before anything is written. */
  #check(changes: readonly RecordChange[], audit: readonly Uint8Array[]): void {
    const { recordBytesMax, auditBodyBytesMax, changesPerCommitMax } = DEFAULT_LIMITS;
    if (changes.length > changesPerCommitMax) this.#fail('store-limit', 'changes of one commit');
    const seen = new Set<string>();
    for (const { key, version, value } of changes) {
      if (!KEY.test(key) || seen.has(key)) this.#fail('store-limit', `key ${key}`);
      seen.add(key);
      if (value !== null && value.length > recordBytesMax) this.#fail('store-limit', `value of ${key}`);
      const stored = this.#content.records.get(key)?.version ?? 0;
      if (version !== stored + 1) this.#fail('store-version-conflict', `${key}: ${version} after ${stored}`);
    }
    for (const body of audit) {
      if (body.length > auditBodyBytesMax) this.#fail('store-limit', 'body of an audit entry');
    }
  }

  #append(body: Uint8Array): void {
    const { audit, head } = this.#content;
    const seq = head.seq + 1;
    const hash = auditHash(head.hash, seq, body);
    audit.push({ seq, previousHash: head.hash, hash, body });
    this.#content.head = { seq, hash };
    if (audit.length >= 2 * AUDIT_KEPT_MAX) audit.splice(0, audit.length - AUDIT_KEPT_MAX);
  }

  flushNow(): void {
    this.#requireOpen();
  }

  async settled(): Promise<void> {
    this.#requireOpen();
  }

  async bind(name: string, value: Uint8Array): Promise<void> {
    this.#requireOpen();
    const bound = this.#content.bound.get(name);
    if (bound === undefined) {
      this.#content.bound.set(name, value.slice());
      return;
    }
    if (Buffer.compare(bound, value) === 0) return;
    const facts = { name, bound: Buffer.from(bound).toString('hex') };
    throw new StoreError('store-bound-elsewhere', name, facts);
  }

  audit(fromSeq: number, countMax: number): AuditEntry[] {
    return this.#content.audit.filter(({ seq }) => seq >= fromSeq).slice(0, countMax);
  }

  /** Of the links that are kept. */
  async verifyAudit(known?: AuditHead): Promise<AuditHead> {
    for (const { seq, previousHash, hash, body } of this.#content.audit) {
      if (Buffer.compare(auditHash(previousHash, seq, body), hash) !== 0)
        throw new StoreError('store-corrupt', 'audit log, hash of the entry', { seq });
      if (known?.seq === seq && Buffer.compare(known.hash, hash) !== 0)
        throw new StoreError('store-corrupt', 'audit log, is not the log of the known head', { seq });
    }
    return this.#content.head;
  }

  async checkIntegrity(): Promise<IntegrityReport> {
    const { records, audit } = this.#content;
    return { problems: [], recordsChecked: records.size, auditEntriesChecked: audit.length };
  }

  async close(): Promise<void> {
    this.#state = 'closed';
  }

  #requireOpen(): void {
    if (this.#state === 'closed') throw new StoreError('store-closed', 'another has the store');
    if (this.#state === 'failed') throw new StoreError('store-failed', 'an earlier commit failed');
  }

  #fail(code: 'store-limit' | 'store-version-conflict', detail: string): never {
    this.#state = 'failed';
    throw new StoreError(code, detail);
  }
}
