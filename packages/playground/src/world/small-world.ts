/**
 * Worlds as tests and the demo want them: nodes by name, each with keys of its own or in a Countersign signer, funded and
 * connected. A world has a directory for the signers' state and is closed as a whole.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '@countersign/bitcoin';
import type { SyncDoor } from '@countersign/transport';
import { type CountersignKeys, openCountersignKeys } from '../node/countersign-keys.ts';
import type { NodeKeys } from '../node/keys.ts';
import { loadLdk } from '../node/ldk-library.ts';
import { LightningNode } from '../node/lightning-node.ts';
import { ownKeys } from '../node/own-keys.ts';
import type { NodeSettings } from '../node/parts.ts';
import type { NodeDisk } from '../node/records.ts';
import { WORLD_START_SECONDS, World } from './world.ts';

export interface NodePlan {
  readonly name: string;
  /** `own`: LDK's KeysManager, which signs whatever it is asked. */
  readonly signer: 'countersign' | 'own';
  readonly settings?: Partial<NodeSettings>;
  /** `ldk`: derived as LDK's KeysManager does, so that both kinds of node have the same keys. */
  readonly keyStyle?: 'cln' | 'ldk';
  /** countersign.toml, besides `[chain]`. */
  readonly configuration?: string;
  readonly wrapDoor?: (door: SyncDoor) => SyncDoor;
}

export class SmallWorld extends World {
  readonly #seed: string;
  readonly #directory: string;
  readonly #plans = new Map<string, NodePlan>();
  /** Restarts so far, by node: the chance of a node's second life is another one. */
  readonly #lives = new Map<string, number>();

  private constructor(seed: string, parent: string) {
    super();
    this.#seed = seed;
    this.#directory = mkdtempSync(join(parent, 'countersign-playground-'));
  }

  /** `parent`: below it the signers keep their state, while the world lives. */
  static async create(seed: string, parent: string = tmpdir()): Promise<SmallWorld> {
    await loadLdk();
    return new SmallWorld(seed, parent);
  }

  #bytes(what: string): Uint8Array {
    return sha256(new TextEncoder().encode(`${this.#seed} ${what}`));
  }

  async start(plan: NodePlan, disk?: NodeDisk): Promise<LightningNode> {
    const { name, settings = {} } = plan;
    this.#plans.set(name, plan);
    const life = (this.#lives.get(name) ?? 0) + 1;
    this.#lives.set(name, life);
    const keys = await this.#keys(plan, life);
    const ephemeral = this.#bytes(`ephemeral ${name} ${life}`);
    const options = { name, keys, chain: this.chain, ephemeral, settings };
    return this.add(new LightningNode(disk === undefined ? options : { ...options, disk }));
  }

  async #keys(
    { name, signer, configuration, keyStyle, wrapDoor }: NodePlan,
    life: number,
  ): Promise<NodeKeys> {
    const seed = this.#bytes(`seed ${name}`);
    if (signer === 'own') return await this.#ownKeys(seed, life);
    return openCountersignKeys({
      seed,
      chance: this.#bytes(`chance ${name} ${life}`),
      stateDirectory: join(this.#directory, name),
      chain: this.chain,
      walletIndex: 2 + 100 * (life - 1),
      ...(keyStyle === undefined ? {} : { keyStyle }),
      ...(configuration === undefined ? {} : { configuration }),
      ...(wrapDoor === undefined ? {} : { wrapDoor }),
    });
  }

  async #ownKeys(seed: Uint8Array, life: number): Promise<NodeKeys> {
    const keys = ownKeys(seed, WORLD_START_SECONDS + life);
    for (const block of this.chain.blocksAfter(0)) await keys.blockConnected(block);
    return keys;
  }

  /** The process of the node ends without a word, and starts again from its disk; so does a signer in it. */
  async restart(node: LightningNode, disk: NodeDisk = node.disk): Promise<LightningNode> {
    const plan = this.#plans.get(node.name);
    if (plan === undefined) throw new Error(`${node.name} was not started here`);
    this.remove(node);
    await node.keys.close();
    const again = await this.start(plan, disk);
    // An application keeps what it was told of payments that wait.
    for (const [hash, payment] of node.desk.claimable) again.desk.claimable.set(hash, payment);
    for (const block of this.chain.blocksAfter(again.manager.current_best_block().get_height()))
      again.tellLdk(block);
    return again;
  }

  /** The Countersign side of a node. */
  static countersign(node: LightningNode): CountersignKeys {
    if (!('embedded' in node.keys)) throw new Error(`${node.name} has keys of its own`);
    return node.keys as CountersignKeys;
  }

  async close(): Promise<void> {
    for (const node of [...this.nodes]) {
      this.remove(node);
      await node.keys.close();
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
