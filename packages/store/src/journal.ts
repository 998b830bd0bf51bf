/**
 * The journal: the one writer of the signer's state. A commit makes a set of changed records and audit entries
 * durable together or not at all; nothing the signer releases may leave before the promise of its commit resolves.
 */

/** `create`: there must be no store yet. `open`: there must be one; a lost one is not taken for a new signer. */
export type OpenMode = 'open' | 'create' | 'open-or-create';

/** One record's next value. Versions of a key are contiguous: the first is 1, a tombstone counts as a version too. */
export interface RecordChange {
  /** 1–255 printable ASCII characters without space, e.g. `channel/<id>`. At most once per commit. */
  readonly key: string;
  /** The new version: exactly the stored one plus one. */
  readonly version: number;
  /** The new value; null is a tombstone. The row stays, so that the versions of the key never start again. */
  readonly value: Uint8Array | null;
}

/** A record as it was read. */
export interface StoredRecord {
  readonly key: string;
  readonly version: number;
  readonly value: Uint8Array | null;
}

/** One link of the audit log: `hash = sha256(previousHash ‖ seq as u64 big-endian ‖ body)`. */
export interface AuditEntry {
  /** Starts at 1, without gaps. */
  readonly seq: number;
  readonly previousHash: Uint8Array;
  readonly hash: Uint8Array;
  readonly body: Uint8Array;
}

/** The newest durable link. An operator who keeps it elsewhere can prove later that the log was not cut or rewritten. */
export interface AuditHead {
  /** 0 when the log is empty; the hash is then the store's genesis hash. */
  readonly seq: number;
  readonly hash: Uint8Array;
}

/** `failed` is final: a commit could not be made durable, so whoever holds state in memory must stop signing. */
export type JournalState = 'open' | 'failed' | 'closed';

/** `counts[i]`: commits that took at most `boundsMs[i]` and more than the bound before it. */
export interface LatencyHistogram {
  readonly boundsMs: readonly number[];
  /** One longer than `boundsMs`; the last bucket is everything slower. */
  readonly counts: readonly number[];
  readonly sumMs: number;
  readonly maxMs: number;
}

/** What a journal has done since it was opened. */
export interface JournalStats {
  /** Acknowledged commits; the other counters count what these held. */
  readonly commits: number;
  /** Transactions that carried them, one sync each. */
  readonly batches: number;
  readonly records: number;
  readonly auditEntries: number;
  /** Bytes of keys, values and audit bodies. */
  readonly bytes: number;
  /** Enqueued and not yet durable. */
  readonly pendingCommits: number;
  readonly pendingBytes: number;
  /** From the call of `commit` to durable. */
  readonly latency: LatencyHistogram;
  /** What made the journal fail. */
  readonly lastError?: { readonly code: string; readonly message: string };
}

/** What a full check found; an empty list is a sound store. */
export interface IntegrityReport {
  readonly problems: readonly string[];
  readonly recordsChecked: number;
  readonly auditEntriesChecked: number;
}

/** The one writer of a signer’s state. Only one may be open on a store. */
export interface Journal {
  /** Random, 16 bytes, drawn when the store was created. */
  readonly storeId: Uint8Array;
  readonly state: JournalState;
  readonly stats: JournalStats;
  /** Durable entries only. */
  readonly auditHead: AuditHead;

  /**
   * The newest value of a key, durable or enqueued: a caller that releases something because of what it read, without
   * a commit of its own, must await `settled()` first. Undefined: the key was never written.
   * @throws StoreError `store-corrupt` (and the journal is failed), `store-failed`, `store-closed`
   */
  read(key: string): StoredRecord | undefined;

  /** Keys that begin with `prefix` and have a value (no tombstones), durable or enqueued, in ascending order. */
  keys(prefix: string): string[];

  /**
   * Enqueue and make durable, all or nothing. Commits become durable in the order of the calls. The bytes are copied.
   * Every rejection is final for the journal: from then on each commit rejects with `store-failed`.
   * Rejects with StoreError `store-version-conflict`, `store-disk-full`, `store-read-only`, `store-io`,
   * `store-limit`, `store-failed`; after `close` with `store-closed`.
   */
  commit(changes: readonly RecordChange[], audit: readonly Uint8Array[]): Promise<void>;

  /**
   * Blocks until all that was enqueued before the call is durable, for callers that can't wait for a promise: their nodes
   * take no other answer. The promises of those commits resolve later, as always.
   * @throws StoreError what `commit` would reject with; the journal has failed then
   */
  flushNow(): void;

  /** Resolves when all that was enqueued before the call is durable. */
  settled(): Promise<void>;

  /**
   * Tie the store to what it belongs to (network, node id). The first call of a name writes the value, later calls
   * must give the same one. Rejects with `store-bound-elsewhere`, which leaves the journal usable.
   */
  bind(name: string, value: Uint8Array): Promise<void>;

  /** Durable entries `fromSeq` and following, at most `countMax` (1–10,000) of them. */
  audit(fromSeq: number, countMax: number): AuditEntry[];

  /**
   * Walk the whole chain. With `known` (a head kept elsewhere), that link must be on it too.
   * Rejects with `store-corrupt` and the first bad `seq`. Resolves to the head that was reached.
   */
  verifyAudit(known?: AuditHead): Promise<AuditHead>;

  /** Everything that can be checked, however long it takes: pages, indexes, checksums of all rows, the audit chain. */
  checkIntegrity(): Promise<IntegrityReport>;

  /** Make durable what is enqueued and let go of the store. Later calls are no-ops. */
  close(): Promise<void>;
}

/** Bounds of one journal. Beyond them a commit is refused with `store-limit`: something upstream is broken. */
export interface JournalLimits {
  readonly recordBytesMax: number;
  readonly auditBodyBytesMax: number;
  readonly changesPerCommitMax: number;
  readonly pendingCommitsMax: number;
  readonly pendingBytesMax: number;
  /** A batch is closed when it holds this many commits… */
  readonly batchCommitsMax: number;
  /** …or this many bytes (a single larger commit is a batch of its own). */
  readonly batchBytesMax: number;
}

const MIB = 1024 * 1024;

/** Far above what a signer needs. */
export const DEFAULT_LIMITS: JournalLimits = {
  recordBytesMax: 16 * MIB,
  auditBodyBytesMax: 1 * MIB,
  changesPerCommitMax: 65_536,
  pendingCommitsMax: 16_384,
  pendingBytesMax: 128 * MIB,
  batchCommitsMax: 1024,
  batchBytesMax: 8 * MIB,
};
