/**
 * Records and how a decision changes them: reads go through to the state, writes collect in a draft. A draft
 * that is dropped leaves nothing behind, so a refused request changes nothing.
 */
import { invariant } from '@countersign/bitcoin';
import type { RecordKind } from './records/kind.ts';

/** A record and its version. */
export interface Versioned<T> {
  /** Rises by exactly one with every change; the first is 1. */
  readonly version: number;
  /** Null: removed (the version goes on). */
  readonly value: T | null;
}

/** The signer's memory of its records; may be ahead of the disk, never behind. */
export interface StateReader {
  read<T>(kind: RecordKind<T>, id: string): Versioned<T> | undefined;
}

/** One changed record, to be made durable before anything of the decision is released. */
export interface Change<T = unknown> {
  readonly kind: RecordKind<T>;
  readonly id: string;
  readonly version: number;
  readonly value: T | null;
}

/** The state as one decision sees and changes it. Dropped, it leaves nothing behind. */
export class Draft {
  readonly #state: StateReader;
  readonly #changes = new Map<string, Change>();
  #hasRead = false;

  constructor(state: StateReader) {
    this.#state = state;
  }

  /** The value as this decision has it so far; null when there is none. */
  get<T>(kind: RecordKind<T>, id: string): T | null {
    this.#hasRead = true;
    const changed = this.#changes.get(recordKey(kind, id));
    if (changed !== undefined) return changed.value as T | null;
    return this.#state.read(kind, id)?.value ?? null;
  }

  /** Record a new value; several changes of one record in one decision are one version step. */
  put<T>(kind: RecordKind<T>, id: string, value: T | null): void {
    const version = (this.#state.read(kind, id)?.version ?? 0) + 1;
    invariant(Number.isSafeInteger(version), 'record version overflow', { record: recordKey(kind, id) });
    this.#changes.set(recordKey(kind, id), { kind: kind as RecordKind<unknown>, id, version, value });
  }

  /** True once the decision has looked at any record: its release must wait for what it saw to be durable. */
  get hasRead(): boolean {
    return this.#hasRead;
  }

  /** A draft that goes on from this one, which it leaves as it is: for what is tried and may be given up. */
  fork(): Draft {
    const fork = new Draft(this.#state);
    for (const [key, change] of this.#changes) fork.#changes.set(key, change);
    return fork;
  }

  changes(): readonly Change[] {
    return [...this.#changes.values()];
  }
}

/** The journal's key of a record: `<kind>/<id>`. */
export function recordKey<T>(kind: RecordKind<T>, id: string): string {
  return `${kind.name}/${id}`;
}
