/** A daemon under test as a child process in a process group of its own. Promises that every daemon started here is ended,
 *  with everything it started, when it is told to, and at the latest when this process exits. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { within } from './wait.ts';

const running = new Set<Daemon>();

export class Daemon {
  readonly name: string;
  readonly pid: number;
  readonly #child: ChildProcess;
  #ended: string | undefined;

  /** Starts the daemon; its stdout and stderr are appended to `output_path`. */
  constructor(
    name: string,
    program: string,
    args: string[],
    output_path: string,
    environment: Record<string, string> = {},
  ) {
    this.name = name;
    const output = openSync(output_path, 'a');
    // Subdaemons written for Node find this very Node first.
    const path = `${dirname(process.execPath)}:${process.env.PATH ?? ''}`;
    this.#child = spawn(program, args, {
      stdio: ['ignore', output, output],
      detached: true,
      env: { ...process.env, PATH: path, ...environment },
    });
    closeSync(output);
    const pid = this.#child.pid;
    this.#child.once('error', (error) => this.#end(error.message));
    this.#child.once('exit', (code, signal) => this.#end(signal ?? `exit code ${code}`));
    this.pid = pid ?? -1;
    running.add(this);
  }

  #end(how: string): void {
    this.#ended = how;
    running.delete(this);
  }

  /** How the daemon ended, or undefined while it runs. */
  get ended(): string | undefined {
    return this.#ended;
  }

  /** Waits for the end and says how it was. */
  async waitForEnd(timeout_ms: number): Promise<string> {
    if (this.#ended === undefined) {
      await within(`the end of ${this.name}`, timeout_ms, once(this.#child, 'exit'));
    }
    return this.#ended ?? 'ended';
  }

  /** Ends the daemon and its children with SIGKILL. */
  killGroup(): void {
    if (this.pid > 0) {
      try {
        process.kill(-this.pid, 'SIGKILL');
      } catch {
        // The group is gone already.
      }
    }
    running.delete(this);
  }
}

/** Ends whatever still runs; safe in an exit handler. */
export function killAll(): void {
  for (const daemon of [...running]) daemon.killGroup();
}
