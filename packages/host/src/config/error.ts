/** The one error of a configuration: file, line, what is wrong, what to write instead. It ends the start. */
import { CountersignError } from '@countersign/bitcoin';

export class ConfigError extends CountersignError {
  constructor(message: string, facts: Record<string, string | number>) {
    super('config-invalid', message, facts);
    this.name = 'ConfigError';
  }
}
