/**
 * What a law is: its number, its promise, and what it is asked about. Each law has a folder of its own with its
 * definition in `law.ts` and its rules beside it.
 */
import type { Operation } from './registry.ts';

/** 1 ratchet, 2 ledger, 3 payments, 4 time, 5 spending. */
export type LawNumber = 1 | 2 | 3 | 4 | 5;

/** One of the five laws. */
export interface LawDefinition {
  readonly number: LawNumber;
  readonly title: string;
  /** One sentence for operators: what holds when the law is in force. */
  readonly promise: string;
  /** The operations whose requests it judges. */
  readonly operations: readonly Operation[];
}
