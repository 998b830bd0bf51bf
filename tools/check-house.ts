/**
 * Checks the house rules over every text file of the repository that is not generated, installed or recorded. Prints
 * each violation with file and line; exit status 1 if there is any.
 */
import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { checkHouse } from './house-rules.ts';
import { REPOSITORY, report } from './workspace.ts';

/** Recordings and test vectors of others stand in `vectors`; the rest is made by tools. */
const LEFT_OUT = new Set(['.git', 'node_modules', 'dist', 'coverage', 'vectors', '.countersign']);
/** A binary file has a zero byte early. */
const BINARY_PROBE_CHARS = 8000;

const paths = globSync(['*', '.*', '**/*', '.*/**'], {
  cwd: REPOSITORY,
  exclude: (name) => LEFT_OUT.has(name),
})
  // In a linked work tree `.git` is a file.
  .filter((path) => path !== '.git' && statSync(join(REPOSITORY, path)).isFile());
const files = [...new Set(paths)]
  .sort()
  .map((path) => ({ path, text: readFileSync(join(REPOSITORY, path), 'utf8') }))
  .filter(({ text }) => !text.slice(0, BINARY_PROBE_CHARS).includes('\0'));

console.log(`house rules: ${files.length} files`);
report('house violations', files.flatMap(checkHouse));
