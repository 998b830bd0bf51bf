/**
 * What happened in a run: its last steps with their requests, for the story and for replays, and counts of all. What it
 * keeps is bounded; a run of a million steps needs no more memory than one of a thousand.
 */
import type { Request } from '@countersign/wire';
import type { Client, Outcome } from '../subject.ts';

/** Why the node asks: it behaves; it behaves and may be told to get approval first; it attacks. */
export type Intent = 'honest' | 'unsure' | 'attack';

export interface Step {
  readonly index: number;
  /** Which of the run's moves it belongs to, −1 before the first. */
  readonly move: number;
  readonly client: Client;
  readonly request: Request;
  readonly outcome: Outcome;
  readonly intent: Intent;
}

/** An honest request that was refused. */
export interface FalseRefusal {
  readonly step: number;
  readonly move: number;
  readonly request: string;
  readonly tag: string;
  readonly message: string;
}

const FALSE_REFUSALS_MAX = 100;

export class StepLog {
  readonly keepMax: number;
  #kept: Step[] = [];
  #count = 0;
  temporaryCount = 0;
  readonly falseRefusals: FalseRefusal[] = [];
  /** By request and outcome: the tag of a refusal, or `ok`. */
  readonly coverage = new Map<string, number>();

  constructor(keepMax: number) {
    this.keepMax = keepMax;
  }

  /** Requests so far. */
  get count(): number {
    return this.#count;
  }

  /** The newest steps, at most `keepMax`; the oldest first. */
  get kept(): readonly Step[] {
    return this.#kept.slice(-this.keepMax);
  }

  add(step: Omit<Step, 'index'>): void {
    const index = this.#count++;
    this.#kept.push({ ...step, index });
    if (this.#kept.length > 2 * this.keepMax) this.#kept = this.#kept.slice(-this.keepMax);
    const { outcome, request, intent, move } = step;
    const result = outcome.kind === 'reply' ? 'ok' : outcome.tag;
    this.#bump(`${intent}\t${request.name}\t${result}`);
    if (outcome.kind === 'reply' || intent !== 'honest') return;
    if (outcome.isTemporary) this.temporaryCount += 1;
    else if (this.falseRefusals.length < FALSE_REFUSALS_MAX)
      this.falseRefusals.push({
        step: index,
        move,
        request: request.name,
        tag: outcome.tag,
        message: outcome.message,
      });
  }

  #bump(key: string): void {
    this.coverage.set(key, (this.coverage.get(key) ?? 0) + 1);
  }
}
