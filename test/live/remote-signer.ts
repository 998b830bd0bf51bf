/** The signer of one node as a process of its own, which dials out to the node's hsmd: directly, or through a cable that the
 *  scenario may damage. Promises that it outlives its node's crashes, and ends with the world. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BadCable } from './bad-cable.ts';
import { Daemon } from './daemon.ts';
import { pairByFiles } from './pairing.ts';
import { freePort } from './ports.ts';

const STOP_TIMEOUT_MS = 15_000;

export interface RemoteSignerSettings {
  readonly name: string;
  readonly directory: string;
  /** lightningd's network directory, where its hsmd keeps its side of the link. */
  readonly node_directory: string;
  /** What a signer in place would have in countersign.toml. */
  readonly policy_toml: string;
  readonly files: { readonly [name: string]: string };
  readonly secret: 'new' | 'plain';
  readonly has_cable: boolean;
}

export class RemoteSigner {
  readonly settings: RemoteSignerSettings;
  readonly cable: BadCable | null;
  /** Where the node's hsmd listens. */
  readonly #listen_port: number;
  #daemon: Daemon | undefined;

  private constructor(settings: RemoteSignerSettings, listen_port: number, cable: BadCable | null) {
    this.settings = settings;
    this.#listen_port = listen_port;
    this.cable = cable;
  }

  static async prepare(settings: RemoteSignerSettings): Promise<RemoteSigner> {
    const listen_port = await freePort();
    const cable = settings.has_cable ? await BadCable.between(listen_port) : null;
    const signer = new RemoteSigner(settings, listen_port, cable);
    const { directory, node_directory, policy_toml, files, secret } = settings;
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'countersign.toml'), policy_toml);
    for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
    if (secret === 'plain') writeFileSync(join(directory, 'hsm_secret'), randomBytes(32), { mode: 0o400 });
    pairByFiles(join(node_directory, 'countersign'), join(directory, 'link'));
    return signer;
  }

  /** For the node's countersign.toml. */
  get node_toml(): string {
    return `mode = "remote"\n[remote]\nlisten = "127.0.0.1:${this.#listen_port}"\n`;
  }

  get state_directory(): string {
    return join(this.settings.directory, 'countersign');
  }

  get output_path(): string {
    return join(this.settings.directory, 'output');
  }

  output(): string {
    return existsSync(this.output_path) ? readFileSync(this.output_path, 'utf8') : '';
  }

  get ended(): string | undefined {
    return this.#daemon === undefined ? 'not started' : this.#daemon.ended;
  }

  start(): void {
    if (this.ended === undefined) return;
    const { name, directory } = this.settings;
    const script = join(import.meta.dirname, 'signer-host.ts');
    const port = String(this.cable?.port ?? this.#listen_port);
    const args = ['--disable-warning=ExperimentalWarning', '--conditions=source', script, directory, port];
    this.#daemon = new Daemon(`signer of ${name}`, process.execPath, args, this.output_path);
  }

  async stop(): Promise<void> {
    const daemon = this.#daemon;
    if (daemon !== undefined && daemon.ended === undefined) {
      process.kill(daemon.pid, 'SIGTERM');
      const how = await daemon.waitForEnd(STOP_TIMEOUT_MS);
      if (how !== 'exit code 0') throw new Error(`the signer of ${this.settings.name} ended: ${how}`);
    }
    this.cable?.close();
  }

  /** As a power cut does. */
  async kill(): Promise<void> {
    this.#daemon?.killGroup();
    await this.#daemon?.waitForEnd(STOP_TIMEOUT_MS);
  }

  async crash(): Promise<void> {
    await this.kill();
    this.cable?.close();
  }
}
