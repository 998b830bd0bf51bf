/**
 * Liquidity ads (CLN option_will_fund): the side that leased its funds out has them locked longer, and the wire
 * never says for how long. The lock is deduced within its legal range; it can only lock the lessor's own output.
 */
import {
  type CommitmentScriptParams,
  equalBytes,
  p2wshOfScript,
  toLocalScript,
  toRemoteAnchoredScript,
} from '@countersign/bitcoin';

/** A lease runs for 4,032 blocks; nothing locks longer. */
export const LEASE_BLOCKS_MAX = 4032;

export interface LeasedScript {
  /** Left of the lease. */
  readonly blocks: number;
  readonly lessorIsBroadcaster: boolean;
  readonly witnessScript: Uint8Array;
  readonly script: Uint8Array;
}

/** Blocks left of the lease that explain the script of an output, or null: 4,032 hashes at most. */
export function findLease(params: CommitmentScriptParams, outputScript: Uint8Array): number | null {
  for (const { blocks, script } of leasedScripts(params)) if (equalBytes(outputScript, script)) return blocks;
  return null;
}

/** What a lease may have made of the lessor's main output, the shortest lock first. */
export function* leasedScripts(params: CommitmentScriptParams): Generator<LeasedScript, void> {
  // The funder buys, so the other side is the lessor whose main output is locked.
  const lessorIsBroadcaster = params.funder === 'countersignatory';
  if (!lessorIsBroadcaster && params.format === 'static_remotekey') return;
  const shortest = lessorIsBroadcaster ? params.toSelfDelayBlocks + 1 : 2;
  for (let blocks = shortest; blocks <= LEASE_BLOCKS_MAX; blocks++) {
    const witnessScript = lessorIsBroadcaster
      ? toLocalScript(params.keys, params.toSelfDelayBlocks, blocks)
      : toRemoteAnchoredScript(params.keys.countersignatoryPayment, blocks);
    yield { blocks, lessorIsBroadcaster, witnessScript, script: p2wshOfScript(witnessScript) };
  }
}
