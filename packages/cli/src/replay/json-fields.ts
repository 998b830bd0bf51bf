/**
 * Typed reading of the JSON of recordings: every field is asked for by name and form, and a wrong one is an error
 * that names the place.
 */
import { CommandError } from '../command-error.ts';

export interface Fields {
  has(name: string): boolean;
  names(): string[];
  text(name: string): string;
  textOrNull(name: string): string | null;
  /** A non-negative safe integer. */
  count(name: string): number;
  fields(name: string): Fields;
  list(name: string): Fields[];
  fail(problem: string): never;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `where` is a file with a line, or a path of names: it only appears in errors. */
export function fieldsOf(value: unknown, where: string): Fields {
  const fail = (problem: string): never => {
    throw new CommandError(
      'recording-malformed',
      `${where}: ${problem}`,
      'Restore the recording, or leave it out.',
    );
  };
  if (!isRecord(value)) return fail('an object was expected');
  const typed = <T>(name: string, form: string, is: (found: unknown) => found is T): T => {
    const found = value[name];
    return is(found) ? found : fail(`\`${name}\` must be ${form}`);
  };
  return {
    has: (name) => value[name] !== undefined,
    names: () => Object.keys(value),
    text: (name) => typed(name, 'a string', (found) => typeof found === 'string'),
    textOrNull: (name) =>
      typed(name, 'a string or null', (found) => found === null || typeof found === 'string'),
    count: (name) =>
      typed(
        name,
        'a non-negative integer',
        (found): found is number => Number.isSafeInteger(found) && Number(found) >= 0,
      ),
    fields: (name) => fieldsOf(value[name], `${where} ${name}`),
    list: (name) =>
      typed(name, 'a list', (found): found is unknown[] => Array.isArray(found)).map((item, index) =>
        fieldsOf(item, `${where} ${name}[${index}]`),
      ),
    fail,
  };
}
