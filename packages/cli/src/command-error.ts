/**
 * What a command tells the person who typed it: what is wrong and what to do about it.
 * Every error a user can cause is one of these; anything else that reaches the top is a bug of ours.
 */
import { CountersignError, type Facts } from '@countersign/bitcoin';

export type CommandErrorCode =
  | 'usage'
  | 'recording-not-found'
  | 'recording-malformed'
  | 'hsmd-not-found'
  | 'hsmd-start-failed'
  | 'signer-unreachable'
  | 'signer-answer'
  | 'operation-refused';

export class CommandError extends CountersignError {
  declare readonly code: CommandErrorCode;
  /** One sentence: what to do next. */
  readonly advice: string;

  constructor(
    code: CommandErrorCode,
    message: string,
    advice: string,
    facts: Facts = {},
    options?: { cause?: unknown },
  ) {
    super(code, message, facts, options);
    this.name = 'CommandError';
    this.advice = advice;
  }

  /** Not the command line was wrong, but what it met. */
  get exitStatus(): number {
    return MET.includes(this.code) ? EXIT.failed : EXIT.usage;
  }
}

const MET: readonly CommandErrorCode[] = ['signer-unreachable', 'signer-answer', 'operation-refused'];

/** Exit codes of every command. */
export const EXIT = { ok: 0, failed: 1, usage: 2, bug: 70 } as const;
