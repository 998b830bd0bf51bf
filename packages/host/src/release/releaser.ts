/**
 * Carries out what was decided: at once and in this thread, except for a release with many signatures where there are threads for
 * them. What is released for one channel comes out in the order in which it was decided, wherever it was computed.
 */
import { assemble, isBatch, jobsOf, type KeyRing, perform, type Release } from '@countersign/core';
import type { Reply } from '@countersign/wire';
import { POOL_JOBS_MIN, type SignaturePool } from './signature-pool.ts';

export class Releaser {
  readonly #ring: KeyRing;
  readonly #pool: SignaturePool | null;
  /** By channel: the last release that is still being computed elsewhere. */
  readonly #pending = new Map<string, Promise<Reply>>();

  constructor(ring: KeyRing, pool: SignaturePool | null) {
    this.#ring = ring;
    this.#pool = pool;
  }

  /** `channel` is null for what the node itself asks. A rejection is a bug. */
  release(channel: string | null, release: Release): Reply | Promise<Reply> {
    const key = channel ?? '';
    const before = this.#pending.get(key);
    const elsewhere = this.#elsewhere(release);
    if (elsewhere === null) {
      const reply = perform(this.#ring, release);
      return before === undefined ? reply : this.#after(key, before, Promise.resolve(reply));
    }
    return this.#after(key, before, elsewhere);
  }

  /** In this thread, for a caller that takes no promise. What was released before it, it has taken already. */
  releaseNow(release: Release): Reply {
    return perform(this.#ring, release);
  }

  /** Null for what this thread does itself. */
  #elsewhere(release: Release): Promise<Reply> | null {
    if (this.#pool === null || !isBatch(release)) return null;
    const jobs = jobsOf(release);
    if (jobs.length < POOL_JOBS_MIN) return null;
    return this.#pool.sign(jobs).then((signatures) => assemble(release, signatures));
  }

  #after(key: string, before: Promise<Reply> | undefined, reply: Promise<Reply>): Promise<Reply> {
    const ordered = (async () => {
      await before;
      return reply;
    })();
    this.#pending.set(key, ordered);
    const forget = (): void => {
      if (this.#pending.get(key) === ordered) this.#pending.delete(key);
    };
    // Whoever asked is told of a rejection; here it only ends the wait.
    ordered.then(forget, forget);
    return ordered;
  }
}
