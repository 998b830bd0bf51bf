/**
 * Threads that hold the keys and compute the signatures of one large release together. What they give is what the signer itself
 * would compute, byte for byte; which of them does what is of no consequence.
 */
import { Worker } from 'node:worker_threads';
import { CountersignError, equalBytes } from '@countersign/bitcoin';
import type { SignatureJob } from '@countersign/core';
import type { FromWorker, ToWorker, WorkerKeys } from './messages.ts';
import type { SignaturePool } from './signature-pool.ts';

/** Sources run as they are in tests: a thread needs to be told so again. */
const IS_SOURCE = import.meta.url.endsWith('.ts');
const PROGRAM = new URL(IS_SOURCE ? './worker.ts' : './worker.js', import.meta.url);
const EXEC_ARGUMENTS = IS_SOURCE ? ['--conditions=source', '--disable-warning=ExperimentalWarning'] : [];

const ENDED = 'a signing thread has ended';

interface Waiting {
  readonly resolve: (signatures: readonly Uint8Array[]) => void;
  readonly reject: (error: Error) => void;
}

class Thread {
  readonly #worker = new Worker(PROGRAM, { execArgv: EXEC_ARGUMENTS });
  readonly #waiting = new Map<number, Waiting>();
  readonly #ready = Promise.withResolvers<Uint8Array>();
  readonly #ended = Promise.withResolvers<void>();
  #ids = 0;
  #failure: Error | null = null;

  constructor() {
    // Nobody waits for it where `open` has failed already.
    this.#ready.promise.catch(() => {});
    this.#worker.on('message', (message: FromWorker) => this.#onMessage(message));
    this.#worker.on('error', (error: Error) => this.#fail(error));
    this.#worker.on('exit', () => {
      this.#fail(new TypeError(ENDED));
      this.#ended.resolve();
    });
  }

  /** The node id of the keys it has now. Its own copy of them: the caller's stays. */
  open(keys: WorkerKeys): Promise<Uint8Array> {
    const copy = { ...keys, hsmSecret: keys.hsmSecret.slice(), passphrase: keys.passphrase?.slice() ?? null };
    const moved = [copy.hsmSecret, copy.passphrase].flatMap((bytes) =>
      bytes === null ? [] : [bytes.buffer],
    );
    this.#post({ kind: 'keys', ...copy }, moved);
    return this.#ready.promise;
  }

  sign(jobs: readonly SignatureJob[]): Promise<readonly Uint8Array[]> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const id = this.#ids++;
    const { promise, resolve, reject } = Promise.withResolvers<readonly Uint8Array[]>();
    this.#waiting.set(id, { resolve, reject });
    this.#post({ kind: 'jobs', id, jobs }, []);
    return promise;
  }

  /**
   * Nobody waits for it any more; it ends when it has signed what it was given. Ended by force within a signature, the native library
   * takes the process with it.
   */
  close(): Promise<void> {
    this.#fail(new TypeError(ENDED));
    this.#post({ kind: 'end' }, []);
    return this.#ended.promise;
  }

  /** What is moved is gone here: no second copy of the keys stays behind. */
  #post(message: ToWorker, moved: ArrayBufferLike[]): void {
    // The process lives for what it waits for, not for threads that wait for it.
    this.#worker.ref();
    this.#worker.postMessage(message, moved as ArrayBuffer[]);
  }

  #onMessage(message: FromWorker): void {
    if (message.kind === 'ready') {
      this.#ready.resolve(message.nodeId);
    } else {
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      waiting?.resolve(message.signatures);
    }
    // One that is told to end is waited for.
    if (this.#waiting.size === 0 && this.#failure === null) this.#worker.unref();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#ready.reject(error);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

export class WorkerPool implements SignaturePool {
  readonly #threads: readonly Thread[];

  private constructor(threads: readonly Thread[]) {
    this.#threads = threads;
  }

  /** Rejects when a thread cannot open the keys, or opens those of another node than `nodeId`. The caller wipes `keys`. */
  static async open(count: number, keys: WorkerKeys, nodeId: Uint8Array): Promise<WorkerPool> {
    const pool = new WorkerPool(Array.from({ length: count }, () => new Thread()));
    try {
      const ids = await Promise.all(pool.#threads.map((thread) => thread.open(keys)));
      if (ids.some((id) => !equalBytes(id, nodeId)))
        throw new CountersignError('signing-threads', 'a signing thread has other keys than its signer');
      return pool;
    } catch (error) {
      await pool.close();
      throw error;
    }
  }

  async sign(jobs: readonly SignatureJob[]): Promise<readonly Uint8Array[]> {
    const shares = split(jobs, this.#threads.length);
    const signed = await Promise.all(shares.map((share, i) => this.#threads[i]!.sign(share)));
    return signed.flat();
  }

  /** What is not signed by now is rejected. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }
}

/** Into at most `count` parts of nearly one length, none empty. */
function split(jobs: readonly SignatureJob[], count: number): (readonly SignatureJob[])[] {
  const size = Math.max(1, Math.ceil(jobs.length / count));
  const parts: (readonly SignatureJob[])[] = [];
  for (let i = 0; i < jobs.length; i += size) parts.push(jobs.slice(i, i + size));
  return parts;
}
