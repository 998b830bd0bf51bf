/**
 * Group commit: what is enqueued while one batch is on its way to the disk forms the next batch, so that many channels
 * share one sync. Promises: first in, first durable; one batch at a time; the first failure is final.
 */
import { StoreError } from './error.ts';
import type { JournalLimits } from './journal.ts';

export interface Enqueued {
  readonly bytes: number;
}

/** Where batches go. `apply` writes (all or nothing, synchronously), `sync` makes durable what was written. */
export interface BatchSink<T extends Enqueued> {
  apply(batch: readonly T[]): void;
  /** Undefined: `apply` itself returns only when durable. */
  readonly sync: (() => Promise<void>) | undefined;
  /** As `sync`, and returns only when it is done. */
  readonly syncNow: (() => void) | undefined;
  /** Runs it once the current turn is over. */
  readonly nextTurn: (run: () => void) => void;
  /** Called once a batch is durable, before its promises resolve; a throw fails the journal, and they reject. */
  durable(batch: readonly T[]): void;
  /** Any error, as the StoreError that callers are given. */
  asStoreError(cause: unknown): StoreError;
}

interface Waiting<T> {
  readonly item: T;
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (reason: StoreError) => void;
}

export class GroupCommit<T extends Enqueued> {
  readonly #sink: BatchSink<T>;
  readonly #limits: JournalLimits;
  #pending: Waiting<T>[] = [];
  #pendingBytes = 0;
  #batch: Waiting<T>[] = [];
  #batchBytes = 0;
  #running = false;
  #failure: StoreError | undefined;
  /** The sync under way; settles also when the journal failed meanwhile. Never rejects. */
  #syncing: Promise<void> = Promise.resolve();

  constructor(sink: BatchSink<T>, limits: JournalLimits) {
    this.#sink = sink;
    this.#limits = limits;
  }

  get failure(): StoreError | undefined {
    return this.#failure;
  }

  get pendingCount(): number {
    return this.#pending.length + this.#batch.length;
  }

  get pendingBytes(): number {
    return this.#pendingBytes + this.#batchBytes;
  }

  /** Resolves when no sync is under way, whatever its outcome: the file may be closed then. */
  get quiet(): Promise<void> {
    return this.#syncing;
  }

  /** The caller has checked `failure` and the bounds of the item itself. */
  enqueue(item: T): Promise<void> {
    const { pendingCommitsMax, pendingBytesMax } = this.#limits;
    if (this.pendingCount >= pendingCommitsMax || this.pendingBytes + item.bytes > pendingBytesMax) {
      const facts = { pendingCommits: this.pendingCount, pendingBytes: this.pendingBytes };
      const error = new StoreError('store-limit', 'too much waits for the disk', facts);
      this.fail(error);
      return Promise.reject(error);
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#pending.push({ item, promise, resolve, reject });
    this.#pendingBytes += item.bytes;
    if (!this.#running) this.#start();
    return promise;
  }

  /** Resolves with the last of what is enqueued now. */
  settled(): Promise<void> {
    const last = this.#pending.at(-1) ?? this.#batch.at(-1);
    return last === undefined ? Promise.resolve() : last.promise;
  }

  /**
   * Blocks: what is enqueued now is durable when this returns, what is under way with it. For a caller that can't wait for a
   * promise.
   * @throws StoreError what the journal failed with
   */
  flushNow(): void {
    if (this.#failure === undefined && this.pendingCount > 0) this.#writeNow();
    if (this.#failure !== undefined) throw this.#failure;
  }

  #writeNow(): void {
    const written = this.#batch;
    try {
      while (this.#pending.length > 0) {
        const part = this.#take();
        // Whoever waits for it is told if it fails.
        this.#batch = [...this.#batch, ...part];
        this.#sink.apply(part.map(({ item }) => item));
      }
      this.#sink.syncNow?.();
    } catch (cause) {
      this.fail(this.#sink.asStoreError(cause));
      return;
    }
    // A new array: the sync under way, if there is one, finds that its batch is done.
    if (this.#batch === written) this.#batch = [...written];
    this.#finish(this.#batch);
  }

  /** Final: all that waits is rejected with this error, also what is being synced. */
  fail(error: StoreError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    const lost = [...this.#batch, ...this.#pending];
    this.#batch = [];
    this.#pending = [];
    this.#batchBytes = 0;
    this.#pendingBytes = 0;
    for (const waiting of lost) waiting.reject(error);
  }

  /**
   * From rest, an asynchronous sync starts in the caller's own turn: the caller computes its signatures meanwhile.
   * A blocking one waits for the end of the turn, so that others of the same turn can join.
   */
  #start(): void {
    this.#running = true;
    if (this.#sink.sync === undefined) this.#sink.nextTurn(() => this.#run());
    else this.#run();
  }

  /** The next batch; none of it waits any more. */
  #take(): Waiting<T>[] {
    const { batchCommitsMax, batchBytesMax } = this.#limits;
    let count = 0;
    let bytes = 0;
    for (const { item } of this.#pending) {
      if (count === batchCommitsMax || (count > 0 && bytes + item.bytes > batchBytesMax)) break;
      count += 1;
      bytes += item.bytes;
    }
    this.#pendingBytes -= bytes;
    this.#batchBytes += bytes;
    return this.#pending.splice(0, count);
  }

  #run(): void {
    if (this.#failure !== undefined) return;
    if (this.#pending.length === 0) {
      // It was made durable without waiting for this turn.
      this.#running = false;
      return;
    }
    const batch = this.#take();
    this.#batch = batch;
    try {
      this.#sink.apply(batch.map(({ item }) => item));
    } catch (cause) {
      this.fail(this.#sink.asStoreError(cause));
      return;
    }
    if (this.#sink.sync === undefined) {
      this.#finish(batch);
      this.#goOn();
      return;
    }
    this.#syncing = this.#sink.sync().then(
      () => {
        this.#finish(batch);
        this.#goOn();
      },
      (cause: unknown) => this.fail(this.#sink.asStoreError(cause)),
    );
  }

  /** A batch that is not the one under way has been made durable before, together with what came after it. */
  #finish(batch: Waiting<T>[]): void {
    if (this.#failure !== undefined || this.#batch !== batch) return;
    try {
      this.#sink.durable(batch.map(({ item }) => item));
    } catch (cause) {
      this.fail(this.#sink.asStoreError(cause));
      return;
    }
    this.#batch = [];
    this.#batchBytes = 0;
    for (const waiting of batch) waiting.resolve();
  }

  #goOn(): void {
    if (this.#failure !== undefined) return;
    this.#running = this.#pending.length > 0;
    // The released replies go first; what the node asks next may still join the batch.
    if (this.#running) this.#sink.nextTurn(() => this.#run());
  }
}
