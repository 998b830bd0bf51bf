/**
 * Where the bundled recordings and our own hsmd lie, seen from this file, so that the command runs from any directory.
 */
import { existsSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { CommandError } from '../command-error.ts';
import { isScenario, loadScenario, type Recording, scenarioDirectories, scenarioName } from './recording.ts';
import { loadSynthetic } from './synthetic.ts';

/** The repository's root: the same distance from `src/replay` and from `dist/replay`. */
const ROOT = resolve(import.meta.dirname, '../../../..');

export const BUNDLED_RECORDINGS = join(ROOT, 'vectors/cln');
export const OWN_HSMD = join(ROOT, 'packages/cln/bin/countersign-hsmd');

/** A directory of one scenario, or of several; a bare name may be a bundled one. */
export function scenariosAt(name: string | undefined): string[] {
  if (name === undefined) return bundledScenarios();
  const candidates = [resolve(name), join(BUNDLED_RECORDINGS, name)];
  const found = candidates.find((path) => existsSync(path) && statSync(path).isDirectory());
  if (found === undefined) {
    throw new CommandError(
      'recording-not-found',
      `there is no recording "${name}"`,
      `Name a directory, or one of: ${bundledScenarios().map(scenarioName).join(', ')}.`,
    );
  }
  const scenarios = isScenario(found) ? [found] : scenarioDirectories(found);
  if (scenarios.length === 0) {
    throw new CommandError(
      'recording-not-found',
      `${found} holds no recording`,
      'A recording is a directory with meta.json (sessions) or cases.json (single cases).',
    );
  }
  return scenarios;
}

function bundledScenarios(): string[] {
  const scenarios = scenarioDirectories(BUNDLED_RECORDINGS);
  if (scenarios.length === 0) {
    throw new CommandError(
      'recording-not-found',
      'the bundled recordings are missing',
      `Restore ${BUNDLED_RECORDINGS}, or name a directory with --recording DIR.`,
    );
  }
  return scenarios;
}

/** Everything recorded in a scenario, or one node of it. An empty list when it has no such node. */
export function recordingsOf(directory: string, node: string | undefined): Recording[] {
  const all = existsSync(join(directory, 'cases.json')) ? loadSynthetic(directory) : loadScenario(directory);
  return node === undefined ? all : all.filter((recording) => recording.node === node);
}

/** A path as short as it can be said from the working directory. */
export function shownPath(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') || isAbsolute(short) || short === '' ? path : short;
}

/** The hsmd to run: as given, or our own. Symbolic links are followed, because it is started in another directory. */
export function hsmdPath(given: string | undefined): string {
  const path = given === undefined ? OWN_HSMD : resolve(given);
  if (!existsSync(path)) {
    throw new CommandError(
      'hsmd-not-found',
      `there is no hsmd at ${path}`,
      given === undefined ? 'Build the project with `npm run build`.' : 'Check the path given with --hsmd.',
    );
  }
  return realpathSync(path);
}
