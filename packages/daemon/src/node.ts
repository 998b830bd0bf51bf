/**
 * One node of the daemon: its keys, its state, what runs beside it, and the door its requests come through. Nothing is shared
 * with the other nodes of the process but the process.
 */
import { CountersignError, type Secp256k1, toHex } from '@countersign/bitcoin';
import { networkByName } from '@countersign/core';
import {
  type Beside,
  type ChainObservations,
  type Config,
  fractionsOf,
  isStoreFailure,
  type OpenedSigner,
  openBeside,
  openOrBeginStore,
  openSigner,
  PROTOCOL_VERSION_MAX,
  policyFor,
  type Signer,
  type SignerPlace,
  type StartLogLevel,
} from '@countersign/host';
import type { LinkRefusal } from '@countersign/transport';
import { type NodeConfig, readNodePolicy } from './config/config.ts';
import { DaemonError } from './error.ts';
import type { Door, OpenDoor } from './link/door.ts';
import { LimitedLines } from './observe/limited.ts';
import type { Level, Log } from './observe/log.ts';
import type { Observer } from './observe/observer.ts';
import type { NodeStanding } from './observe/standing.ts';
import type { OpenedKeys } from './seed/open-keys.ts';
import { SignerHandler } from './session/handler.ts';

export interface NodeOptions {
  readonly config: NodeConfig;
  readonly keys: OpenedKeys;
  readonly secp: Secp256k1;
  readonly log: Log;
  readonly observer: Observer;
  readonly openDoor: OpenDoor;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly monotonicMs: () => number;
  readonly nowSeconds: () => number;
  /** A bug of ours: the process must end. */
  readonly onBug: (error: unknown) => void;
}

/** As lightningd names the levels, as pino does. */
const LEVELS: Readonly<Record<StartLogLevel, Level>> = {
  debug: 'debug',
  info: 'info',
  unusual: 'warn',
  broken: 'error',
};

export class SignerNode {
  readonly #name: string;
  readonly #opened: OpenedSigner;
  readonly #beside: Beside;
  readonly #handler: SignerHandler;
  readonly #door: Door;
  #isStopping = false;

  private constructor(parts: {
    readonly name: string;
    readonly opened: OpenedSigner;
    readonly beside: Beside;
    readonly handler: SignerHandler;
    readonly door: Door;
  }) {
    this.#name = parts.name;
    this.#opened = parts.opened;
    this.#beside = parts.beside;
    this.#handler = parts.handler;
    this.#door = parts.door;
  }

  /** Rejects with `CountersignError`: nothing stays open then. */
  static async open(options: NodeOptions): Promise<SignerNode> {
    const { config, keys, log } = options;
    const settings = readNodePolicy(config);
    const opened = await openState(options, settings);
    const beside = await besideOf(options, settings, opened);
    const handler = handlerOf(options, settings, opened, beside);
    try {
      const { messageBytesMax } = settings;
      const chainTip = () => {
        const tip = opened.signer.chain.tip();
        return tip && { heightBlocks: tip.tipHeightBlocks, hash: tip.tipHash };
      };
      const door = await options.openDoor({
        chainTip,
        config,
        handler,
        messageBytesMax,
        log,
        onBug: options.onBug,
      });
      log('info', `serving node ${toHex(keys.ring.nodeId)} on ${config.network}`);
      return new SignerNode({ name: config.name, opened, beside, handler, door });
    } catch (error) {
      await closeState(opened, beside);
      throw error;
    }
  }

  get standing(): NodeStanding {
    const { signer, journal } = this.#opened;
    const observed = observedBy(signer);
    const failure = observed instanceof CountersignError ? observed : null;
    const { commits, batches, pendingCommits } = journal.stats;
    const rest = {
      name: this.#name,
      failure: failure === null ? null : { code: failure.code, message: failure.message },
      isStopping: this.#isStopping,
      isInitialized: this.#handler.isInitialized,
      link: this.#door.state,
      inFlight: this.#handler.inFlight,
      journal: { commits, batches, pendingCommits },
    };
    if (observed instanceof CountersignError) return { ...rest, chain: null, deadlines: [], alarms: [] };
    const { chain, deadlines, alarms, lagSeconds } = observed;
    return {
      ...rest,
      chain: chain && { ...chain, lagSeconds },
      deadlines,
      alarms,
    };
  }

  /** Takes no more requests, finishes those it has, and closes everything in order. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#handler.stop();
    await this.#door.close();
    await closeState(this.#opened, this.#beside);
  }
}

/** Or why not: a failed store is not read again, and one that fails here first is no reason to end the other nodes. */
function observedBy({
  chain,
  failure,
}: Signer): (ChainObservations & { readonly lagSeconds: number | null }) | CountersignError {
  if (failure !== null) return failure;
  try {
    return { ...chain.observe(), lagSeconds: chain.lagSeconds() };
  } catch (error) {
    if (!isStoreFailure(error)) throw error;
    return error;
  }
}

async function openState(options: NodeOptions, settings: Config): Promise<OpenedSigner> {
  const { config, keys, log } = options;
  const network = networkByName(config.network);
  if (network === undefined)
    throw new DaemonError('node-start-failed', `node ${config.name}: unknown network`, {
      network: config.network,
    });
  const policy = policyFor(settings, network);
  const place: SignerPlace = {
    ...options,
    config: settings,
    log: (level, text) => log(LEVELS[level], text),
  };
  const journal = openOrBeginStore(place);
  // Until a node introduces itself no request is taken, so the version matters to nobody yet.
  const protocolVersion = PROTOCOL_VERSION_MAX;
  const { ring, pool } = keys;
  const parts = { ring, journal, policy, protocolVersion, failPreapprovals: false };
  return openSigner(place, { ...parts, ...(pool !== null && { pool }) });
}

async function besideOf(
  { nowSeconds, monotonicMs, randomBytes, log, onBug }: NodeOptions,
  settings: Config,
  opened: OpenedSigner,
): Promise<Beside> {
  return openBeside({
    opened,
    config: settings,
    nodeSide: 'link',
    nowSeconds,
    monotonicMs,
    random: fractionsOf({ randomBytes }),
    log: (level, text) => log(LEVELS[level], text),
    onProblem: (text) => log('error', text),
    onBug,
  });
}

function handlerOf(
  { keys, log, observer, monotonicMs, randomBytes, onBug }: NodeOptions,
  { messageBytesMax }: Config,
  { signer, policy }: OpenedSigner,
  beside: Beside,
): SignerHandler {
  const lines = new LimitedLines(monotonicMs);
  const introductions = new LimitedLines(monotonicMs);
  return new SignerHandler({
    ...keys,
    signer,
    network: policy.network,
    feed: beside.feed,
    messageBytesMax,
    observer,
    monotonicMs,
    randomBytes,
    onBug,
    onInitialized: ({ protocolVersion }) =>
      introductions.line(
        () => log('info', 'the node introduced itself', { protocol_version: protocolVersion }),
        (more) => log('warn', `the node introduced itself ${more} more times in a minute`),
      ),
    onRefused: (refusal) =>
      lines.line(
        () => tellRefusal(log, refusal),
        (more) => log('warn', `${more} more refusals in a minute: the audit log has them: countersign audit`),
      ),
  });
}

function tellRefusal(log: Log, { request, tag, text, temporary, auditId }: LinkRefusal): void {
  const facts = { tag, ...(auditId !== null && { refusal: auditId }) };
  log(temporary ? 'info' : 'warn', `refused ${request}: ${text}`, facts);
}

async function closeState({ signer, journal }: OpenedSigner, beside: Beside): Promise<void> {
  await beside.close();
  signer.end();
  await journal.close();
}
