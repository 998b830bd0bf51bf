/**
 * What core's tests import as `vitest` when mutants meet them: `describe` and `it` that only collect, and vitest's own
 * `expect`. Vitest itself would load every test file again for each mutant.
 */
import { format } from 'node:util';
import { expect } from 'vitest';

export { expect };

export interface CollectedTest {
  /** File and names, unique. */
  readonly id: string;
  readonly name: string;
  readonly file: string;
  readonly body: () => unknown;
}

const collected = new Map<string, CollectedTest>();
let file = '';
let suites: readonly string[] = [];

/** Collects the tests that `load`, which imports a file, declares. */
export async function collect(path: string, load: () => Promise<unknown>): Promise<void> {
  file = path;
  suites = [];
  await load();
}

export const collectedTests = (): CollectedTest[] => [...collected.values()];

function addTest(title: string, body: () => unknown): void {
  const name = [...suites, title].join(' > ');
  let id = `${file}#${name}`;
  for (let count = 2; collected.has(id); count += 1) id = `${file}#${name} (${count})`;
  collected.set(id, { id, name, file, body });
}

function addSuite(title: string, body: () => unknown): void {
  const outer = suites;
  suites = [...outer, title];
  body();
  suites = outer;
}

/** A title with the first values of its row, as vitest formats it; our tables use only `%s` and `%i`. */
const titleOf = (title: string, row: readonly unknown[]): string =>
  format(title, ...row.slice(0, title.match(/%[si]/g)?.length ?? 0));

/** `.each`: one test or suite for each row; an entry that is no array is a row of one. */
function eachOf(add: (title: string, body: () => unknown) => void) {
  return (table: readonly unknown[]) => (title: string, body: (...row: unknown[]) => unknown) => {
    for (const entry of table) {
      const row: readonly unknown[] = Array.isArray(entry) ? entry : [entry];
      add(titleOf(title, row), () => body(...row));
    }
  };
}

export const it = Object.assign(addTest, { each: eachOf(addTest) });
export const describe = Object.assign(addSuite, { each: eachOf(addSuite) });
