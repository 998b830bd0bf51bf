/**
 * The base of every error this project throws or returns: a stable code, a short message, facts with units,
 * and a cause chain. Refusals of the signer are values built on the same shape; exceptions are for malformed
 * bytes (caught at the door) and for broken machines.
 */

/** A compared number, a name, a hex string: anything an operator may read. Never a secret. */
export type Fact = string | number | bigint | boolean;
export type Facts = Readonly<Record<string, Fact>>;

export class CountersignError extends Error {
  /** Stable, kebab-case, listed in `docs/errors.md`. */
  readonly code: string;
  readonly facts: Facts;

  constructor(code: string, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'CountersignError';
    this.code = code;
    this.facts = facts;
  }
}

/** Bytes that do not have the form they claim: wrong length, non-canonical encoding, impossible value. */
export class FormError extends CountersignError {
  constructor(message: string, facts: Facts = {}) {
    super('malformed', message, facts);
    this.name = 'FormError';
  }
}

/** A broken invariant of our own: never reachable from outside bytes; ends the process. */
export class InvariantError extends CountersignError {
  constructor(message: string, facts: Facts = {}) {
    super('invariant-broken', message, facts);
    this.name = 'InvariantError';
  }
}

/** Assert an invariant of our own code. Not for checking input: that is a `FormError` or a refusal. */
export function invariant(condition: boolean, message: string, facts: Facts = {}): asserts condition {
  if (!condition) throw new InvariantError(message, facts);
}
