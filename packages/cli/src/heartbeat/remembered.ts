/**
 * The newest heartbeat a monitor has seen, kept in a file over its restarts: so an older one is known for what it is. The file
 * is the signed text itself and is verified when it is read; one that is lost or spoilt only makes the monitor begin anew.
 */
import { rename, writeFile } from 'node:fs/promises';
import { CommandError } from '../command-error.ts';
import type { HeartbeatJudge } from './judge.ts';
import { fromFile } from './sources.ts';

export class Remembered {
  readonly #judge: HeartbeatJudge;
  readonly #path: string;
  #saved: string | null;

  private constructor(judge: HeartbeatJudge, path: string) {
    this.#judge = judge;
    this.#path = path;
    this.#saved = judge.newest;
  }

  /** Null: nothing is to be remembered. A file that is there and no heartbeat of this node is a `CommandError`. */
  static async open(judge: HeartbeatJudge, path: string | undefined): Promise<Remembered | null> {
    if (path === undefined) return null;
    const text = await textOf(path);
    if (text !== null && !judge.remember(text)) {
      throw new CommandError(
        'usage',
        `${path} is no heartbeat of this node`,
        'Give another path with --remember, or remove the file: the monitor then begins anew.',
      );
    }
    return new Remembered(judge, path);
  }

  async save(): Promise<void> {
    const { newest } = this.#judge;
    if (newest === null || newest === this.#saved) return;
    await met(this.#path, async () => {
      await writeFile(`${this.#path}.new`, `${newest}\n`);
      await rename(`${this.#path}.new`, this.#path);
    });
    this.#saved = newest;
  }
}

/** Null: there is none yet. */
async function textOf(path: string): Promise<string | null> {
  return met(path, async () => {
    try {
      return await fromFile(path)();
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
      throw error;
    }
  });
}

/** What the file system refuses is the operator's to repair. */
async function met<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    throw new CommandError(
      'usage',
      `cannot use ${path}: ${error.message}`,
      'Give a path that can be written.',
    );
  }
}
