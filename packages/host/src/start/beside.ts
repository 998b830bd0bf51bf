/**
 * What runs beside the signer: the two sockets and the file with the newest heartbeat in its state directory, and the follower
 * of the chain. None of it decides anything.
 */
import { resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import { HeartbeatMaker } from '../heartbeat/maker.ts';
import { HeartbeatWriter } from '../heartbeat/writer.ts';
import { Memory } from '../memory.ts';
import { effectivePolicy } from '../policy/effective.ts';
import { signerFacts } from '../policy/facts.ts';
import { policyText } from '../policy/render.ts';
import { FeedDesk } from '../sockets/feed.ts';
import { openSockets } from '../sockets/open.ts';
import type { Chain } from './chain.ts';
import type { OpenedSigner, StartLog } from './open-signer.ts';

export interface BesideOptions {
  readonly opened: OpenedSigner;
  readonly config: Config;
  /** Where preimages and blocks of the node side come in: on a socket of this machine, or with what comes over a link. */
  readonly nodeSide: 'socket' | 'link';
  readonly nowSeconds: () => number;
  readonly monotonicMs: () => number;
  /** From 0 up to and without 1. */
  readonly random: () => number;
  readonly log: StartLog;
  /** For the operator's log. */
  readonly onProblem: (text: string) => void;
  /** A bug of ours: the process must end. */
  readonly onBug: (error: unknown) => void;
}

export interface Beside {
  /** For what feeders bring over a link. */
  readonly feed: FeedDesk;
  /** Removes the sockets and closes what is open; the heartbeat's file stays. */
  close(): Promise<void>;
}

/** Never rejects for what the file system does. */
export async function openBeside(options: BesideOptions): Promise<Beside> {
  const { opened, config, nowSeconds, onProblem, onBug } = options;
  const { signer, journal, policy, ring } = opened;
  const startedAtSeconds = nowSeconds();
  const chain = await openChainOf(options);
  signer.chain.follow(config.chain.source, chain?.isFollowing === true ? chain : null);
  const maker = new HeartbeatMaker({
    signer,
    journal,
    effectivePolicy: () => effectivePolicy(config, policy.network, signerFacts(new Memory(journal))),
    source: signer.chain,
    startedAtSeconds,
    nowSeconds,
  });
  const heartbeat = () => maker.make();
  const sockets = await openSockets({
    signer,
    journal,
    policy,
    nodeId: ring.nodeId,
    startedAtSeconds,
    policyText: (format) => policyText(config, policy.network, new Memory(journal), format),
    heartbeat,
    stateDirectory: config.stateDirectory,
    hasNodeSide: options.nodeSide === 'socket',
    chain: chain?.desk ?? null,
    onProblem,
    onBug,
  });
  const writer = HeartbeatWriter.start({
    make: heartbeat,
    path: resolve(config.stateDirectory, config.heartbeat.file),
    everySeconds: config.heartbeat.everySeconds,
    onProblem,
    onBug,
  });
  await chain?.start();
  return {
    feed: new FeedDesk(signer, chain?.desk ?? null),
    close: async () => {
      await Promise.all([sockets.close(), writer.stop(), chain?.stop()]);
    },
  };
}

/** Null without a source: what speaks HTTP is loaded only where it is needed, as a start should be short. */
async function openChainOf(options: BesideOptions): Promise<Chain | null> {
  const { opened, config, log, onBug, monotonicMs, random } = options;
  const { signer, policy } = opened;
  if (config.chain.source === 'none') return null;
  const { openChain } = await import('./chain.ts');
  return openChain({
    config: config.chain,
    network: policy.network,
    signer: signer.chain,
    settled: signer.settled.bind(signer),
    log,
    hasStopped: () => signer.failure !== null,
    onBug,
    monotonicMs,
    random,
  });
}
