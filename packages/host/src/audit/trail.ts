/**
 * The one writer of the audit log, and so the one that commits: numbers its entries as the journal will, and keeps a
 * flood of refusals from filling the disk. What is left out is counted, and the next entry is preceded by the count.
 */
import type { AuditEvent, Refusal } from '@countersign/core';
import type { Journal, RecordChange } from '@countersign/store/contract';
import { type DecidedParts, decidedEntry, eventEntry, operatedEntry, refusedEntry } from './entry.ts';

/** Entries without a change of state: so many at once, … */
export const BURST_ENTRIES = 1000;
/** … and then one per so many seconds. */
export const REFILL_SECONDS = 1;

export interface Recorded {
  /** The entry's number in the log; null when it was left out. */
  readonly id: number | null;
  /** Rejects as the journal does: nothing may be signed then. */
  readonly durable: Promise<void>;
}

export class AuditTrail {
  readonly #journal: Journal;
  readonly #nowSeconds: () => number;
  /** Number of the newest entry, durable or on its way. */
  #seq: number;
  #tokens = BURST_ENTRIES;
  #refilledAtSeconds: number;
  #leftOut = 0;

  /** The journal must be at rest and from now on have no other caller of `commit` with audit entries. */
  constructor(journal: Journal, nowSeconds: () => number) {
    this.#journal = journal;
    this.#nowSeconds = nowSeconds;
    this.#seq = journal.auditHead.seq;
    this.#refilledAtSeconds = nowSeconds();
  }

  /** What an approved request did. Without a change of state there may be no entry. */
  decided(parts: Omit<DecidedParts, 'timeSeconds'>): Recorded {
    const { changes, warnings, events } = parts;
    if (changes.length === 0 && warnings.length === 0 && events.length === 0) return NOTHING;
    const isCounted = changes.length === 0;
    return this.#record(changes, isCounted, (timeSeconds) => decidedEntry({ ...parts, timeSeconds }));
  }

  /** `changes`: at most the list of what waits for the operator. */
  refused(refusal: Refusal, changes: readonly RecordChange[] = []): Recorded {
    return this.#record(changes, true, (timeSeconds) => refusedEntry(timeSeconds, refusal));
  }

  operated(
    operation: string,
    changes: readonly RecordChange[],
    events: readonly AuditEvent[],
  ): Promise<void> {
    return this.#record(changes, false, (time) => operatedEntry(time, operation, changes, events)).durable;
  }

  /** What a header or a block did; without an event it is no news. */
  chained(operation: string, changes: readonly RecordChange[], events: readonly AuditEvent[]): Promise<void> {
    if (events.length === 0) return this.#commit(changes, []);
    return this.#record(changes, false, (time) => operatedEntry(time, operation, [], events)).durable;
  }

  event(event: AuditEvent): Promise<void> {
    return this.#record([], false, (timeSeconds) => eventEntry(timeSeconds, event)).durable;
  }

  /** The last word before the journal is closed: what was left out until now. */
  end(): Promise<void> {
    const omission = this.#omission(this.#nowSeconds());
    return this.#commit([], omission);
  }

  #record(
    changes: readonly RecordChange[],
    isCounted: boolean,
    make: (timeSeconds: number) => Uint8Array,
  ): Recorded {
    const timeSeconds = this.#nowSeconds();
    if (isCounted && !this.#take(timeSeconds)) {
      this.#leftOut += 1;
      return { id: null, durable: changes.length === 0 ? NOTHING.durable : this.#commit(changes, []) };
    }
    const entries = [...(isCounted ? this.#omission(timeSeconds) : []), make(timeSeconds)];
    const durable = this.#commit(changes, entries);
    return { id: this.#seq, durable };
  }

  #commit(changes: readonly RecordChange[], entries: readonly Uint8Array[]): Promise<void> {
    if (changes.length === 0 && entries.length === 0) return NOTHING.durable;
    this.#seq += entries.length;
    return this.#journal.commit(changes, entries);
  }

  #take(nowSeconds: number): boolean {
    // A clock that was set back gives nothing.
    const passedSeconds = Math.max(0, nowSeconds - this.#refilledAtSeconds);
    this.#tokens = Math.min(BURST_ENTRIES, this.#tokens + passedSeconds / REFILL_SECONDS);
    this.#refilledAtSeconds = nowSeconds;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  #omission(timeSeconds: number): readonly Uint8Array[] {
    if (this.#leftOut === 0) return [];
    const entry = eventEntry(timeSeconds, {
      event: 'audit-entries-left-out',
      facts: { entries: this.#leftOut },
    });
    this.#leftOut = 0;
    return [entry];
  }
}

const NOTHING: Recorded = { id: null, durable: Promise.resolve() };
