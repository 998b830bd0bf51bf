/**
 * What the journal has done so far: counts, bytes, and a latency histogram with fixed buckets (constant memory).
 */
import type { Intake } from './intake.ts';
import type { JournalStats } from './journal.ts';

const BOUNDS_MS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1000] as const;

/** What one acknowledged commit adds. */
export interface CommitMeasure {
  readonly records: number;
  readonly auditEntries: number;
  readonly bytes: number;
  readonly latencyMs: number;
}

/** Of commits that are durable now. */
export function measuresOf(batch: readonly Intake[], nowMs: number): readonly CommitMeasure[] {
  return batch.map(({ changes, audit, bytes, enqueuedMs }) => ({
    records: changes.length,
    auditEntries: audit.length,
    bytes,
    latencyMs: nowMs - enqueuedMs,
  }));
}

export class JournalCounters {
  #commits = 0;
  #batches = 0;
  #records = 0;
  #auditEntries = 0;
  #bytes = 0;
  readonly #latencyCounts: number[] = new Array<number>(BOUNDS_MS.length + 1).fill(0);
  #latencySumMs = 0;
  #latencyMaxMs = 0;

  addBatch(commits: readonly CommitMeasure[]): void {
    this.#batches += 1;
    for (const commit of commits) {
      this.#commits += 1;
      this.#records += commit.records;
      this.#auditEntries += commit.auditEntries;
      this.#bytes += commit.bytes;
      this.#addLatency(commit.latencyMs);
    }
  }

  #addLatency(ms: number): void {
    const found = BOUNDS_MS.findIndex((bound) => ms <= bound);
    const bucket = found === -1 ? BOUNDS_MS.length : found;
    this.#latencyCounts[bucket]! += 1;
    this.#latencySumMs += ms;
    this.#latencyMaxMs = Math.max(this.#latencyMaxMs, ms);
  }

  snapshot(): Omit<JournalStats, 'pendingCommits' | 'pendingBytes' | 'lastError'> {
    return {
      commits: this.#commits,
      batches: this.#batches,
      records: this.#records,
      auditEntries: this.#auditEntries,
      bytes: this.#bytes,
      latency: {
        boundsMs: BOUNDS_MS,
        counts: [...this.#latencyCounts],
        sumMs: this.#latencySumMs,
        maxMs: this.#latencyMaxMs,
      },
    };
  }
}
