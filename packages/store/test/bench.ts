/**
 * Latency and throughput of the journal, and its start-up: node --conditions=source packages/store/test/bench.ts [directory]
 * Prints one line per case; the figures behind src/sqlite/flush.ts.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BLOCKING, type Flush, type Journal, OVERLAPPED, openJournal } from '../src/index.ts';

const COMMITS = 3000;
const VALUE_BYTES = 2048;
const AUDIT_BYTES = 200;
const root = mkdtempSync(join(process.argv[2] ?? tmpdir(), 'journal-bench-'));
const monotonicMs = (): number => performance.now();

function open(name: string, flush: Flush = OVERLAPPED): Journal {
  return openJournal(join(root, name), { mode: 'open-or-create', randomBytes, monotonicMs, flush });
}

function spin(ms: number): void {
  for (const endMs = performance.now() + ms; performance.now() < endMs; );
}

async function load(flush: Flush, callers: number, signingMs: number): Promise<void> {
  const journal = open(`${flush.kind}-${callers}-${signingMs}`, flush);
  const [value, audit] = [randomBytes(VALUE_BYTES), randomBytes(AUDIT_BYTES)];
  const latencies: number[] = [];
  let started = 0;
  const caller = async (number: number): Promise<void> => {
    for (let version = 1; started < COMMITS; version += 1) {
      started += 1;
      const startMs = performance.now();
      const durable = journal.commit([{ key: `channel/${number}`, version, value }], [audit]);
      spin(signingMs);
      await durable;
      latencies.push(performance.now() - startMs);
    }
  };
  const startMs = performance.now();
  await Promise.all(Array.from({ length: callers }, (_, number) => caller(number)));
  const seconds = (performance.now() - startMs) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (share: number): string => (latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(2);
  const perSecond = Math.round(latencies.length / seconds);
  const name = `${flush.kind}, ${callers} callers, ${signingMs} ms signing`;
  console.log(
    `${name}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ${perSecond}/s, ${journal.stats.batches} batches`,
  );
  await journal.close();
}

async function startUp(records: number, auditEntries: number): Promise<void> {
  const name = `start-${records}`;
  const filling = open(name);
  const value = randomBytes(VALUE_BYTES);
  const fill = async (count: number, commit: (number: number) => Promise<void>): Promise<void> => {
    for (let done = 0; done < count; done += 1000)
      await Promise.all(
        Array.from({ length: Math.min(1000, count - done) }, (_, number) => commit(done + number)),
      );
  };
  await fill(records, (number) => filling.commit([{ key: `channel/${number}`, version: 1, value }], []));
  await fill(auditEntries, () => filling.commit([], [randomBytes(AUDIT_BYTES)]));
  await filling.close();
  const timesMs: number[] = [];
  for (let round = 0; round < 7; round += 1) {
    const startMs = performance.now();
    const journal = open(name);
    timesMs.push(performance.now() - startMs);
    await journal.close();
  }
  timesMs.sort((a, b) => a - b);
  const [best, median] = [timesMs[0] ?? 0, timesMs[3] ?? 0];
  console.log(
    `open, ${records} records, ${auditEntries} audit entries: median ${median.toFixed(1)} ms, best ${best.toFixed(1)} ms`,
  );
}

try {
  const startMs = performance.now();
  const first = open('first');
  console.log(`create, including node:sqlite: ${(performance.now() - startMs).toFixed(1)} ms`);
  await first.close();
  const againMs = performance.now();
  const again = open('first');
  console.log(`open again: ${(performance.now() - againMs).toFixed(1)} ms`);
  await again.close();
  for (const signingMs of [0, 0.3])
    for (const callers of [1, 8, 32])
      for (const flush of [BLOCKING, OVERLAPPED]) await load(flush, callers, signingMs);
  await startUp(100, 1000);
  await startUp(1000, 5000);
  await startUp(10_000, 10_000);
} finally {
  rmSync(root, { recursive: true, force: true });
}
