/**
 * The embedded journal on `node:sqlite`: write-ahead log, one exclusive connection, group commit. What it acknowledges
 * has been synced; the first failure ends it, and reopening finds every acknowledged commit and no part of another.
 */
import { closeSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
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
  type OpenMode,
  type RecordChange,
  type StoredRecord,
} from '../journal.ts';
import { Witness } from '../witness.ts';
import { AuditLog } from './audit.ts';
import { type OpenDatabase, openDatabase, pageProblems } from './database.ts';
import { storeError } from './failure.ts';
import { BLOCKING, type Flush } from './flush.ts';
import type { Meta } from './meta.ts';
import { Records } from './records.ts';
import { MIGRATIONS, type MigrationPlan } from './schema.ts';

export interface JournalOptions {
  readonly mode: OpenMode;
  /** Only the store id is drawn from it, once. */
  readonly randomBytes: (count: number) => Uint8Array;
  /** A clock that never goes back, in milliseconds; only latencies are taken from it. */
  readonly monotonicMs: () => number;
  readonly limits?: Partial<JournalLimits>;
  readonly flush?: Flush;
  /** A file beyond the reach of who may write to the store: see witness.ts. It must exist; an empty one begins here. */
  readonly witnessFile?: string | undefined;
  /** Another schema than this release's; for tests of migration. */
  readonly migrations?: MigrationPlan;
}

/**
 * Open the store in a directory, which is created (0700) if the mode allows. Takes the exclusive lock until `close` or
 * the end of the process. The process must not open the database file by other means meanwhile.
 * @throws StoreError `store-locked`, `store-missing`, `store-exists`, `store-corrupt`, `store-newer-schema`,
 * `store-read-only`, `store-disk-full`, `store-io`; with a witness `store-rolled-back`, `store-witness`
 */
export function openJournal(directory: string, options: JournalOptions): Journal {
  const { mode, randomBytes, migrations: plan = MIGRATIONS } = options;
  requireOutside(directory, options.witnessFile);
  const opened = openDatabase(directory, { mode, randomBytes, plan });
  try {
    return new SqliteJournal(opened, options);
  } catch (cause) {
    closeSync(opened.walFd);
    opened.db.close();
    throw storeError(cause, 'opening the journal');
  }
}

/** In the store's own directory it would be rolled back along with the store. */
function requireOutside(directory: string, witnessFile: string | undefined): void {
  if (witnessFile === undefined || !resolve(witnessFile).startsWith(resolve(directory) + sep)) return;
  const facts = { directory, witness: witnessFile };
  throw new StoreError('store-witness', `${witnessFile} lies in the directory of the store`, facts);
}

const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class SqliteJournal implements Journal {
  readonly storeId: Uint8Array;
  readonly #db: DatabaseSync;
  readonly #walFd: number;
  readonly #meta: Meta;
  readonly #records: Records;
  readonly #auditLog: AuditLog;
  readonly #begin: StatementSync;
  readonly #commitTransaction: StatementSync;
  readonly #limits: JournalLimits;
  readonly #nowMs: () => number;
  readonly #counters = new JournalCounters();
  readonly #group: GroupCommit<Intake>;
  readonly #witness: Witness | undefined;
  /** Enqueued and not yet written; what is written is read from SQLite. */
  readonly #ahead = new Map<string, RecordChange>();
  #durableHead: AuditHead;
  #closing: Promise<void> | undefined;
  #closed = false;

  constructor(opened: OpenDatabase, options: JournalOptions) {
    const { db, walFd, meta, storeId } = opened;
    this.#db = db;
    this.#walFd = walFd;
    this.#meta = meta;
    this.storeId = storeId;
    this.#records = new Records(db);
    this.#auditLog = new AuditLog(db, storeId);
    this.#durableHead = this.#auditLog.head;
    this.#begin = db.prepare('BEGIN IMMEDIATE');
    this.#commitTransaction = db.prepare('COMMIT');
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#nowMs = options.monotonicMs;
    this.#group = this.#groupCommit(options.flush ?? BLOCKING);
    this.#witness = this.#witnessed(options);
  }

  #groupCommit(flush: Flush): GroupCommit<Intake> {
    // NORMAL only where the log is synced by us before anything is acknowledged: see flush.ts.
    if (flush.kind === 'overlapped') this.#db.exec('PRAGMA synchronous = NORMAL');
    const sink = {
      apply: (batch: readonly Intake[]) => this.#apply(batch),
      sync: flush.kind === 'overlapped' ? async () => flush.syncFile(this.#walFd) : undefined,
      syncNow: flush.kind === 'overlapped' ? () => flush.syncFileNow(this.#walFd) : undefined,
      nextTurn: (run: () => void) => setImmediate(run),
      durable: (batch: readonly Intake[]) => this.#durable(batch),
      asStoreError: (cause: unknown) => storeError(cause, 'writing the journal'),
    };
    return new GroupCommit(sink, this.#limits);
  }

  #witnessed({ witnessFile, randomBytes }: JournalOptions): Witness | undefined {
    if (witnessFile === undefined) return undefined;
    const store = { head: this.#auditLog.head, hashAt: (seq: number) => this.#auditLog.hashAt(seq) };
    return new Witness(witnessFile, store, randomBytes);
  }

  get state(): JournalState {
    if (this.#closed) return 'closed';
    return this.#group.failure === undefined ? 'open' : 'failed';
  }

  get stats(): JournalStats {
    const { failure, pendingCount: pendingCommits, pendingBytes } = this.#group;
    const stats = { ...this.#counters.snapshot(), pendingCommits, pendingBytes };
    return failure === undefined
      ? stats
      : { ...stats, lastError: { code: failure.code, message: failure.message } };
  }

  get auditHead(): AuditHead {
    return this.#durableHead;
  }

  /** Undefined while the journal is of use; otherwise what every further call is told. */
  #refusal(): StoreError | undefined {
    const failure = this.#group.failure;
    if (this.#closed) return new StoreError('store-closed', 'no more calls after close');
    if (failure === undefined) return undefined;
    return new StoreError('store-failed', failure.message, { firstCode: failure.code }, { cause: failure });
  }

  /** Reading what turns out to be damaged or unreadable ends the journal: the medium lies. */
  #reading<T>(read: () => T): T {
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
    try {
      return read();
    } catch (cause) {
      const error = storeError(cause, 'reading the journal');
      this.#group.fail(error);
      throw error;
    }
  }

  read(key: string): StoredRecord | undefined {
    checkKey(key);
    return this.#reading(() => {
      const ahead = this.#ahead.get(key);
      if (ahead === undefined) return this.#records.read(key);
      const { version, value } = ahead;
      return { key, version, value: value === null ? null : Uint8Array.from(value) };
    });
  }

  keys(prefix: string): string[] {
    checkPrefix(prefix);
    return this.#reading(() => {
      const written = this.#records.keys(prefix);
      const ahead = [...this.#ahead.values()].filter((change) => change.key.startsWith(prefix));
      if (ahead.length === 0) return written;
      const keys = new Set(written);
      for (const { key, value } of ahead) {
        if (value === null) keys.delete(key);
        else keys.add(key);
      }
      return [...keys].sort();
    });
  }

  commit(changes: readonly RecordChange[], audit: readonly Uint8Array[]): Promise<void> {
    const refusal = this.#commitRefusal();
    return refusal === undefined ? this.#enqueue(changes, audit) : Promise.reject(refusal);
  }

  #enqueue(changes: readonly RecordChange[], audit: readonly Uint8Array[]): Promise<void> {
    try {
      const intake = takeIn(changes, audit, this.#limits, this.#nowMs());
      for (const change of intake.changes) this.#ahead.set(change.key, change);
      return this.#group.enqueue(intake);
    } catch (cause) {
      // The caller's memory has gone on without us: it must not sign from it.
      const error = storeError(cause, 'taking a commit in');
      this.#group.fail(error);
      return Promise.reject(error);
    }
  }

  /** One transaction. A throw leaves it open: the journal has failed then, and closing rolls it back. */
  #apply(batch: readonly Intake[]): void {
    this.#begin.run();
    for (const { changes, audit } of batch) {
      for (const change of changes) this.#records.write(change);
      for (const body of audit) this.#auditLog.append(body);
    }
    this.#commitTransaction.run();
    for (const change of batch.flatMap((intake) => intake.changes)) {
      if (this.#ahead.get(change.key) === change) this.#ahead.delete(change.key);
    }
  }

  #durable(batch: readonly Intake[]): void {
    // Batches do not overlap, and one that is written now takes the one under way with it: the head is this batch's.
    this.#durableHead = this.#auditLog.head;
    this.#witness?.confirm(this.#durableHead);
    this.#counters.addBatch(measuresOf(batch, this.#nowMs()));
  }

  /** What is being closed can still be read, but takes nothing, and so makes nothing durable either. */
  #commitRefusal(): StoreError | undefined {
    if (this.#closing !== undefined && !this.#closed)
      return new StoreError('store-closed', 'the journal is being closed');
    return this.#refusal();
  }

  flushNow(): void {
    const refusal = this.#commitRefusal();
    if (refusal !== undefined) throw refusal;
    this.#group.flushNow();
  }

  settled(): Promise<void> {
    const refusal = this.#refusal();
    return refusal === undefined ? this.#group.settled() : Promise.reject(refusal);
  }

  async bind(name: string, value: Uint8Array): Promise<void> {
    checkBinding(name, value);
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
    try {
      this.#meta.bind(name, value);
    } catch (cause) {
      const error = storeError(cause, 'binding the journal');
      if (error.code !== 'store-bound-elsewhere') this.#group.fail(error);
      throw error;
    }
    // Written; the sync of an empty commit makes it durable.
    await this.commit([], []);
  }

  audit(fromSeq: number, countMax: number): AuditEntry[] {
    checkAuditRange(fromSeq, countMax);
    return this.#reading(() => this.#auditLog.range(fromSeq, this.#durableHead.seq, countMax));
  }

  async verifyAudit(known?: AuditHead): Promise<AuditHead> {
    const head = this.#durableHead;
    const refuse = (): void => {
      const refusal = this.#refusal();
      if (refusal !== undefined) throw refusal;
    };
    refuse();
    await this.#auditLog.verify(head, known, () => pause().then(refuse));
    return head;
  }

  async checkIntegrity(): Promise<IntegrityReport> {
    await this.settled();
    const records = this.#reading(() => this.#records.check(this.#db));
    const problems = pageProblems(this.#db, 'all');
    problems.push(...records.bad.map((key) => `checksum of record ${key}`));
    await this.verifyAudit().catch((cause: unknown) => {
      problems.push(storeError(cause, 'verifying the audit log').message);
    });
    return { problems, recordsChecked: records.rows, auditEntriesChecked: this.#durableHead.seq };
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
    try {
      this.#witness?.close();
      closeSync(this.#walFd);
      this.#db.close();
    } catch (cause) {
      throw storeError(cause, 'closing the journal');
    }
  }
}
