/** The journal's counters: what a histogram of latencies says at its bounds and beyond them. */
import { describe, expect, it } from 'vitest';
import { JournalCounters } from '../src/counters.ts';

const commit = (latencyMs: number) => ({ records: 2, auditEntries: 1, bytes: 100, latencyMs });

describe('the counters of a journal', () => {
  it('begin with nothing', () => {
    const { latency, ...counts } = new JournalCounters().snapshot();
    expect(counts).toEqual({ commits: 0, batches: 0, records: 0, auditEntries: 0, bytes: 0 });
    expect(latency).toMatchObject({ sumMs: 0, maxMs: 0 });
    expect(latency.counts).toEqual(new Array(latency.boundsMs.length + 1).fill(0));
  });

  it('put a latency into the bucket whose bound it does not pass, and what passes all of them into the last', () => {
    const counters = new JournalCounters();
    const { boundsMs } = counters.snapshot().latency;
    // At each bound, just above each bound: one in the first bucket, two in each one after it, one beyond.
    for (const bound of boundsMs) counters.addBatch([commit(bound), commit(bound + 0.001)]);
    const { latency } = counters.snapshot();
    expect(latency.counts).toEqual([1, ...new Array(boundsMs.length - 1).fill(2), 1]);
    expect(latency.maxMs).toBe(boundsMs.at(-1)! + 0.001);
    counters.addBatch([commit(60_000)]);
    expect(counters.snapshot().latency.counts.at(-1)).toBe(2);
    expect(counters.snapshot().latency.maxMs).toBe(60_000);
    // A snapshot is of its moment.
    expect(latency.counts.at(-1)).toBe(1);
  });

  it('count a batch once and its commits each', () => {
    const counters = new JournalCounters();
    counters.addBatch([commit(1), commit(2), commit(3)]);
    counters.addBatch([]);
    expect(counters.snapshot()).toMatchObject({
      commits: 3,
      batches: 2,
      records: 6,
      auditEntries: 3,
      bytes: 300,
      latency: { sumMs: 6, maxMs: 3 },
    });
  });
});
