/** What may compute the signatures of a large release in place of the signer's own thread. `pool.ts` is the one with threads. */
import type { SignatureJob } from '@countersign/core';

/** Below it, handing a job over costs more than it saves. */
export const POOL_JOBS_MIN = 16;

/** Computes signatures, in order. */
export interface SignaturePool {
  sign(jobs: readonly SignatureJob[]): Promise<readonly Uint8Array[]>;
}
