/**
 * One hsmd process, started the way lightningd starts it: status socket on descriptor 0, request socket on 3, working
 * directory where `hsm_secret` lies. Descriptors it hands out become links by the number of their client.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { closeDescriptor, FrameSocket, socketPair } from '@countersign/transport';
import { CommandError } from '../command-error.ts';
import type { Answer } from './compare.ts';
import { BlockingLink, ClientLink } from './links.ts';
import { readStatistics, readStatus, type StatusMessage, type StoreStatistics } from './status.ts';

export interface HsmdOptions {
  readonly path: string;
  /** Working directory: holds `hsm_secret`, and the state of the hsmd. */
  readonly directory: string;
  /** As lightningd passes them, e.g. `--developer`. */
  readonly args: readonly string[];
  /** Longest wait for one answer, in milliseconds; after it the process is killed. */
  readonly answerWaitMs: number;
}

export interface HsmdExit {
  /** Exit status; null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** lightningd waits this long after closing the request socket, then kills. */
export const EXIT_WAIT_MS = 10_000;
/** For the last status messages of a process that has already exited. */
const STATUS_WAIT_MS = 10_000;
const STATUS_KEPT_MAX = 2_000;
const ERROR_OUTPUT_CHARS_MAX = 8_000;

function assertExecutable(path: string): void {
  try {
    accessSync(path, constants.X_OK);
  } catch (cause) {
    throw new CommandError(
      'hsmd-not-found',
      `${path} is not an executable file`,
      'Build the project with `npm run build`, or name an hsmd with --hsmd PATH.',
      {},
      { cause },
    );
  }
}

export class HsmdProcess {
  /** lightningd's own link: client 0. */
  readonly master: BlockingLink;
  /** Everything said on the status socket, oldest first; at most the first two thousand. */
  readonly statusMessages: StatusMessage[] = [];
  readonly whenExited: Promise<HsmdExit>;
  statistics: StoreStatistics | undefined;
  #exit: HsmdExit | undefined;
  #errorOutput = '';
  readonly #child: ChildProcess;
  readonly #status: FrameSocket;
  readonly #statusEnded: Promise<void>;
  readonly #clients = new Map<number, ClientLink>();
  readonly #answerWaitMs: number;

  constructor(options: HsmdOptions) {
    assertExecutable(options.path);
    const [status, childStatus] = socketPair();
    const [request, childRequest] = socketPair();
    this.#answerWaitMs = options.answerWaitMs;
    this.#child = spawn(options.path, options.args, {
      cwd: options.directory,
      stdio: [childStatus, 'pipe', 'pipe', childRequest],
    });
    closeDescriptor(childStatus);
    closeDescriptor(childRequest);
    this.master = new BlockingLink(request);
    this.#status = FrameSocket.fromDescriptor(status);
    this.#statusEnded = this.#readStatus();
    this.#child.stdout?.on('data', (chunk: Uint8Array) => this.#onOutput(chunk));
    this.#child.stderr?.on('data', (chunk: Uint8Array) => this.#onOutput(chunk));
    this.whenExited = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => this.#onExit({ code, signal }, resolve));
      this.#child.once('error', (error) => {
        this.#errorOutput += `${error.message}\n`;
        this.#onExit({ code: null, signal: null }, resolve);
      });
    });
  }

  /** Undefined while it runs. */
  get exit(): HsmdExit | undefined {
    return this.#exit;
  }

  /** What it wrote to its standard output and error, cut off when long. */
  get errorOutput(): string {
    return this.#errorOutput;
  }

  hasClient(id: number): boolean {
    return id === 0 ? this.master.isOpen : this.#clients.get(id)?.isOpen === true;
  }

  /** Ask as this client. After a wait without an answer the process is killed: it would never be in step again. */
  async request(clientId: number, body: Uint8Array): Promise<Answer> {
    const link = clientId === 0 ? this.master : this.#clients.get(clientId);
    if (link === undefined) return { kind: 'unsent', why: `client ${clientId} got no socket` };
    if (!link.isOpen) return { kind: 'closed' };
    let overdue = false;
    const timer = setTimeout(() => {
      overdue = true;
      this.kill();
    }, this.#answerWaitMs);
    const answer = await link.request(body);
    clearTimeout(timer);
    return overdue ? { kind: 'timeout', waitedMs: this.#answerWaitMs } : answer;
  }

  /** Send a message that has no reply. */
  async send(body: Uint8Array): Promise<Answer> {
    return (await this.master.send(body)) ? { kind: 'nothing' } : { kind: 'closed' };
  }

  /** Take the descriptor that follows a CLIENT_HSMFD reply. False when none came because the process ended. */
  acceptClient(id: number): boolean {
    const descriptor = this.master.receiveDescriptor();
    if (descriptor === undefined) return false;
    this.#clients.set(id, new ClientLink(descriptor));
    return true;
  }

  /** True when the hsmd closed this client's socket within the wait. */
  async closesClient(id: number, waitMs: number): Promise<boolean> {
    const client = this.#clients.get(id);
    if (client === undefined || !client.isOpen) return true;
    return Promise.race([client.whenClosed.then(() => true), sleep(waitMs, false, { ref: false })]);
  }

  closeClient(id: number): void {
    this.#clients.get(id)?.close();
    this.#clients.delete(id);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Hang up as lightningd does when it stops: the request socket first, then wait, then kill. */
  async stop(): Promise<HsmdExit> {
    for (const id of [...this.#clients.keys()]) this.closeClient(id);
    this.master.close();
    const timer = setTimeout(() => this.kill(), EXIT_WAIT_MS);
    const exit = await this.whenExited;
    clearTimeout(timer);
    await Promise.race([this.#statusEnded, sleep(STATUS_WAIT_MS, undefined, { ref: false })]);
    this.#status.destroy();
    return exit;
  }

  #onExit(exit: HsmdExit, resolve: (exit: HsmdExit) => void): void {
    this.#exit ??= exit;
    resolve(this.#exit);
  }

  #onOutput(chunk: Uint8Array): void {
    const room = ERROR_OUTPUT_CHARS_MAX - this.#errorOutput.length;
    if (room > 0) this.#errorOutput += new TextDecoder().decode(chunk).slice(0, room);
  }

  /** Until the process is gone. Bytes that are no status message are kept as output: they help to see what went wrong. */
  async #readStatus(): Promise<void> {
    try {
      for await (const body of this.#status.frames()) this.#onStatus(readStatus(body));
    } catch (error) {
      this.#onOutput(new TextEncoder().encode(`status socket: ${String(error)}\n`));
    }
  }

  #onStatus(message: StatusMessage): void {
    if (message.kind === 'log') this.statistics = readStatistics(message.text) ?? this.statistics;
    if (this.statusMessages.length < STATUS_KEPT_MAX) this.statusMessages.push(message);
  }
}
