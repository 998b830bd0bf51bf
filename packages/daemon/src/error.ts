/** What ends a start of the daemon or one of its commands, beside the errors of what it uses. Never with a secret. */
import { CountersignError, type Facts } from '@countersign/bitcoin';

export type DaemonErrorCode =
  | 'seed-file'
  | 'seed-file-invalid'
  | 'seed-file-newer'
  | 'seed-wrong-passphrase'
  | 'passphrase-missing'
  | 'passphrase-unusable'
  | 'health-listen-failed'
  | 'node-start-failed';

export class DaemonError extends CountersignError {
  declare readonly code: DaemonErrorCode;

  constructor(code: DaemonErrorCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options);
    this.name = 'DaemonError';
  }
}
