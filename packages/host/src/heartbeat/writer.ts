/**
 * Keeps the newest heartbeat in a file: at once, then every so many seconds, each time replaced as a whole, so that a
 * reader never sees half of one. What the file system refuses is told once and tried again; the signer does not depend on it.
 * Not synced: after a loss of power an old heartbeat is as good as none.
 */
import { rename, rm, writeFile } from 'node:fs/promises';
import { isStoreFailure } from '../store-failure.ts';

export interface HeartbeatWriterOptions {
  readonly make: () => Promise<string>;
  readonly path: string;
  readonly everySeconds: number;
  /** For the operator's log. */
  readonly onProblem: (text: string) => void;
  /** A bug of ours: the process must end. */
  readonly onBug: (error: unknown) => void;
  /** Runs it once after so long; the result cancels. */
  readonly schedule?: (run: () => void, delayMs: number) => () => void;
}

/** Heartbeats are no secret; the state directory is closed to others all the same. */
const FILE_MODE = 0o644;

export class HeartbeatWriter {
  readonly #options: HeartbeatWriterOptions;
  #cancel: () => void = () => {};
  #writing: Promise<void> = Promise.resolve();
  #isStopped = false;
  #problem: string | null = null;

  private constructor(options: HeartbeatWriterOptions) {
    this.#options = options;
  }

  static start(options: HeartbeatWriterOptions): HeartbeatWriter {
    const writer = new HeartbeatWriter(options);
    writer.#round();
    return writer;
  }

  /** Resolves when nothing is written any more. The file stays: it says when this signer was last alive. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel();
    await this.#writing;
  }

  #round(): void {
    const { everySeconds, onBug, schedule = scheduleTimer } = this.#options;
    this.#writing = this.#write()
      .catch(onBug)
      .then(() => {
        if (!this.#isStopped) this.#cancel = schedule(() => this.#round(), everySeconds * 1000);
      });
  }

  async #write(): Promise<void> {
    const { make, path, onProblem } = this.#options;
    try {
      const text = await make();
      if (this.#isStopped) return;
      await replaceFile(path, text);
      this.#problem = null;
    } catch (error) {
      const problem = problemOf(error);
      if (problem === null) throw error;
      if (problem !== this.#problem) onProblem(`cannot write the heartbeat to ${path}: ${problem}`);
      this.#problem = problem;
    }
  }
}

/** Null: none that this may go on after. */
function problemOf(error: unknown): string | null {
  if (isStoreFailure(error)) return `${error.message} (${error.code})`;
  return error instanceof Error && 'syscall' in error ? error.message : null;
}

async function replaceFile(path: string, text: string): Promise<void> {
  const next = `${path}.new`;
  // Whatever a process that was killed left there; never written through a link.
  await rm(next, { force: true });
  await writeFile(next, text, { flag: 'wx', mode: FILE_MODE });
  await rename(next, path);
}

function scheduleTimer(run: () => void, delayMs: number): () => void {
  // It alone keeps no process alive.
  const timer = setTimeout(run, delayMs).unref();
  return () => clearTimeout(timer);
}
