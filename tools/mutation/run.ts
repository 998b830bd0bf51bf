/**
 * `npm run test:mutation [-- <folder of a law> …]`: runs Stryker on the law folders of core, one after the other, and
 * writes docs/mutation.md from all reports there are. A run remembers its results in coverage/mutation.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MUTATED_LAWS, type MutatedLaw } from './laws.ts';
import { type MutationReport, mutationDocument } from './report.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const reports = `${root}coverage/mutation`;

/** Whether Stryker came to an end; survivors are for the report, not for the exit code. */
function runLaw({ folder, tests }: MutatedLaw): boolean {
  const { status } = spawnSync(
    `${root}node_modules/.bin/stryker`,
    [
      'run',
      'tools/mutation/stryker.json',
      '--mutate',
      `packages/core/src/${folder}/**/*.ts`,
      '--incrementalFile',
      `coverage/mutation/${folder}.json`,
      '--concurrency',
      process.env.MUTATION_CONCURRENCY ?? '2',
    ],
    { cwd: root, stdio: 'inherit', env: { ...process.env, MUTATION_TESTS: tests.join(' ') } },
  );
  return status === 0;
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !MUTATED_LAWS.some(({ folder }) => folder === name));
if (unknown.length > 0) throw new Error(`no law has the folder ${unknown.join(', ')}`);

mkdirSync(reports, { recursive: true });
const chosen = MUTATED_LAWS.filter(({ folder }) => wanted.length === 0 || wanted.includes(folder));
const failed = chosen.filter((law) => !runLaw(law));

const known = MUTATED_LAWS.map(({ folder }) => ({ folder, path: `${reports}/${folder}.json` }));
writeFileSync(
  `${root}docs/mutation.md`,
  mutationDocument(
    known
      .filter(({ path }) => existsSync(path))
      .map(({ folder, path }) => ({
        folder,
        report: JSON.parse(readFileSync(path, 'utf8')) as MutationReport,
      })),
  ),
);
if (failed.length > 0) {
  process.stderr.write(`Stryker failed for ${failed.map(({ folder }) => folder).join(', ')}\n`);
  process.exitCode = 1;
}
