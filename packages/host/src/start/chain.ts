/**
 * The chain beside a signer in this process: what [chain] in countersign.toml chooses, between the signer and a follower or
 * the node side. The signer judges; this only connects.
 */
import {
  BITCOIND_PORTS,
  BitcoindSource,
  type ChainLog,
  type ChainLogLevel,
  type ChainSink,
  type ChainSource,
  EsploraSource,
  Follower,
  type FollowerStatus,
  type HeaderRange,
  type Publishable,
  type SinkAnswer,
  type SinkStart,
  type SourceFeerates,
} from '@countersign/chain';
import { type Network, type Refusal, refusalText } from '@countersign/core';
import type { BitcoindChain, ChainConfig, EsploraChain } from '../config/chain.ts';
import type { ChainDesk, ChainDeskAnswer } from '../sockets/chain-session.ts';

/** What the signer offers about the chain. */
export interface ChainSigner {
  /** Null before the chain has begun. */
  tip(): ReturnType<ChainDesk['tip']>;
  /** Null where no header is on record. */
  headerHash(heightBlocks: number): Uint8Array | null;
  /** The headers that `begin` wants; null: none. */
  beginNeeds(start: SinkStart): HeaderRange | null;
  /** Once in its life: the first block or a checkpoint becomes the tip. */
  begin(start: SinkStart, headers: Uint8Array): Promise<ChainDeskAnswer>;
  acceptHeaders(headers: Uint8Array): Promise<ChainDeskAnswer>;
  acceptBlock(raw: Uint8Array): Promise<ChainDeskAnswer>;
  /** Transactions that should be on the network now. */
  toPublish(): Promise<readonly Publishable[]>;
  /** What they pay; bounded by the policy. */
  setFeerates(feerates: SourceFeerates): void;
}

export interface ChainOptions {
  readonly config: ChainConfig;
  readonly network: Network;
  readonly signer: ChainSigner;
  /** What the signer has decided until now is on its disk. */
  readonly settled: () => Promise<void>;
  readonly log: (level: 'debug' | 'info' | 'unusual' | 'broken', text: string) => void;
  /** Whether the signer has stopped because its store failed: then it refuses everything and lives on. */
  readonly hasStopped: () => boolean;
  /** A bug of ours: the process must end. */
  readonly onBug: (error: unknown) => void;
  readonly monotonicMs: () => number;
  /** From 0 up to and without 1. */
  readonly random: () => number;
}

export interface Chain {
  /** For node.sock; null unless the node side brings the chain. */
  readonly desk: ChainDesk | null;
  /** It can be asked for blocks. */
  readonly isFollowing: boolean;
  /** Null without a follower. */
  status(): FollowerStatus | null;
  /** Looks for blocks now; resolves when there are no more, or where that takes long. */
  catchUp(): Promise<void>;
  start(): Promise<void>;
  /** Within a second; nothing goes to the signer any more afterwards. */
  stop(): Promise<void>;
}

const NOTHING: Chain = {
  desk: null,
  isFollowing: false,
  status: () => null,
  catchUp: async () => {},
  start: async () => {},
  stop: async () => {},
};

export function openChain(options: ChainOptions): Chain {
  const { config } = options;
  switch (config.source) {
    case 'none':
      return NOTHING;
    case 'node':
      return fedByNode(options, config.birthdayHeightBlocks);
    case 'bitcoind':
    case 'esplora':
      return followedBy(options, config);
  }
}

/** The node's word for where its chain ends is worth nothing here: the chain begins at the height the operator gave. */
function fedByNode({ signer, log, hasStopped }: ChainOptions, birthdayHeightBlocks: number): Chain {
  const start = { birthdayHeightBlocks, sourceHeightBlocks: birthdayHeightBlocks };
  const begins = (): HeaderRange | null => (signer.tip() === null ? signer.beginNeeds(start) : null);
  const unlessStopped = async (answer: () => Promise<ChainDeskAnswer>): Promise<ChainDeskAnswer> => {
    try {
      return await answer();
    } catch (error) {
      if (!hasStopped()) throw error;
      return { ok: false, refusal: STOPPED };
    }
  };
  const desk: ChainDesk = {
    tip: () => signer.tip(),
    begins,
    headerHash: (heightBlocks) => signer.headerHash(heightBlocks),
    acceptHeaders: (headers) =>
      unlessStopped(() =>
        signer.tip() === null ? signer.begin(start, headers) : signer.acceptHeaders(headers),
      ),
    acceptBlock: (raw) => unlessStopped(() => signer.acceptBlock(raw)),
  };
  const begin = async (): Promise<void> => {
    if (signer.tip() !== null || begins() !== null) return;
    const begun = await desk.acceptHeaders(new Uint8Array(0));
    if (!begun.ok) log('broken', `countersign: chain: cannot begin: ${refusalText(begun.refusal)}`);
  };
  return { ...NOTHING, desk, start: begin };
}

const STOPPED: Refusal = {
  code: 'store-failed',
  tag: 'store-failed',
  law: 'setup',
  severity: 'error',
  temporary: false,
  message: 'the signer has stopped because its store failed',
  facts: {},
  request: 'chain',
  channel: null,
};

/** By a follower in this process. */
function followedBy(options: ChainOptions, config: BitcoindChain | EsploraChain): Chain {
  const { signer, settled, hasStopped, onBug, network } = options;
  const onFailure = (error: unknown): void => {
    if (hasStopped())
      chainLog(options.log)('error', 'the chain is not followed any more: the store of the signer failed');
    else onBug(error);
  };
  return followed(
    { ...options, sink: sinkOf(signer, settled), onFailure },
    config,
    sourceOf(config, network),
  );
}

export interface FollowedOptions {
  readonly sink: ChainSink;
  readonly log: ChainOptions['log'];
  /** The sink rejected, or a bug: nothing is followed any more. */
  readonly onFailure: (error: unknown) => void;
  readonly monotonicMs: () => number;
  readonly random: () => number;
}

export function followed(
  options: FollowedOptions,
  { birthdayHeightBlocks, publishes }: BitcoindChain | EsploraChain,
  source: ChainSource,
): Chain {
  const log = chainLog(options.log);
  const follower = new Follower({ ...options, source, birthdayHeightBlocks, publishes, log });
  return {
    desk: null,
    isFollowing: true,
    status: () => follower.status,
    catchUp: () => follower.catchUp(),
    start: async () => {
      log('info', `following ${source.name}`);
      follower.start();
    },
    stop: () => follower.stop(),
  };
}

export function sourceOf(config: BitcoindChain | EsploraChain, network: Network): ChainSource {
  return config.source === 'bitcoind' ? bitcoindOf(config, network) : esploraOf(config, network);
}

/** The signer as a follower sees it: its refusals as texts, and nothing to publish that its disk does not know of. */
export function sinkOf(signer: ChainSigner, settled: () => Promise<void>): ChainSink {
  const told = async (answer: Promise<ChainDeskAnswer>): Promise<SinkAnswer> => {
    const judged = await answer;
    if (judged.ok) return judged;
    const { refusal } = judged;
    return { ok: false, temporary: refusal.temporary, message: refusalText(refusal) };
  };
  return {
    tip: () => signer.tip(),
    headerHash: (heightBlocks) => signer.headerHash(heightBlocks),
    beginNeeds: (start) => signer.beginNeeds(start),
    begin: (start, headers) => told(signer.begin(start, headers)),
    acceptHeaders: (headers) => told(signer.acceptHeaders(headers)),
    acceptBlock: (raw) => told(signer.acceptBlock(raw)),
    toPublish: async () => {
      const wanted = await signer.toPublish();
      await settled();
      return wanted;
    },
    setFeerates: (feerates) => signer.setFeerates(feerates),
  };
}

function bitcoindOf({ url, login, pollSeconds }: BitcoindChain, network: Network): ChainSource {
  return new BitcoindSource({
    url: new URL(url ?? `http://127.0.0.1:${BITCOIND_PORTS[network.name]}`),
    credentials: login,
    network: network.name,
    pollMs: pollSeconds * 1000,
  });
}

function esploraOf({ url, pollSeconds }: EsploraChain, network: Network): ChainSource {
  return new EsploraSource({
    url: new URL(url),
    genesisHash: network.chainHash,
    networkName: network.name,
    pollMs: pollSeconds * 1000,
  });
}

/** As lightningd names the levels. */
const LEVELS = { debug: 'debug', info: 'info', warn: 'unusual', error: 'broken' } as const satisfies Record<
  ChainLogLevel,
  string
>;

function chainLog(log: ChainOptions['log']): ChainLog {
  return (level, text) => log(LEVELS[level], `countersign: chain: ${text}`);
}
