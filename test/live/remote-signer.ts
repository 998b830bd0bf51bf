/** The signer of one node as a process of its own: `countersign signer run`, which dials out to the node's hsmd, directly or through a
 *  cable that the scenario may damage. Promises that it outlives its node's crashes, and ends with the world. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../packages/transport/test/free-port.ts';
import { BadCable } from './bad-cable.ts';
import { Daemon } from './daemon.ts';
import { pairByFiles } from './pairing.ts';

const STOP_TIMEOUT_MS = 15_000;
const COUNTERSIGN = join(import.meta.dirname, '../../packages/cli/bin/countersign');
/** Of the seed file; and a signer of a scenario types nothing. */
const PASSPHRASE = 'a passphrase of the live suite';

export interface RemoteSignerSettings {
  readonly name: string;
  readonly directory: string;
  /** lightningd's network directory, where its hsmd keeps its side of the link. */
  readonly node_directory: string;
  /** What a signer in place would have in countersign.toml. */
  readonly policy_toml: string;
  /** What the policy names, beside it. */
  readonly files: { readonly [name: string]: string };
  /** `hsm_secret` to begin with; null: a new seed. */
  readonly hsm_secret: Uint8Array | null;
  readonly has_cable: boolean;
  /** Of the signer's process. */
  readonly environment?: Record<string, string>;
}

export class RemoteSigner {
  readonly settings: RemoteSignerSettings;
  readonly cable: BadCable | null;
  /** Where the node's hsmd listens. */
  readonly listen_port: number;
  #daemon: Daemon | undefined;

  private constructor(settings: RemoteSignerSettings, listen_port: number, cable: BadCable | null) {
    this.settings = settings;
    this.listen_port = listen_port;
    this.cable = cable;
  }

  /** With a seed, and paired; not started yet. */
  static async prepare(settings: RemoteSignerSettings): Promise<RemoteSigner> {
    const listen_port = await freePort();
    const cable = settings.has_cable ? await BadCable.between(listen_port) : null;
    const signer = new RemoteSigner(settings, listen_port, cable);
    const { directory, node_directory, policy_toml, files } = settings;
    mkdirSync(directory, { recursive: true });
    const write = (name: string, content: string | Uint8Array): void =>
      writeFileSync(join(directory, name), content, { mode: 0o600 });
    write('signer.toml', signer.#toml(cable?.port ?? listen_port));
    write('policy.toml', policy_toml);
    write('passphrase', PASSPHRASE);
    for (const [name, content] of Object.entries(files)) write(name, content);
    pairByFiles(join(node_directory, 'countersign'), signer.#node_directory);
    await signer.#makeSeed();
    return signer;
  }

  #toml(dial_port: number): string {
    const { name } = this.settings;
    return `[node.${name}]
network = "regtest"
policy_file = "policy.toml"
passphrase_file = "passphrase"
[node.${name}.link]
dial = "127.0.0.1:${dial_port}"
`;
  }

  async #makeSeed(): Promise<void> {
    const { directory, hsm_secret } = this.settings;
    const imports = hsm_secret === null ? ['--skip-backup-check'] : ['--import', 'hsm_secret'];
    if (hsm_secret !== null) writeFileSync(join(directory, 'hsm_secret'), hsm_secret, { mode: 0o400 });
    const child = spawn(COUNTERSIGN, ['signer', 'init', ...imports], { cwd: directory });
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text: Buffer) => appendFileSync(this.output_path, text));
    const [status] = await once(child, 'exit');
    if (status !== 0) throw new Error(`no seed: ${this.output()}`);
  }

  /** For the node's countersign.toml. */
  get node_toml(): string {
    return `mode = "remote"\n[remote]\nlisten = "127.0.0.1:${this.listen_port}"\n`;
  }

  /** Of this node, among those a signer may have. */
  get #node_directory(): string {
    return join(this.settings.directory, this.settings.name);
  }

  get state_directory(): string {
    return join(this.#node_directory, 'state');
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

  /** Of the running process; its launcher has become it. */
  get pid(): number | undefined {
    return this.#daemon?.pid;
  }

  start(): void {
    if (this.ended === undefined) return;
    const { name, directory, environment } = this.settings;
    const args = ['signer', 'run', '--config', join(directory, 'signer.toml')];
    this.#daemon = new Daemon(`signer of ${name}`, COUNTERSIGN, args, this.output_path, environment);
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
