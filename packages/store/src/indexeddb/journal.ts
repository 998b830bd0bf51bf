/**
 * The journal over an open database: records in memory, commits grouped into transactions, in order. Memory may be ahead of the
 * disk; a commit's promise resolves only when its transaction is durable.
 */
import { toHex } from '@countersign/bitcoin';
import { auditGenesis, corruptAudit, nextEntry, walk } from '../audit-chain.ts';
import { equalBytes } from '../checksum.ts';
import { JournalCounters, measuresOf } from '../counters.ts';
import { StoreError } from '../error.ts';
import { GroupCommit } from '../group-commit.ts';
import { checkAuditRange, checkBinding, checkKey, checkPrefix, type Intake, takeIn } from '../intake.ts';
import {
  type AuditEntry,
  type AuditHead,
  DEFAULT_LIMITS,
  type IntegrityReport,
  type Journal,
  type JournalLimits,
  type JournalState,
  type JournalStats,
  type RecordChange,
  type StoredRecord,
} from '../journal.ts';
import { auditRange, BINDING_PREFIX, GENERATION, type Loaded, load, STORE_ID, write } from './database.ts';
import { indexedDbError } from './failure.ts';
import { type MetaRow, metaRow } from './rows.ts';

/** So many of the newest audit entries answer `audit` at once; older ones are read with `history`. */
export const AUDIT_IN_MEMORY_MAX = 10_000;
const PAGE_ENTRIES = 500;

export interface IndexedDbJournalOptions {
  readonly monotonicMs: () => number;
  readonly limits?: Partial<JournalLimits>;
}

interface Item extends Intake {
  readonly entries: readonly AuditEntry[];
  readonly bindings: readonly MetaRow[];
}

/** A journal on IndexedDB; `openIndexedDbJournal` makes one. */
export class IndexedDbJournal implements Journal {
  readonly storeId: Uint8Array;
  readonly #db: IDBDatabase;
  readonly #release: () => void;
  readonly #limits: JournalLimits;
  readonly #nowMs: () => number;
  readonly #counters = new JournalCounters();
  readonly #group: GroupCommit<Item>;
  /** Durable or enqueued, as the audit head below. */
  readonly #records: Map<string, StoredRecord>;
  readonly #bindings: Map<string, Uint8Array>;
  #head: AuditHead;
  /** Durable. */
  #newest: AuditEntry[];
  #durableHead: AuditHead;
  /** On the disk. */
  #generation: bigint;
  #writing: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;
  #closed = false;

  /** `release` is called when the journal has let go of the database. */
  constructor(db: IDBDatabase, loaded: Loaded, release: () => void, options: IndexedDbJournalOptions) {
    const { meta, records, newest } = loaded;
    this.#db = db;
    this.#release = release;
    this.storeId = required(meta, STORE_ID, 16);
    const generation = required(meta, GENERATION, 8);
    this.#generation = new DataView(generation.buffer, generation.byteOffset).getBigUint64(0);
    this.#records = records;
    this.#bindings = new Map([...meta].filter(([name]) => name.startsWith(BINDING_PREFIX)));
    this.#head = headOf(newest, this.storeId);
    this.#durableHead = this.#head;
    this.#newest = [...newest];
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#nowMs = options.monotonicMs;
    this.#group = new GroupCommit(this.#sink(), this.#limits);
    // The user cleared the site's data, or the browser evicted it: what is in memory is all that is left.
    db.onclose = () => this.#group.fail(new StoreError('store-io', 'the browser closed the database'));
  }

  #sink() {
    return {
      apply: (batch: readonly Item[]) => {
        this.#writing = write(this.#db, this.#generation, {
          changes: batch.flatMap(({ changes }) => changes),
          entries: batch.flatMap(({ entries }) => entries),
          bindings: batch.flatMap(({ bindings }) => bindings),
        });
      },
      sync: () => this.#writing,
      syncNow: undefined,
      nextTurn: (run: () => void) => queueMicrotask(run),
      durable: (batch: readonly Item[]) => this.#durable(batch),
      asStoreError: (cause: unknown) => indexedDbError(cause, 'writing the journal'),
    };
  }

  /** The first write: from here on, whoever had the database before finds another generation. */
  begin(): Promise<void> {
    return this.commit([], []);
  }

  get state(): JournalState {
    if (this.#closed) return 'closed';
    return this.#group.failure === undefined ? 'open' : 'failed';
  }

  get stats(): JournalStats {
    const { failure, pendingCount: pendingCommits, pendingBytes } = this.#group;
    const stats = { ...this.#counters.snapshot(), pendingCommits, pendingBytes };
    if (failure === undefined) return stats;
    return { ...stats, lastError: { code: failure.code, message: failure.message } };
  }

  get auditHead(): AuditHead {
    return this.#durableHead;
  }

  #refusal(): StoreError | undefined {
    const failure = this.#group.failure;
    if (this.#closed) return new StoreError('store-closed', 'no more calls after close');
    if (failure === undefined) return undefined;
    return new StoreError('store-failed', failure.message, { firstCode: failure.code }, { cause: failure });
  }

  #requireOpen(): void {
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
  }

  read(key: string): StoredRecord | undefined {
    checkKey(key);
    this.#requireOpen();
    const stored = this.#records.get(key);
    if (stored === undefined) return undefined;
    return { ...stored, value: stored.value === null ? null : stored.value.slice() };
  }

  keys(prefix: string): string[] {
    checkPrefix(prefix);
    this.#requireOpen();
    const found: string[] = [];
    for (const { key, value } of this.#records.values())
      if (value !== null && key.startsWith(prefix)) found.push(key);
    return found.sort();
  }

  commit(changes: readonly RecordChange[], audit: readonly Uint8Array[]): Promise<void> {
    const closing = this.#closingRefusal();
    return closing === undefined ? this.#enqueue(changes, audit, []) : Promise.reject(closing);
  }

  #enqueue(
    changes: readonly RecordChange[],
    audit: readonly Uint8Array[],
    bindings: readonly MetaRow[],
  ): Promise<void> {
    const refusal = this.#refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    try {
      const intake = takeIn(changes, audit, this.#limits, this.#nowMs());
      for (const change of intake.changes) this.#requireNext(change);
      for (const change of intake.changes) this.#records.set(change.key, change);
      const entries = intake.audit.map((body) => this.#append(body));
      return this.#group.enqueue({ ...intake, entries, bindings });
    } catch (cause) {
      // The caller's memory has gone on without us: it must not sign from it.
      const error = indexedDbError(cause, 'taking a commit in');
      this.#group.fail(error);
      return Promise.reject(error);
    }
  }

  #requireNext({ key, version }: RecordChange): void {
    const stored = this.#records.get(key)?.version ?? 0;
    if (version !== stored + 1)
      throw new StoreError('store-version-conflict', 'not the next version', { key, version, stored });
  }

  #append(body: Uint8Array): AuditEntry {
    const entry = nextEntry(this.#head, body);
    this.#head = { seq: entry.seq, hash: entry.hash };
    return entry;
  }

  #durable(batch: readonly Item[]): void {
    this.#generation += 1n;
    const entries = batch.flatMap((item) => item.entries);
    const last = entries.at(-1);
    if (last !== undefined) this.#durableHead = { seq: last.seq, hash: last.hash };
    this.#newest.push(...entries);
    // Half as many again may gather, so that the list is not copied with every commit.
    if (this.#newest.length > 1.5 * AUDIT_IN_MEMORY_MAX)
      this.#newest = this.#newest.slice(-AUDIT_IN_MEMORY_MAX);
    this.#counters.addBatch(measuresOf(batch, this.#nowMs()));
  }

  /** What is being closed takes nothing, and so makes nothing durable either. */
  #closingRefusal(): StoreError | undefined {
    if (this.#closing === undefined || this.#closed) return undefined;
    return new StoreError('store-closed', 'the journal is being closed');
  }

  /** A page cannot be made to wait: where something is on its way to the disk, this fails the journal. */
  flushNow(): void {
    const closing = this.#closingRefusal();
    if (closing !== undefined) throw closing;
    this.#requireOpen();
    if (this.#group.pendingCount === 0) return;
    const error = new StoreError('store-io', 'IndexedDB makes nothing durable while its caller waits');
    this.#group.fail(error);
    throw error;
  }

  settled(): Promise<void> {
    const refusal = this.#refusal();
    return refusal === undefined ? this.#group.settled() : Promise.reject(refusal);
  }

  async bind(name: string, value: Uint8Array): Promise<void> {
    checkBinding(name, value);
    this.#requireOpen();
    const key = BINDING_PREFIX + name;
    const bound = this.#bindings.get(key);
    if (bound === undefined) {
      const copy = value.slice();
      this.#bindings.set(key, copy);
      await this.#enqueue([], [], [metaRow(key, copy)]);
    } else if (equalBytes(bound, value)) {
      await this.settled();
    } else {
      const facts = { name, bound: toHex(bound), given: toHex(value) };
      throw new StoreError('store-bound-elsewhere', name, facts);
    }
  }

  /** Of the newest `AUDIT_IN_MEMORY_MAX`; older ones are refused with `store-limit`. */
  audit(fromSeq: number, countMax: number): AuditEntry[] {
    checkAuditRange(fromSeq, countMax);
    this.#requireOpen();
    const oldest = this.#newest[0]?.seq ?? this.#durableHead.seq + 1;
    if (fromSeq < oldest)
      throw new StoreError('store-limit', 'older entries are read with history()', { fromSeq, oldest });
    return this.#newest.slice(fromSeq - oldest, fromSeq - oldest + countMax);
  }

  /** As `audit`, of all durable entries. */
  async history(fromSeq: number, countMax: number): Promise<readonly AuditEntry[]> {
    checkAuditRange(fromSeq, countMax);
    this.#requireOpen();
    return this.#reading(() => auditRange(this.#db, fromSeq, this.#durableHead.seq, countMax));
  }

  async verifyAudit(known?: AuditHead): Promise<AuditHead> {
    this.#requireOpen();
    const head = this.#durableHead;
    const page = (afterSeq: number) =>
      this.#reading(() => auditRange(this.#db, afterSeq + 1, head.seq, PAGE_ENTRIES));
    await walk(auditGenesis(this.storeId), head, known, page);
    return head;
  }

  /** Reading what turns out to be damaged ends the journal: the medium lies. */
  async #reading<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (cause) {
      const error = indexedDbError(cause, 'reading the journal');
      this.#group.fail(error);
      throw error;
    }
  }

  async checkIntegrity(): Promise<IntegrityReport> {
    await this.settled();
    const problems: string[] = [];
    const note = (cause: unknown): void => {
      problems.push(indexedDbError(cause, 'checking the journal').message);
    };
    await load(this.#db, 1).catch(note);
    await this.verifyAudit().catch(note);
    return { problems, recordsChecked: this.#records.size, auditEntriesChecked: this.#durableHead.seq };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // A failure was told to those whose commits it took; closing is what is left to do then.
    await this.#group.settled().catch(() => undefined);
    await this.#group.quiet;
    this.#closed = true;
    this.#db.close();
    this.#release();
  }
}

function required(meta: ReadonlyMap<string, Uint8Array>, name: string, length: number): Uint8Array {
  const value = meta.get(name);
  if (value?.length !== length) throw new StoreError('store-corrupt', `${name} is missing`, { name });
  return value;
}

/** The newest entry must carry its own hash. */
function headOf(newest: readonly AuditEntry[], storeId: Uint8Array): AuditHead {
  const last = newest.at(-1);
  if (last === undefined) return { seq: 0, hash: auditGenesis(storeId) };
  const { hash } = nextEntry({ seq: last.seq - 1, hash: last.previousHash }, last.body);
  if (!equalBytes(hash, last.hash)) throw corruptAudit(last.seq, 'hash of the newest entry');
  return { seq: last.seq, hash: last.hash };
}
