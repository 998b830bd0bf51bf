/**
 * What a replay amounts to: counts, refusals by tag, latencies by message type, and what the store did. Plain data, so
 * that the same report is printed as a table and as JSON.
 */
import type { PlayResult } from './player.ts';
import type { RecordedMessage } from './recording.ts';

export interface RefusalGroup {
  readonly tag: string;
  readonly count: number;
  /** What the refusals with this tag said, each sentence once, without tag and facts; at most three. */
  readonly sentences: readonly string[];
  /** Where they came, each once: `scenario/node`. */
  readonly where: readonly string[];
}

export interface Mismatch {
  readonly scenario: string;
  readonly node: string;
  readonly seq: number;
  readonly type: string;
  readonly what: string;
}

export interface Fault {
  readonly scenario: string;
  readonly node: string;
  readonly what: string;
}

/** Times in microseconds, from the first byte sent to the last byte received. */
export interface LatencyRow {
  readonly type: string;
  readonly count: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Median of Core Lightning's own hsmd when the session was recorded, without a socket. */
  readonly recordedP50Us: number;
}

export interface StoreRow {
  readonly commits: number;
  readonly batches: number;
  readonly records: number;
  /** While requests were being answered: starts and ends of processes do not count. */
  readonly commitsPerSecond: number;
  readonly batchesPerSecond: number;
}

export interface ReplayReport {
  readonly hsmd: string;
  readonly recordings: number;
  readonly processes: number;
  readonly requests: number;
  readonly identical: number;
  readonly refused: number;
  readonly refusals: readonly RefusalGroup[];
  readonly mismatches: readonly Mismatch[];
  readonly faults: readonly Fault[];
  readonly latencies: readonly LatencyRow[];
  /** Null when the hsmd does not tell. */
  readonly store: StoreRow | null;
  readonly playedMs: number;
}

const SENTENCES_MAX = 3;
/** Its answer waits for the start of the process. */
const INIT = 11;

/** Nearest-rank quantile of sorted values; 0 for none. */
export function quantile(sorted: readonly number[], fraction: number): number {
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(fraction * sorted.length) - 1))] ?? 0;
}

function sorted(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}

function whereOf(result: PlayResult): { scenario: string; node: string } {
  return { scenario: result.recording.scenario, node: result.recording.node };
}

/** A refusal's own sentence, without the tag before it and the facts after it. */
export function sentenceOf(tag: string, text: string): string {
  const said = text.startsWith(`${tag}: `) ? text.slice(tag.length + 2) : text;
  return said.replace(/ \[[^\]]*\]( \(temporary[^)]*\))?$/, '$1');
}

function groupRefusals(results: readonly PlayResult[]): RefusalGroup[] {
  const refused = results.flatMap((result) =>
    result.played.flatMap(({ verdict }) =>
      verdict.kind === 'refused'
        ? [{ ...verdict, where: `${result.recording.scenario}/${result.recording.node}` }]
        : [],
    ),
  );
  return [...Map.groupBy(refused, (one) => one.tag)]
    .map(([tag, group]) => ({
      tag,
      count: group.length,
      sentences: [...new Set(group.map((one) => sentenceOf(tag, one.text)))].slice(0, SENTENCES_MAX),
      where: [...new Set(group.map((one) => one.where))],
    }))
    .sort((a, b) => b.count - a.count || (a.tag < b.tag ? -1 : 1));
}

function findMismatches(results: readonly PlayResult[]): Mismatch[] {
  return results.flatMap((result) =>
    result.played.flatMap(({ message, verdict }) =>
      verdict.kind === 'mismatch'
        ? [{ ...whereOf(result), seq: message.seq, type: message.typeName, what: verdict.what }]
        : [],
    ),
  );
}

/** Refused and unanswered requests did other work, so only identical replies count. */
function latencyRows(results: readonly PlayResult[]): LatencyRow[] {
  const times = new Map<string, { played: number[]; recorded: number[] }>();
  for (const { message, verdict, answerUs } of results.flatMap((result) => result.played)) {
    if (verdict.kind !== 'identical' || message.expected.kind !== 'reply') continue;
    const row = times.get(message.typeName) ?? { played: [], recorded: [] };
    row.played.push(answerUs);
    if (wasTimed(message)) row.recorded.push(message.recordedUs);
    times.set(message.typeName, row);
  }
  return [...times]
    .map(([type, row]) => {
      const played = sorted(row.played);
      return {
        type,
        count: played.length,
        p50Us: Math.round(quantile(played, 0.5)),
        p99Us: Math.round(quantile(played, 0.99)),
        recordedP50Us: Math.round(quantile(sorted(row.recorded), 0.5)),
      };
    })
    .sort((a, b) => b.count - a.count || (a.type < b.type ? -1 : 1));
}

function wasTimed(message: RecordedMessage): boolean {
  return message.recordedUs > 0;
}

function storeRow(results: readonly PlayResult[], answeringUs: number): StoreRow | null {
  const all = results.flatMap((result) => result.statistics);
  if (all.length === 0) return null;
  const sum = (of: 'commits' | 'batches' | 'records') => all.reduce((total, one) => total + one[of], 0);
  const seconds = answeringUs / 1e6;
  return {
    commits: sum('commits'),
    batches: sum('batches'),
    records: sum('records'),
    commitsPerSecond: Math.round(sum('commits') / seconds),
    batchesPerSecond: Math.round(sum('batches') / seconds),
  };
}

export function makeReport(hsmd: string, results: readonly PlayResult[]): ReplayReport {
  const played = results.flatMap((result) => result.played);
  const playedMs = results.reduce((sum, result) => sum + result.playedMs, 0);
  const answeringUs = played.reduce((sum, one) => sum + (one.message.type === INIT ? 0 : one.answerUs), 0);
  const count = (kind: 'identical' | 'refused') => played.filter((one) => one.verdict.kind === kind).length;
  return {
    hsmd,
    recordings: results.length,
    processes: results.reduce((sum, result) => sum + result.recording.runs.length, 0),
    requests: played.length,
    identical: count('identical'),
    refused: count('refused'),
    refusals: groupRefusals(results),
    mismatches: findMismatches(results),
    faults: results.flatMap((result) => result.faults.map((what) => ({ ...whereOf(result), what }))),
    latencies: latencyRows(results),
    store: storeRow(results, answeringUs),
    playedMs: Math.round(playedMs),
  };
}

/** True when every reply was the recorded one or a refusal, and every process ended as it should. */
export function isFaithful(report: ReplayReport): boolean {
  return report.mismatches.length === 0 && report.faults.length === 0;
}
