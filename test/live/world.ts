/** What one scenario runs in: a directory, a bitcoind and its nodes. Promises that all of it is stopped at the end, however the
 *  scenario ends. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Bitcoind } from './bitcoind.ts';
import { chainToml, type Hsmd, Lightningd, type Mode, PASSWORD_FILE } from './lightningd.ts';
import type { Programs, SignerChoice } from './options.ts';
import { RemoteSigner } from './remote-signer.ts';

export interface NodeWishes {
  readonly options?: string[];
  /** Load the plugin that can hold HTLCs. */
  readonly holds?: boolean;
  /** Put the refusing hsmd before the real one. */
  readonly refuses?: boolean;
  /** Load the plugin that delivers preimages, whatever the command line says; only where Countersign signs. */
  readonly delivers?: boolean;
  /** Who signs with `--signers one`; a `cheater` has the stock hsmd with every choice, as Countersign would not cheat. */
  readonly hsmd?: 'stock' | 'countersign' | 'cheater';
  readonly mode?: Mode;
  readonly policy_toml?: string;
  /** Its signer follows the chain, whatever the command line says. */
  readonly follows?: boolean;
  /** Where its signer looks for bitcoind; default: where it is. */
  readonly chain_port?: number;
  readonly secret?: 'new' | 'plain';
  readonly environment?: Record<string, string>;
  /** Its signer runs apart, whatever the command line says; only where Countersign signs. */
  readonly remote?: boolean;
  /** Between node and signer runs a cable that can be damaged. */
  readonly has_cable?: boolean;
  /** Its hsmd writes down what it was asked and what it answered (`recording.ts`). */
  readonly records?: boolean;
}

/** Who signs for the nodes, and under which policy preset. */
export interface WorldOptions {
  readonly signers: SignerChoice;
  readonly preset: string;
  /** Nodes signed by Countersign load the plugin that delivers preimages. */
  readonly plugin: boolean;
  /** They follow the chain by bitcoind. */
  readonly chain: boolean;
  /** Their signers run apart. */
  readonly remote: boolean;
  readonly seed: number;
}

export class World {
  readonly directory: string;
  readonly nodes: Lightningd[] = [];
  readonly #programs: Programs;
  readonly #signers: SignerChoice;
  readonly #policy_toml: string;
  readonly #plugin: boolean;
  readonly #chain: boolean;
  readonly #remote: boolean;
  readonly seed: number;
  #bitcoind: Bitcoind | undefined;

  private constructor(programs: Programs, options: WorldOptions, directory: string) {
    this.#programs = programs;
    this.#signers = options.signers;
    this.#plugin = options.plugin;
    this.#chain = options.chain;
    this.#remote = options.remote;
    this.seed = options.seed;
    this.#policy_toml = policyToml(options.preset);
    this.directory = directory;
  }

  static async open(name: string, programs: Programs, options: WorldOptions): Promise<World> {
    const directory = mkdtempSync(join(tmpdir(), `live-${name}-`));
    const world = new World(programs, options, directory);
    world.#bitcoind = await Bitcoind.start(programs.bitcoind, join(directory, 'bitcoind'));
    return world;
  }

  get bitcoind(): Bitcoind {
    if (this.#bitcoind === undefined) throw new TypeError('bitcoind is not started');
    return this.#bitcoind;
  }

  get signers(): SignerChoice {
    return this.#signers;
  }

  get lightningd_program(): string {
    return this.#programs.lightningd;
  }

  #hsmd(wished: 'stock' | 'countersign' | 'cheater'): Hsmd {
    const stock =
      this.#signers === 'none' || wished === 'cheater' || (this.#signers === 'one' && wished === 'stock');
    return stock ? { kind: 'stock' } : { kind: 'countersign', path: this.#programs.hsmd };
  }

  /** Starts nodes l1, l2, … together. With `--signers one`, Countersign signs for l1 unless the wishes say otherwise. */
  async start(...wishes: NodeWishes[]): Promise<Lightningd[]> {
    const made: Lightningd[] = [];
    for (const wish of wishes) made.push(await this.#make(wish));
    return Promise.all(made.map((node, i) => this.#startOne(node, wishes[i]?.mode ?? 'polling')));
  }

  async #make(wish: NodeWishes): Promise<Lightningd> {
    const name = `l${this.nodes.length + 1}`;
    const directory = join(this.directory, name);
    mkdirSync(directory);
    const hsmd = this.#hsmd(wish.hsmd ?? (this.nodes.length === 0 ? 'countersign' : 'stock'));
    const policy_toml = wish.policy_toml ?? this.#policy_toml;
    const follows = wish.follows ?? this.#chain;
    const chain_port = wish.chain_port ?? this.bitcoind.endpoint.port;
    const secret = wish.secret ?? 'new';
    const isRemote = hsmd.kind === 'countersign' && (wish.remote ?? this.#remote);
    const remote = isRemote
      ? await RemoteSigner.prepare({
          name,
          directory: join(this.directory, `${name}-signer`),
          node_directory: join(directory, 'regtest'),
          policy_toml: `${policy_toml}\n${follows ? chainToml(this.bitcoind, chain_port) : ''}`,
          files: { [PASSWORD_FILE]: this.bitcoind.endpoint.password },
          hsm_secret: secret === 'plain' ? randomBytes(32) : null,
          has_cable: wish.has_cable ?? false,
        })
      : null;
    const node = new Lightningd({
      name,
      directory,
      program: this.#programs.lightningd,
      hsmd,
      bitcoind: this.bitcoind,
      options: wish.options ?? [],
      holds: wish.holds ?? false,
      refuses: wish.refuses ?? false,
      records: wish.records ?? false,
      delivers: wish.delivers ?? this.#plugin,
      policy_toml,
      follows,
      chain_port,
      secret,
      environment: wish.environment ?? {},
      remote,
    });
    this.nodes.push(node);
    return node;
  }

  async #startOne(node: Lightningd, mode: Mode): Promise<Lightningd> {
    await node.start(mode);
    // A suite that tested the stock hsmd by mistake would pass.
    const signs = node.settings.hsmd.kind === 'countersign';
    const shows = /hsmd: countersign: /.test(node.log());
    if (this.#programs.hsmd.endsWith('countersign-hsmd') && signs !== shows) {
      throw new TypeError(`${node.name} ${signs ? 'does not use' : 'uses'} Countersign`);
    }
    return node;
  }

  /** Two nodes, the usual case. */
  async pair(first: NodeWishes = {}, second: NodeWishes = {}): Promise<[Lightningd, Lightningd]> {
    const [l1, l2] = await this.start(first, second);
    return [l1!, l2!];
  }

  async trio(...wishes: [NodeWishes, NodeWishes, NodeWishes]): Promise<[Lightningd, Lightningd, Lightningd]> {
    const [l1, l2, l3] = await this.start(...wishes);
    return [l1!, l2!, l3!];
  }

  /** Stops the nodes as an operator does; an unclean end is an error. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
    await Promise.all(this.nodes.map((node) => node.settings.remote?.stop()));
    await this.#bitcoind?.stop();
  }

  /** Ends everything at once; never fails. */
  async crash(): Promise<void> {
    await Promise.allSettled(this.nodes.flatMap((node) => [node.crash(), node.settings.remote?.crash()]));
    await this.#bitcoind?.stop().catch(() => undefined);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/**
 * Every rule at error, approvals as an operator of a test network would give them: all. (The scenarios of approvals have
 * settings of their own.)
 */
function policyToml(preset: string): string {
  const approvals = preset === 'permissive' ? '' : '[approvals]\nauto = "all"\n';
  return `[policy]\npreset = "${preset}"\n${approvals}`;
}
