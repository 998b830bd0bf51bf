/** An error's message with its cause and facts, on one line, for a log. */
import { CountersignError } from '@countersign/bitcoin';

export function errorText(error: Error): string {
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
  const facts = error instanceof CountersignError ? Object.entries(error.facts) : [];
  const list = facts.map(([name, value]) => `${name}=${value}`).join(' ');
  return `${error.message}${cause}${list === '' ? '' : ` [${list}]`}`;
}
