/**
 * `npm run test:mutation [-- <folder of a law, or <folder>/<file>, or '<folder>/{<file>,<file>}'> …]`: runs Stryker on the
 * law folders of core, one after the other, lists what survived in coverage/mutation, and writes docs/mutation.md once
 * there is a report of each folder. A file's results take the place of those that its folder's report had.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MUTATED_LAWS, type MutatedLaw } from './laws.ts';
import { type MutationReport, mutationDocument, survivors } from './report.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const reports = `${root}coverage/mutation`;

interface Run extends MutatedLaw {
  /** In the folder of the law. */
  readonly files: string;
  /** Of the report, without ending. */
  readonly name: string;
}

const reportPath = (name: string) => `${reports}/${name}.json`;
const reportOf = (name: string) => JSON.parse(readFileSync(reportPath(name), 'utf8')) as MutationReport;

function runOf(argument: string): Run {
  const [folder, file] = argument.split('/');
  const law = MUTATED_LAWS.find((one) => one.folder === folder);
  if (law === undefined) throw new Error(`no law has the folder ${folder}`);
  return file === undefined
    ? { ...law, files: '**/*.ts', name: law.folder }
    : { ...law, files: file, name: `${law.folder}-${file.replaceAll(/[^\w.]+/g, '-')}` };
}

/** Whether Stryker came to an end; survivors are for the report, not for the exit code. */
function mutate({ folder, files, tests, name }: Run): boolean {
  const environment = {
    ...process.env,
    MUTATED_FILES: `packages/core/src/${folder}/${files}`,
    MUTATION_TESTS: tests.join(' '),
    MUTATION_REPORT: reportPath(name),
  };
  const { status } = spawnSync(
    `${root}node_modules/.bin/stryker`,
    ['run', 'tools/mutation/stryker.ts', '--concurrency', process.env.MUTATION_CONCURRENCY ?? '2'],
    { cwd: root, stdio: 'inherit', env: environment },
  );
  if (status !== 0) return false;
  writeFileSync(`${reports}/${name}.txt`, survivors(reportOf(name)));
  process.stdout.write(`what survived: coverage/mutation/${name}.txt\n`);
  if (name !== folder && existsSync(reportPath(folder))) mergeInto(folder, reportOf(name));
  return true;
}

function mergeInto(folder: string, { files }: MutationReport): void {
  const whole = reportOf(folder);
  const merged: MutationReport = { ...whole, files: { ...whole.files, ...files } };
  writeFileSync(reportPath(folder), JSON.stringify(merged));
  writeFileSync(`${reports}/${folder}.txt`, survivors(merged));
}

mkdirSync(reports, { recursive: true });
const wanted = process.argv.slice(2);
const runs = (wanted.length > 0 ? wanted : MUTATED_LAWS.map(({ folder }) => folder)).map(runOf);
const failed = runs.filter((run) => !mutate(run));

const folders = MUTATED_LAWS.map(({ folder }) => folder);
if (folders.every((folder) => existsSync(reportPath(folder)))) {
  const laws = folders.map((folder) => ({ folder, report: reportOf(folder) }));
  writeFileSync(`${root}docs/mutation.md`, mutationDocument(laws));
}
if (failed.length > 0) {
  process.stderr.write(`Stryker failed for ${failed.map(({ name }) => name).join(', ')}\n`);
  process.exitCode = 1;
}
