/**
 * A real countersign-cln-plugin process, and lightningd's end of its stdin and stdout.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../src/plugin/main.ts', import.meta.url));
const COMPILE_CACHE = fileURLToPath(new URL('../../../node_modules/.cache/hsmd-under-test', import.meta.url));
const WAIT_MS = 30_000;

type Message = Record<string, unknown>;

const running = new Set<PluginUnderTest>();

export class PluginUnderTest {
  readonly messages: Message[] = [];
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcessWithoutNullStreams;
  #text = '';
  #id = 0;

  /** `directory`: lightningd's network directory. */
  constructor(directory: string) {
    this.#child = spawn(
      process.execPath,
      ['--conditions=source', '--disable-warning=ExperimentalWarning', MAIN],
      {
        cwd: directory,
        env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: COMPILE_CACHE },
      },
    );
    running.add(this);
    this.ended = new Promise((resolve) => {
      this.#child.once('exit', (code) => {
        running.delete(this);
        resolve(code);
      });
    });
    this.#child.stdin.on('error', () => {});
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => this.#onText(text));
  }

  #onText(text: string): void {
    this.#text += text;
    for (let end = this.#text.indexOf('\n\n'); end >= 0; end = this.#text.indexOf('\n\n')) {
      this.messages.push(JSON.parse(this.#text.slice(0, end)) as Message);
      this.#text = this.#text.slice(end + 2);
    }
  }

  /** As lightningd writes: pretty, ended by an empty line. */
  write(message: unknown): void {
    this.#child.stdin.write(`${JSON.stringify(message, null, 1)}\n\n`);
  }

  writeText(text: string): void {
    this.#child.stdin.write(text);
  }

  async ask(method: string, params: unknown = {}): Promise<Message> {
    this.#id += 1;
    const id = `cln:${method}#${this.#id}`;
    this.write({ jsonrpc: '2.0', id, method, params });
    return this.waitFor(`an answer to ${method}`, (message) => message.id === id);
  }

  async waitFor(what: string, matches: (message: Message) => boolean): Promise<Message> {
    for (const until = performance.now() + WAIT_MS; performance.now() < until; await sleep(2)) {
      const found = this.messages.find(matches);
      if (found !== undefined) return found;
      if (this.#child.exitCode !== null) throw new Error(`ended with ${this.#child.exitCode}, no ${what}`);
    }
    throw new Error(`no ${what}`);
  }

  /** Lines of lightningd's log. */
  logged(level: string): string[] {
    return this.messages
      .filter((message) => message.method === 'log')
      .map((message) => message.params as { level: string; message: string })
      .filter((params) => params.level === level)
      .map((params) => params.message);
  }

  init(options: Record<string, unknown> = {}): Promise<Message> {
    return this.ask('init', { options, configuration: { network: 'regtest' } });
  }

  /** One write, with these values as blobs in it. */
  dbWrite(...values: Uint8Array[]): Promise<Message> {
    const writes = values.map((value) => `UPDATE t SET b=x'${Buffer.from(value).toString('hex')}'`);
    return this.ask('db_write', { data_version: this.#id, writes });
  }

  hangUp(): Promise<number | null> {
    this.#child.stdin.end();
    return this.ended;
  }

  kill(): Promise<number | null> {
    this.#child.kill('SIGKILL');
    return this.ended;
  }
}

/** For `afterEach`. */
export async function endPlugins(): Promise<void> {
  await Promise.all([...running].map((one) => one.kill()));
}
