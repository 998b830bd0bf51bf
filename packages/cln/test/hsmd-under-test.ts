/**
 * A real countersign-hsmd process, and lightningd's end of its descriptors: nothing here blocks, every wait is bounded,
 * and every byte the process writes is kept.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as setImmediatePromise, setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  closeDescriptor,
  DescriptorError,
  encodeFrame,
  FrameDecoder,
  receiveDescriptor,
  socketPair,
} from '@countersign/transport';
import {
  decodeMessage,
  encodeMessage,
  type MessageOf,
  type Reply,
  type Request,
  type Status,
} from '@countersign/wire';
import { initRequest } from '../../core/test/init-request.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));
/** A start takes a quarter of the time with it. */
const COMPILE_CACHE = fileURLToPath(new URL('../../../node_modules/.cache/hsmd-under-test', import.meta.url));
const FRAME_BYTES_MAX = 128 * 1024 * 1024;
const WAIT_MS = 30_000;
/** lightningd waits for ten seconds (subd_shutdown), then kills. At once, that is, but on a machine that others use too. */
export const EXIT_WAIT_MS = 9_000;

export const SECRET = new Uint8Array(32).fill(0x42);
export const PEER = Uint8Array.of(2, ...new Uint8Array(32).fill(0x11));
/** The generator of secp256k1: a public key of nobody. */
export const POINT = Buffer.from('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798', 'hex');
export const ALL_BITS = 511n;
export const ECDH: Request = { name: 'hsmd_ecdh_req', point: POINT };
/** Answered without a signer's state; only lightningd itself may ask it. */
export const DERIVE: Request = { name: 'hsmd_derive_secret', info: new TextEncoder().encode('commando') };

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined;

/** Looks this often without a pause: an answer usually takes less than a timer. */
const EAGER_LOOKS = 50;

/** Tries until it gives something, for at most `waitMs`. */
async function poll<T>(what: string, waitMs: number, attempt: () => T | undefined): Promise<T> {
  const until = performance.now() + waitMs;
  for (let looks = 1; ; looks++) {
    const got = attempt();
    if (got !== undefined) return got;
    if (performance.now() > until) throw new Error(`no ${what} within ${waitMs} ms`);
    await (looks < EAGER_LOOKS ? setImmediatePromise() : sleep(1));
  }
}

/** Our end of a stream pair, as frames. */
export class Link {
  readonly #descriptor: number;
  /** Makes the descriptor non-blocking and closes it; nothing is read or written through it. */
  readonly #holder: Socket;
  #open = true;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
    this.#holder = new Socket({ fd: descriptor, readable: false, writable: true });
    this.#holder.on('error', () => {});
    this.#holder.unref();
  }

  /** False when the other side hung up. */
  async sendRaw(bytes: Uint8Array): Promise<boolean> {
    let at = 0;
    while (at < bytes.length) {
      const count = await poll('room to send', WAIT_MS, () => {
        try {
          return writeSync(this.#descriptor, bytes, at);
        } catch (error) {
          if (codeOf(error) === 'EPIPE' || codeOf(error) === 'ECONNRESET') return -1;
          if (codeOf(error) === 'EAGAIN') return undefined;
          throw error;
        }
      });
      if (count < 0) return false;
      at += count;
    }
    return true;
  }

  send(body: Uint8Array | Request): Promise<boolean> {
    const bytes =
      body instanceof Uint8Array
        ? body
        : encodeMessage(body, undefined, { messageBytesMax: FRAME_BYTES_MAX });
    return this.sendRaw(encodeFrame(bytes, FRAME_BYTES_MAX));
  }

  #readSome(into: Uint8Array, at: number): number | undefined {
    try {
      return readSync(this.#descriptor, into, at, into.length - at, null);
    } catch (error) {
      if (codeOf(error) === 'EAGAIN') return undefined;
      if (codeOf(error) === 'ECONNRESET') return 0;
      throw error;
    }
  }

  async #read(length: number, waitMs: number): Promise<Uint8Array | undefined> {
    const into = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const count = await poll('bytes', waitMs, () => this.#readSome(into, at));
      if (count === 0) return undefined;
      at += count;
    }
    return into;
  }

  /** The next frame's body; `closed` at the end of the stream. Throws when nothing comes in time. */
  async receive(waitMs = WAIT_MS): Promise<Uint8Array | 'closed'> {
    const header = await this.#read(4, waitMs);
    if (header === undefined) return 'closed';
    const length = new DataView(header.buffer).getUint32(0);
    return (await this.#read(length, waitMs)) ?? 'closed';
  }

  async ask(body: Uint8Array | Request): Promise<Reply | 'closed'> {
    await this.send(body);
    return this.reply();
  }

  async reply(): Promise<Reply | 'closed'> {
    const body = await this.receive();
    if (body === 'closed') return 'closed';
    const decoded = decodeMessage(body, 'reply', { messageBytesMax: FRAME_BYTES_MAX });
    if (!decoded.ok || decoded.message.name === 'unknown') throw new Error('the reply is no known message');
    return decoded.message;
  }

  async receiveDescriptor(): Promise<number> {
    const got = await poll('descriptor', WAIT_MS, () => {
      try {
        return receiveDescriptor(this.#descriptor) ?? 'end';
      } catch (error) {
        if (error instanceof DescriptorError && error.facts.errno === 'EAGAIN') return undefined;
        throw error;
      }
    });
    if (got === 'end') throw new Error('the stream ended instead of a descriptor');
    return got;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#holder.destroy();
  }
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** From the last call of `hangUp` or `kill`, in milliseconds. */
  readonly afterMs: number;
}

export interface StartOptions {
  readonly directory: string;
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Options of Node itself, e.g. a module to load first. */
  readonly nodeArgs?: readonly string[];
  /** Put in front of the command, e.g. a shell that sets a limit. */
  readonly prefix?: readonly string[];
  /** Leave the status socket unread. */
  readonly ignoresStatus?: boolean;
}

const running = new Set<HsmdUnderTest>();

export class HsmdUnderTest {
  readonly master: Link;
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  readonly #status: Socket;
  readonly #chunks: { status: Uint8Array[]; stdout: Uint8Array[]; stderr: Uint8Array[] } = {
    status: [],
    stdout: [],
    stderr: [],
  };
  #hungUpMs = performance.now();

  constructor(options: StartOptions) {
    const { directory, args = [], environment = {}, nodeArgs = [], prefix = [] } = options;
    const [status, childStatus] = socketPair();
    const [request, childRequest] = socketPair();
    const command = [
      ...prefix,
      process.execPath,
      '--conditions=source',
      '--disable-warning=ExperimentalWarning',
      ...nodeArgs,
      MAIN,
      ...args,
    ];
    this.#child = spawn(command[0]!, command.slice(1), {
      cwd: directory,
      env: {
        PATH: process.env.PATH,
        NODE_COMPILE_CACHE: COMPILE_CACHE,
        ...environment,
      },
      stdio: [childStatus, 'pipe', 'pipe', childRequest],
    });
    closeDescriptor(childStatus);
    closeDescriptor(childRequest);
    this.master = new Link(request);
    this.#status = new Socket({ fd: status, readable: true, writable: false });
    this.#status.on('error', () => {});
    const keep = (kind: 'status' | 'stdout' | 'stderr') => (chunk: Uint8Array) => {
      this.#chunks[kind].push(chunk);
    };
    if (options.ignoresStatus !== true) this.#status.on('data', keep('status'));
    this.#child.stdout?.on('data', keep('stdout'));
    this.#child.stderr?.on('data', keep('stderr'));
    const statusEnded = new Promise((resolve) => this.#status.once('close', resolve));
    const outputEnded = new Promise((resolve) => this.#child.once('close', resolve));
    running.add(this);
    this.ended = new Promise<Ended>((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('exit', (code, signal) => {
        running.delete(this);
        const ended = { code, signal, afterMs: performance.now() - this.#hungUpMs };
        // What it wrote last may still be on its way to us.
        const read = [outputEnded, ...(options.ignoresStatus === true ? [] : [statusEnded])];
        void Promise.race([Promise.all(read), sleep(10_000)]).then(() => resolve(ended));
      });
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Every byte it wrote to one of its three ways out. */
  written(kind: 'status' | 'stdout' | 'stderr'): Uint8Array {
    return Buffer.concat(this.#chunks[kind]);
  }

  output(): string {
    return new TextDecoder().decode(Buffer.concat([...this.#chunks.stdout, ...this.#chunks.stderr]));
  }

  /** What it said on the status socket so far, oldest first. */
  statusMessages(): Status[] {
    const decoder = new FrameDecoder();
    decoder.push(this.written('status'));
    const messages: Status[] = [];
    for (let body = decoder.next(); body !== undefined; body = decoder.next()) {
      const decoded = decodeMessage(body, 'status');
      if (!decoded.ok || decoded.message.name === 'unknown') throw new Error('no status message');
      messages.push(decoded.message);
    }
    return messages;
  }

  statusNamed<N extends Status['name']>(name: N): Extract<Status, { name: N }>[] {
    return this.statusMessages().filter((one): one is Extract<Status, { name: N }> => one.name === name);
  }

  /** Lines of lightningd's log at this level. */
  logged(level: 'debug' | 'info' | 'unusual' | 'broken'): string[] {
    return this.statusNamed('status_log').flatMap((one) => (one.level === level ? [one.entry] : []));
  }

  /** Until a status message is there that `matches`. */
  async waitForStatus(matches: (message: Status) => boolean): Promise<Status> {
    return poll('such status message', WAIT_MS, () => this.statusMessages().find(matches));
  }

  async init(changed: Partial<MessageOf<'hsmd_init'>> = {}): Promise<Reply | 'closed'> {
    return this.master.ask(initRequest('regtest', changed));
  }

  /** A client as lightningd opens one; the reply must be the right one. */
  async openClient(dbid: bigint, permissions = ALL_BITS, id: Uint8Array = PEER): Promise<Link> {
    const answer = await this.master.ask({ name: 'hsmd_client_hsmfd', id, dbid, permissions });
    if (answer === 'closed' || answer.name !== 'hsmd_client_hsmfd_reply') {
      throw new Error(`no client: ${JSON.stringify(answer)}`);
    }
    return new Link(await this.master.receiveDescriptor());
  }

  /** lightningd is gone: both sockets close. */
  hangUp(): Promise<Ended> {
    this.#hungUpMs = performance.now();
    this.master.close();
    return this.ended;
  }

  kill(signal: NodeJS.Signals): Promise<Ended> {
    this.#hungUpMs = performance.now();
    this.#child.kill(signal);
    return this.ended;
  }

  /** The terminal that lightningd was started on is closed. */
  closeTerminal(): void {
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
  }

  /** lightningd stops reading status messages. */
  closeStatus(): void {
    this.#status.destroy();
  }
}

/** For `afterEach`: no process outlives its test. */
export async function endAll(): Promise<void> {
  await Promise.all([...running].map((one) => one.kill('SIGKILL')));
}

const directories: string[] = [];

/** A network directory of lightningd with these files in it. */
export function networkDirectory(
  files: Readonly<Record<string, string | Uint8Array>> = { hsm_secret: SECRET },
): string {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-hsmd-'));
  directories.push(directory);
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(directory, name), content, { mode: 0o400 });
  return directory;
}

export function subdirectory(directory: string, name: string): string {
  mkdirSync(join(directory, name));
  return join(directory, name);
}

/** For `afterAll`. */
export function removeDirectories(): void {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
}

export function start(options: Partial<StartOptions> = {}): HsmdUnderTest {
  return new HsmdUnderTest({ directory: networkDirectory(), ...options });
}

/** One that has answered INIT on regtest. */
export async function serving(options: Partial<StartOptions> = {}): Promise<HsmdUnderTest> {
  const hsmd = start(options);
  const reply = await hsmd.init();
  if (reply === 'closed' || reply.name !== 'hsmd_init_reply_v4')
    throw new Error(`INIT: ${JSON.stringify(reply)}`);
  return hsmd;
}

/** True when lightningd itself is answered. */
export async function isServing(hsmd: HsmdUnderTest): Promise<boolean> {
  const reply = await hsmd.master.ask(DERIVE);
  return reply !== 'closed' && reply.name === 'hsmd_derive_secret_reply';
}
