/**
 * Which version to give as ours: lightningd runs its hsmd only if that says lightningd's own version, to the letter.
 * Told ones go first; else the lightningd that started us is asked, then the one on the PATH. Asking is bounded in time.
 */
import { execFile } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';

export const VERSION_VARIABLE = 'COUNTERSIGN_CLN_VERSION';
const ASK_WAIT_MS_DEFAULT = 3_000;
const ANSWER_BYTES_MAX = 16 * 1024;
const VERSION_CHARS_MAX = 128;

export type VersionSource = 'environment' | 'configuration' | 'parent' | 'path';

export interface FoundVersion {
  readonly version: string;
  readonly source: VersionSource;
}

export interface VersionSearch {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The version named in the configuration, if any. */
  readonly configured?: string | undefined;
  /** The process that started us. */
  readonly parentPid: number;
  /** How long one lightningd may take to answer, in milliseconds. */
  readonly waitMs?: number;
}

export const VERSION_ADVICE = `cannot tell lightningd's version: set ${VERSION_VARIABLE} to the first line of "lightningd --version" in lightningd's environment, or put lightningd on the PATH`;

/** Undefined when nothing tells the version: then print `VERSION_ADVICE`, and send no version on the status socket. */
export async function findLightningdVersion(search: VersionSearch): Promise<FoundVersion | undefined> {
  const told = versionLine(search.environment[VERSION_VARIABLE]);
  if (told !== undefined) return { version: told, source: 'environment' };
  const configured = versionLine(search.configured);
  if (configured !== undefined) return { version: configured, source: 'configuration' };
  const waitMs = search.waitMs ?? ASK_WAIT_MS_DEFAULT;
  const parent = await askParent(search.parentPid, waitMs);
  if (parent !== undefined) return { version: parent, source: 'parent' };
  for (const directory of (search.environment.PATH ?? '').split(delimiter)) {
    if (directory === '') continue;
    const version = await ask(join(directory, 'lightningd'), waitMs);
    if (version !== undefined) return { version, source: 'path' };
  }
  return undefined;
}

/** The first line, if it looks like a version: printable ASCII, not empty, not long. */
export function versionLine(text: string | undefined): string | undefined {
  const line = text?.split('\n', 1)[0] ?? '';
  const printable = /^[\x20-\x7e]+$/.test(line);
  return printable && line.length <= VERSION_CHARS_MAX ? line : undefined;
}

/** The executable is read through /proc, so it is the one that runs, even if the file was replaced since. */
async function askParent(parentPid: number, waitMs: number): Promise<string | undefined> {
  const link = `/proc/${parentPid}/exe`;
  const executable = linkTarget(link);
  if (executable === undefined) return undefined;
  const present = executable.replace(/ \(deleted\)$/, '');
  if (!isLightningd(present)) return undefined;
  return ask(present === executable ? executable : link, waitMs);
}

function linkTarget(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch {
    return undefined;
  }
}

/** libtool puts "lt-" before the name of what runs in a build directory. */
function isLightningd(executable: string): boolean {
  return ['lightningd', 'lt-lightningd'].includes(basename(executable));
}

function ask(executable: string, waitMs: number): Promise<string | undefined> {
  const limits = { timeout: waitMs, killSignal: 'SIGKILL', maxBuffer: ANSWER_BYTES_MAX } as const;
  return new Promise((resolve) => {
    execFile(executable, ['--version'], limits, (error, stdout) => {
      resolve(error === null ? versionLine(stdout) : undefined);
    });
  });
}
