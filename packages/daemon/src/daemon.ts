/**
 * The daemon: every node of `signer.toml` in one process, what watches them, and the orderly end. Keys are opened first, so that
 * whoever has to type a passphrase does so before anything listens.
 */
import { CountersignError, type Secp256k1, toHex } from '@countersign/bitcoin';
import { errorText } from '@countersign/host';
import type { SignerConfig } from './config/config.ts';
import { DaemonError } from './error.ts';
import type { OpenDoor } from './link/door.ts';
import { SignerNode } from './node.ts';
import { type Health, openHealth } from './observe/health.ts';
import type { Log } from './observe/log.ts';
import { Metrics } from './observe/metrics.ts';
import type { NodeStanding } from './observe/standing.ts';
import { closeKeys, type OpenedKeys, openKeys } from './seed/open-keys.ts';
import type { PassphrasePlace } from './seed/passphrase.ts';

export interface DaemonOptions {
  readonly config: SignerConfig;
  readonly passphrases: PassphrasePlace;
  readonly secp: Secp256k1;
  readonly log: Log;
  readonly openDoor: OpenDoor;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly monotonicMs: () => number;
  readonly nowSeconds: () => number;
  /** A bug of ours: the process must end. */
  readonly onBug: (error: unknown) => void;
}

export class Daemon {
  readonly #log: Log;
  readonly #keys: OpenedKeys[] = [];
  readonly #nodes: SignerNode[] = [];
  readonly metrics: Metrics;
  #health: Health | null = null;
  #stopping: Promise<void> | null = null;

  private constructor(log: Log) {
    this.#log = log;
    this.metrics = new Metrics(() => this.standing);
  }

  /** Rejects with `CountersignError` when a node or the health address cannot be opened; then nothing stays open. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const daemon = new Daemon(options.log);
    try {
      await daemon.#open(options);
    } catch (error) {
      await daemon.stop();
      throw error;
    }
    return daemon;
  }

  get standing(): readonly NodeStanding[] {
    return this.#nodes.map((node) => node.standing);
  }

  /** Where health checks go, if anywhere. */
  get healthPort(): number | null {
    return this.#health?.port ?? null;
  }

  /** Idempotent: every node finishes what it has and closes its store. Never rejects. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #open(options: DaemonOptions): Promise<void> {
    const { config, log, onBug } = options;
    const keys = await allKeys(options);
    this.#keys.push(...keys);
    for (const [i, node] of config.nodes.entries()) {
      const observer = this.metrics.observer(node.name);
      const own = { ...options, config: node, keys: keys[i]!, log: log.of(node.name), observer };
      this.#nodes.push(await SignerNode.open(own));
    }
    if (config.health === null) return;
    const standing = (): readonly NodeStanding[] => this.standing;
    this.#health = await openHealth({ listen: config.health, standing, metrics: this.metrics, onBug });
  }

  async #stop(): Promise<void> {
    // Not ready before anything ends.
    const ended = await Promise.allSettled(this.#nodes.map((node) => node.stop()));
    for (const keys of this.#keys) await closeKeys(keys);
    await this.#health?.close();
    for (const one of ended) {
      if (one.status === 'fulfilled') continue;
      const reason: unknown = one.reason;
      this.#log(
        'error',
        `a node did not stop in order: ${reason instanceof Error ? errorText(reason) : reason}`,
      );
    }
  }
}

/** One after the other: only one passphrase is asked for at a time. */
async function allKeys({ config, passphrases, secp }: DaemonOptions): Promise<readonly OpenedKeys[]> {
  const opened: OpenedKeys[] = [];
  const names = new Map<string, string>();
  try {
    for (const node of config.nodes) {
      const keys = await openKeys(node, passphrases, secp, config.workers);
      opened.push(keys);
      const nodeId = toHex(keys.ring.nodeId);
      const twin = names.get(nodeId);
      if (twin !== undefined) {
        throw new DaemonError('node-start-failed', `nodes ${twin} and ${node.name} have the same keys`, {
          node_id: nodeId,
        });
      }
      names.set(nodeId, node.name);
    }
    return opened;
  } catch (error) {
    for (const keys of opened) await closeKeys(keys);
    throw error;
  }
}

/** For the log of a start that failed. */
export function startFailureText(error: unknown): string {
  if (!(error instanceof CountersignError))
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `${errorText(error)} (${error.code})`;
}
