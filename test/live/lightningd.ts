/** A lightningd with its hsmd, stock or Countersign's. Promises start, stop and crash as an operator sees them, bounded calls,
 *  and where its logs are. */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { freePort } from '../../packages/transport/test/free-port.ts';
import type { Bitcoind } from './bitcoind.ts';
import { Daemon } from './daemon.ts';
import { type JsonValue, numberAt, textAt } from './json-value.ts';
import type { RemoteSigner } from './remote-signer.ts';
import { callLightning, LostError, RpcError } from './rpc.ts';
import { until } from './wait.ts';

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
const CALL_TIMEOUT_MS = 60_000;
const NETWORK = 'regtest';

/** `stock` is the hsmd beside lightningd; otherwise an executable, and whether it reads countersign.toml. */
export type Hsmd = { readonly kind: 'stock' } | { readonly kind: 'countersign'; readonly path: string };

/** `polling`: developer mode with immediate blocks and gossip. `plain`: as operators run it (blocks seen within 30 s). */
export type Mode = 'polling' | 'plain';

export interface NodeSettings {
  readonly name: string;
  readonly directory: string;
  readonly program: string;
  readonly hsmd: Hsmd;
  readonly bitcoind: Bitcoind;
  readonly options: string[];
  readonly holds: boolean;
  /** Put the refusing hsmd before the real one. */
  readonly refuses: boolean;
  /** Load the plugin that delivers preimages to Countersign. */
  readonly delivers: boolean;
  readonly policy_toml: string;
  /** The signer follows the chain by bitcoind. */
  readonly follows: boolean;
  readonly chain_port: number;
  /** `new`: the hsmd makes the secret; `plain`: the 32 bytes of older nodes. */
  readonly secret: 'new' | 'plain';
  readonly environment: Record<string, string>;
  /** Where its signer runs apart. */
  readonly remote: RemoteSigner | null;
  /** Its hsmd writes down what it was asked and what it answered. */
  readonly records: boolean;
}

/** Writes an executable that runs a TypeScript file of this folder under this very Node, after the lines of shell given. */
function writeLauncher(path: string, script: string, before = ''): void {
  const source = join(import.meta.dirname, script);
  const run = `exec '${process.execPath}' --disable-warning=ExperimentalWarning --conditions=source '${source}' "$@"`;
  writeFileSync(path, `#!/bin/sh\n${before}${run}\n`);
  chmodSync(path, 0o755);
}

/** The hsmd that lightningd starts by itself: beside it when built, in libexec when installed. */
function stockHsmd(lightningd: string): string {
  const beside = join(dirname(lightningd), 'lightning_hsmd');
  const installed = join(dirname(lightningd), '../libexec/c-lightning/lightning_hsmd');
  return existsSync(beside) ? beside : installed;
}

/** The delay a node imposes on its peers. Each node its own: a signer that mixed the two sides up would sign nothing. */
function toSelfDelayBlocks(name: string): number {
  return 5 + (name.charCodeAt(name.length - 1) % 8);
}

export const PASSWORD_FILE = 'bitcoind-password';

/** [chain] of countersign.toml: the signer's own way to the blocks. */
export function chainToml({ endpoint }: Bitcoind, port: number): string {
  return `[chain]
source = "bitcoind"
url = "http://127.0.0.1:${port}"
user = "${endpoint.user}"
password_file = "${PASSWORD_FILE}"
poll_seconds = 1
`;
}

export class Lightningd {
  readonly settings: NodeSettings;
  readonly log_path: string;
  readonly output_path: string;
  id = '';
  port = 0;
  #daemon: Daemon | undefined;

  constructor(settings: NodeSettings) {
    this.settings = settings;
    this.log_path = join(settings.directory, 'log');
    this.output_path = join(settings.directory, 'output');
    mkdirSync(join(settings.directory, NETWORK), { recursive: true });
    this.setFeerate(10_000);
    writeLauncher(join(settings.directory, 'live-chain'), 'chain-plugin.ts');
    writeLauncher(join(settings.directory, 'live-hold'), 'hold-plugin.ts');
    if (settings.secret === 'plain' && settings.remote === null) {
      writeFileSync(join(settings.directory, NETWORK, 'hsm_secret'), randomBytes(32), { mode: 0o400 });
    }
    const version = `[ "$1" = --version ] && exec '${settings.program}' --version\n`;
    if (settings.refuses) {
      const real = settings.hsmd.kind === 'stock' ? stockHsmd(settings.program) : settings.hsmd.path;
      const environment = `LIVE_REAL_HSMD='${real}'\nexport LIVE_REAL_HSMD\n`;
      writeLauncher(join(settings.directory, 'refusing-hsmd'), 'refusing-hsmd.ts', version + environment);
    }
    if (settings.records)
      writeLauncher(join(settings.directory, 'recording-hsmd'), 'recording-hsmd.ts', version);
    if (settings.remote !== null) {
      writeFileSync(join(settings.directory, NETWORK, 'countersign.toml'), settings.remote.node_toml);
    } else if (settings.hsmd.kind === 'countersign') {
      const chain = settings.follows ? chainToml(settings.bitcoind, settings.chain_port) : '';
      writeFileSync(
        join(settings.directory, NETWORK, 'countersign.toml'),
        `${settings.policy_toml}\n${chain}`,
      );
      writeFileSync(join(settings.directory, NETWORK, PASSWORD_FILE), settings.bitcoind.endpoint.password);
    }
  }

  get name(): string {
    return this.settings.name;
  }

  get pid(): number {
    return this.#daemon?.pid ?? -1;
  }

  get ended(): string | undefined {
    return this.#daemon === undefined ? 'not started' : this.#daemon.ended;
  }

  /** What the Bitcoin backend tells lightningd from now on, for every target. */
  setFeerate(sat_per_kvb: number): void {
    writeFileSync(join(this.settings.directory, 'feerate'), String(sat_per_kvb));
  }

  /** From now on the node hears of no block above this height; null: it sees again. */
  blind(height: number | null): void {
    const path = join(this.settings.directory, 'blind');
    if (height === null) rmSync(path, { force: true });
    else writeFileSync(path, String(height));
  }

  #arguments(mode: Mode, extra: string[]): string[] {
    const { directory, bitcoind, hsmd, options } = this.settings;
    const { port, user, password } = bitcoind.endpoint;
    const polling = [
      '--developer',
      '--dev-bitcoind-poll=0',
      '--dev-fast-gossip',
      '--dev-fast-reconnect',
      '--allow-deprecated-apis=true',
    ];
    return [
      `--lightning-dir=${directory}`,
      `--network=${NETWORK}`,
      ...(mode === 'polling' ? polling : []),
      `--alias=${this.name}`,
      `--bind-addr=127.0.0.1:${this.port}`,
      `--log-file=${this.log_path}`,
      '--log-level=debug',
      '--rescan=1',
      '--disable-plugin=bcli',
      '--disable-plugin=bookkeeper',
      `--watchtime-blocks=${toSelfDelayBlocks(this.name)}`,
      `--plugin=${join(directory, 'live-chain')}`,
      `--live-bitcoind=${port}:${user}:${password}`,
      `--live-feerates=${join(directory, 'feerate')}`,
      `--live-blind=${join(directory, 'blind')}`,
      ...(this.settings.holds ? [`--plugin=${join(directory, 'live-hold')}`] : []),
      ...this.#subdaemon(hsmd),
      ...this.#delivery(hsmd),
      ...options,
      ...extra,
    ];
  }

  #subdaemon(hsmd: Hsmd): string[] {
    if (this.settings.refuses) return [`--subdaemon=hsmd:${join(this.settings.directory, 'refusing-hsmd')}`];
    if (this.settings.records) return [`--subdaemon=hsmd:${join(this.settings.directory, 'recording-hsmd')}`];
    return hsmd.kind === 'stock' ? [] : [`--subdaemon=hsmd:${hsmd.path}`];
  }

  /** Beside the hsmd, so that both are of one build. */
  #delivery(hsmd: Hsmd): string[] {
    if (hsmd.kind === 'stock' || !this.settings.delivers) return [];
    const plugin = join(dirname(hsmd.path), 'countersign-cln-plugin');
    return existsSync(plugin) ? [`--important-plugin=${plugin}`] : [];
  }

  /** The state directory of a Countersign node's signer, wherever that runs. */
  get state_directory(): string {
    return this.settings.remote?.state_directory ?? join(this.settings.directory, NETWORK, 'countersign');
  }

  /** From now on the refusing hsmd refuses requests of this number. */
  refuse(message: number): void {
    writeFileSync(join(this.settings.directory, 'refuse'), `${message}\n`);
  }

  refuseNoMore(): void {
    rmSync(join(this.settings.directory, 'refuse'), { force: true });
  }

  /** How many requests were refused so far. */
  refusals(): number {
    const path = join(this.settings.directory, 'refused');
    return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n').length : 0;
  }

  /** Starts the node and waits until it has the chain's tip. */
  async start(mode: Mode = 'polling', extra: string[] = []): Promise<void> {
    this.settings.remote?.start();
    await this.startWithoutSigner(mode, extra);
  }

  /** Its signer, where it runs apart, is the caller's to start. */
  async startWithoutSigner(mode: Mode = 'polling', extra: string[] = []): Promise<void> {
    // The port stays over restarts, so that peers find the node again.
    if (this.port === 0) this.port = await freePort();
    const args = this.#arguments(mode, extra);
    const { program, environment } = this.settings;
    this.#daemon = new Daemon(this.name, program, args, this.output_path, environment);
    const info = await until(`${this.name} to answer`, START_TIMEOUT_MS, () => this.#answers());
    this.id = textAt(info, 'id');
    await this.waitForHeight();
  }

  async #answers(): Promise<JsonValue | undefined> {
    if (this.ended !== undefined) throw new LostError(`${this.name} ended at start: ${this.ended}`);
    if (!existsSync(join(this.settings.directory, NETWORK, 'lightning-rpc'))) return undefined;
    try {
      return await this.call('getinfo');
    } catch (error) {
      if (error instanceof LostError) return undefined;
      throw error;
    }
  }

  call(
    method: string,
    params: { [name: string]: JsonValue } | JsonValue[] = {},
    timeout_ms = CALL_TIMEOUT_MS,
  ): Promise<JsonValue> {
    const socket_path = join(this.settings.directory, NETWORK, 'lightning-rpc');
    return callLightning(socket_path, method, params, timeout_ms);
  }

  /** The error that the call ends with; a call that succeeds fails the scenario. */
  async refused(method: string, params: { [name: string]: JsonValue } | JsonValue[] = {}): Promise<RpcError> {
    try {
      const result = await this.call(method, params);
      throw new TypeError(`${method} succeeded: ${JSON.stringify(result).slice(0, 200)}`);
    } catch (error) {
      if (error instanceof RpcError) return error;
      throw error;
    }
  }

  /** Waits until the node has seen all of bitcoind's blocks. */
  async waitForHeight(timeout_ms = 60_000): Promise<void> {
    const height = await this.settings.bitcoind.height();
    await until(`${this.name} to see block ${height}`, timeout_ms, async () => {
      return numberAt(await this.call('getinfo'), 'blockheight') >= height;
    });
  }

  async stop(): Promise<void> {
    const daemon = this.#daemon;
    if (daemon === undefined || daemon.ended !== undefined) return;
    try {
      // lightningd answers this call when it is as good as gone, or closes the connection.
      await this.call('stop', {}, STOP_TIMEOUT_MS).catch((error: unknown) => {
        if (!(error instanceof LostError)) throw error;
      });
      await daemon.waitForEnd(STOP_TIMEOUT_MS);
    } finally {
      daemon.killGroup();
    }
  }

  /** SIGKILL to lightningd and everything it started. */
  async crash(): Promise<void> {
    this.#daemon?.killGroup();
    await this.#daemon?.waitForEnd(STOP_TIMEOUT_MS);
  }

  waitForEnd(timeout_ms: number): Promise<string> {
    return this.#daemon?.waitForEnd(timeout_ms) ?? Promise.resolve('not started');
  }

  /** The process id of the node's hsmd, which lightningd logs when it starts it. */
  hsmdPid(): number {
    const pid = [...this.log().matchAll(/ hsmd: pid (\d+), /g)].at(-1)?.[1];
    if (pid === undefined) throw new LostError(`${this.name} has no hsmd process`);
    return Number(pid);
  }

  log(): string {
    return existsSync(this.log_path) ? readFileSync(this.log_path, 'utf8') : '';
  }

  /** What the node's signer has to say: in lightningd's log, or in its own where it runs apart. */
  async waitForSignerLog(pattern: RegExp, timeout_ms = 20_000): Promise<void> {
    const { remote } = this.settings;
    if (remote === null) return this.waitForLog(pattern, timeout_ms);
    await until(`${pattern} in the log of the signer of ${this.name}`, timeout_ms, () =>
      pattern.test(remote.output()),
    );
  }

  /** What lightningd and its plugins wrote on stdout and stderr. */
  output(): string {
    return existsSync(this.output_path) ? readFileSync(this.output_path, 'utf8') : '';
  }

  async waitForLog(pattern: RegExp, timeout_ms = 20_000): Promise<void> {
    await this.waitForLogAfter(0, pattern, timeout_ms);
  }

  /** In what the log has gained since it had `from` characters. */
  async waitForLogAfter(from: number, pattern: RegExp, timeout_ms = 20_000): Promise<void> {
    const isThere = (): boolean => pattern.test(this.log().slice(from));
    await until(`${pattern} in the log of ${this.name}`, timeout_ms, isThere);
  }
}
