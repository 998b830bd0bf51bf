/**
 * Gathers what a heartbeat tells, and has the signer sign it. A store that failed is told too: then what only the store
 * knows is missing, and the alarm says why.
 */
import type { CountersignError } from '@countersign/bitcoin';
import { type Alarm, decodeRecord, nodeRecords, pendingRecords, recordKey } from '@countersign/core';
import type { Journal } from '@countersign/store/contract';
import type { EffectivePolicy } from '../policy/effective.ts';
import { policySummary } from '../policy/summary.ts';
import type { Signer } from '../signer.ts';
import { isStoreFailure } from '../store-failure.ts';
import type { HeartbeatSource } from './source.ts';

export interface HeartbeatMakerOptions {
  readonly signer: Pick<Signer, 'heartbeat' | 'failure'>;
  readonly journal: Pick<Journal, 'read' | 'stats'>;
  readonly effectivePolicy: () => EffectivePolicy;
  readonly source: HeartbeatSource;
  readonly startedAtSeconds: number;
  readonly nowSeconds: () => number;
}

export class HeartbeatMaker {
  readonly #options: HeartbeatMakerOptions;
  /** What was in force last: what nodes have shown may change it, and a failed store cannot be asked. */
  #effective: EffectivePolicy;

  /** The store must be readable now. */
  constructor(options: HeartbeatMakerOptions) {
    this.#options = options;
    this.#effective = options.effectivePolicy();
  }

  /** The signed text. Rejects with a `StoreError` when the store failed before anything of this start was durable. */
  async make(): Promise<string> {
    const { signer, journal, source, startedAtSeconds, nowSeconds } = this.#options;
    const counts = unlessFailed(() => countsOf(journal)) ?? UNKNOWN_COUNTS;
    this.#effective = unlessFailed(this.#options.effectivePolicy) ?? this.#effective;
    const { chain, channels, deadlines, alarms } = source.observe(nowSeconds());
    return signer.heartbeat({
      startedAtSeconds,
      chain,
      deadlines,
      alarms: [...alarms, ...storeAlarms(signer.failure), ...promiseAlarms(this.#effective)],
      counters: { ...counts, channels, commits: journal.stats.commits },
      policy: policySummary(this.#effective),
    });
  }
}

interface Counts {
  readonly channelsLive: number | null;
  readonly pendingApprovals: number | null;
}
const UNKNOWN_COUNTS: Counts = { channelsLive: null, pendingApprovals: null };

function countsOf(journal: Pick<Journal, 'read'>): Counts {
  const node = journal.read(recordKey(nodeRecords, 'node'))?.value ?? null;
  const pending = journal.read(recordKey(pendingRecords, 'list'))?.value ?? null;
  return {
    channelsLive: node === null ? 0 : decodeRecord(nodeRecords, node).channelsLive,
    pendingApprovals: pending === null ? 0 : decodeRecord(pendingRecords, pending).length,
  };
}

/** Null where the store says no; the signer notices by itself. */
function unlessFailed<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (!isStoreFailure(error)) throw error;
    return null;
  }
}

function storeAlarms(failure: CountersignError | null): readonly Alarm[] {
  if (failure === null) return [];
  const message = `the signer has stopped signing because its store failed: ${failure.message}`;
  return [alarmOf('store-failed', 'critical', message, { code: failure.code })];
}

function promiseAlarms({ promise }: EffectivePolicy): readonly Alarm[] {
  if (promise.state !== 'void') return [];
  const message = `the promise is void: ${promise.reasons.join('; ')}`;
  return [alarmOf('promise-void', 'warn', message, { reasons: promise.reasons.length })];
}

function alarmOf(
  code: Alarm['code'],
  severity: Alarm['severity'],
  message: string,
  facts: Alarm['facts'],
): Alarm {
  return { code, severity, channel: null, sinceHeightBlocks: null, message, facts };
}
