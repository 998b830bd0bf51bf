/**
 * What runs beside the signer: the two sockets and the file with the newest heartbeat in its state directory, and the follower
 * of the chain. None of it decides anything.
 */
import { resolve } from 'node:path';
import {
  type Config,
  effectivePolicy,
  HeartbeatMaker,
  HeartbeatWriter,
  Memory,
  openSockets,
  policyText,
  signerFacts,
} from '@countersign/host';
import { openChain } from './chain.ts';
import type { Started, StartLogLevel } from './start.ts';

export interface BesideOptions {
  readonly started: Started;
  readonly config: Config;
  /** Negotiated hsmd protocol version. */
  readonly protocolVersion: number;
  readonly nowSeconds: () => number;
  readonly monotonicMs: () => number;
  /** From 0 up to and without 1. */
  readonly random: () => number;
  readonly log: (level: StartLogLevel, text: string) => void;
  /** For the operator's log. */
  readonly onProblem: (text: string) => void;
  /** A bug of ours: the process must end. */
  readonly onBug: (error: unknown) => void;
}

export interface Beside {
  /** Removes the sockets and closes what is open; the heartbeat's file stays. */
  close(): Promise<void>;
}

/** Never rejects for what the file system does. */
export async function openBeside(options: BesideOptions): Promise<Beside> {
  const { started, config, protocolVersion, nowSeconds, onProblem, onBug } = options;
  const { signer, journal, policy, ring } = started;
  const startedAtSeconds = nowSeconds();
  const chain = openChain({
    config: config.chain,
    network: policy.network,
    signer: signer.chain,
    log: options.log,
    hasStopped: () => signer.failure !== null,
    onBug,
    monotonicMs: options.monotonicMs,
    random: options.random,
  });
  signer.chain.follow(config.chain.source, chain.isFollowing ? chain : null);
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
    protocolVersion,
    startedAtSeconds,
    policyText: (format) => policyText(config, policy.network, new Memory(journal), format),
    heartbeat,
    stateDirectory: config.stateDirectory,
    chain: chain.desk,
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
  await chain.start();
  return {
    close: async () => {
      await Promise.all([sockets.close(), writer.stop(), chain.stop()]);
    },
  };
}
