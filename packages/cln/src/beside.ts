/**
 * What runs beside the signer in its state directory: the two sockets, and the file with the newest heartbeat. None of it
 * decides anything, and the signer does not depend on any of it.
 */
import { resolve } from 'node:path';
import {
  type Config,
  effectivePolicy,
  HeartbeatMaker,
  HeartbeatWriter,
  Memory,
  NO_CHAIN,
  openSockets,
  policyText,
  signerFacts,
} from '@countersign/host';
import type { Started } from './start.ts';

export interface BesideOptions {
  readonly started: Started;
  readonly config: Config;
  /** Negotiated hsmd protocol version. */
  readonly protocolVersion: number;
  readonly nowSeconds: () => number;
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
  const maker = new HeartbeatMaker({
    signer,
    journal,
    effectivePolicy: () => effectivePolicy(config, policy.network, signerFacts(new Memory(journal))),
    source: NO_CHAIN,
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
  return {
    close: async () => {
      await Promise.all([sockets.close(), writer.stop()]);
    },
  };
}
