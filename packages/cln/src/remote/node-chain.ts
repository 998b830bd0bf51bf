/**
 * [chain] on the node side: a follower here that feeds the signer elsewhere, as a plugin of the node would. The signer proves what
 * it is told and has source = "node" in its own file.
 */

import { networkByChainHash } from '@countersign/core';
import { type Config, followFor } from '@countersign/host';
import type { Init, Surroundings } from '../door.ts';

export interface NodeChainOptions {
  readonly config: Config;
  /** This side's node.sock. */
  readonly socketPath: string;
  readonly monotonicMs: () => number;
  readonly random: () => number;
}

export interface NodeChain {
  stop(): Promise<void>;
}

/** Null where the file names no source, or lightningd is on a network of its own. */
export async function openNodeChain(
  { config: { chain: config }, socketPath, monotonicMs, random }: NodeChainOptions,
  { message }: Init,
  { log, onBug }: Surroundings,
): Promise<NodeChain | null> {
  const network = networkByChainHash(message.chainparams);
  if (network === undefined || config.source === 'none' || config.source === 'node') return null;
  const { feedOverNodeSocket } = await import('../plugin/chain-feed.ts');
  const feed = feedOverNodeSocket({ socketPath });
  const chain = await followFor({ config, network, sink: feed, log, onBug, monotonicMs, random });
  await chain.start();
  return {
    stop: async () => {
      feed.close();
      await chain.stop();
    },
  };
}
