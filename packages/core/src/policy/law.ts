/**
 * What a law is: its number, its promise, what it will be asked about, and whether this version enforces it. Each law
 * has a folder of its own with its definition in `law.ts` and its rules beside it.
 */
import type { Operation } from './registry.ts';

export type LawNumber = 1 | 2 | 3 | 4 | 5;

export interface LawDefinition {
  readonly number: LawNumber;
  readonly title: string;
  /** One sentence for operators: what holds when the law is in force. */
  readonly promise: string;
  /** The operations whose requests it judges; a handler of one of them calls `requireLaws` with its number. */
  readonly operations: readonly Operation[];
  /** False: what it would judge is refused outside `permissive`. */
  readonly isInForce: boolean;
}
