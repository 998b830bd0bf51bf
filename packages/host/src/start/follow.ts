/**
 * What [chain] names, followed for a signer that is not in this process. What speaks HTTP is loaded only where it is used.
 */
import type { ChainSink } from '@countersign/chain';
import type { Network } from '@countersign/core';
import type { BitcoindChain, EsploraChain } from '../config/chain.ts';
import type { Chain } from './chain.ts';
import type { StartLog } from './open-signer.ts';

export interface FollowOptions {
  readonly config: BitcoindChain | EsploraChain;
  readonly network: Network;
  /** The signer, wherever it is. */
  readonly sink: ChainSink;
  readonly log: StartLog;
  /** A bug of ours: the process must end. */
  readonly onBug: (error: unknown) => void;
  readonly monotonicMs: () => number;
  /** From 0 up to and without 1. */
  readonly random: () => number;
}

/** Not started yet. */
export async function followFor(options: FollowOptions): Promise<Chain> {
  const { followed, sourceOf } = await import('./chain.ts');
  const { config, network, onBug } = options;
  return followed({ ...options, onFailure: onBug }, config, sourceOf(config, network));
}
