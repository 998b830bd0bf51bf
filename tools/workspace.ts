/**
 * The workspace as the checks see it: each package's manifest and the text of its sources, read from disk once.
 */
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const SCOPE = '@countersign/';

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  /** Names beginning with #, for the package's own files. */
  readonly imports?: Readonly<Record<string, unknown>>;
}

export interface SourceFile {
  /** From the repository's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

export interface WorkspacePackage {
  /** The directory below `packages`. */
  readonly directory: string;
  readonly manifest: Manifest;
  /** `src` only. */
  readonly sources: readonly SourceFile[];
}

export interface Workspace {
  readonly root: Manifest;
  readonly packages: readonly WorkspacePackage[];
}

/** What a check has to say; `line` 0 means the file as a whole. */
export interface Violation {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

export const REPOSITORY = join(import.meta.dirname, '..');

function readManifest(path: string): Manifest {
  return JSON.parse(readFileSync(path, 'utf8')) as Manifest;
}

function readSource(repository: string, path: string): SourceFile {
  return { path, text: readFileSync(join(repository, path), 'utf8') };
}

export function readWorkspace(repository = REPOSITORY): Workspace {
  const directories = readdirSync(join(repository, 'packages')).filter((name) =>
    existsSync(join(repository, 'packages', name, 'package.json')),
  );
  return {
    root: readManifest(join(repository, 'package.json')),
    packages: directories.sort().map((directory) => ({
      directory,
      manifest: readManifest(join(repository, 'packages', directory, 'package.json')),
      sources: globSync(`packages/${directory}/src/**/*.ts`, { cwd: repository })
        .sort()
        .map((path) => readSource(repository, path)),
    })),
  };
}

/** Prints what was found, and makes the process end with 1 if anything was. */
export function report(what: string, violations: readonly Violation[]): void {
  for (const { path, line, message } of violations)
    console.error(line === 0 ? `${path}: ${message}` : `${path}:${line}: ${message}`);
  if (violations.length > 0) process.exitCode = 1;
  console.log(`${what}: ${violations.length === 0 ? 'none' : violations.length}`);
}
