/**
 * What the signer believes about the chain, as the laws ask for it. A view is proven by the signer itself, block by
 * block; where no source of blocks is configured, what depends on it is not judged, and `countersign policy show` says so.
 */
import type { OutPoint, Sat } from '@countersign/bitcoin';

/** What the proven chain says of an output. */
export type OutpointStatus =
  /** Never seen in a proven block. */
  | { readonly kind: 'unknown' }
  /** In a proven block, `depthBlocks` ≥ 1 counting that block itself. */
  | {
      readonly kind: 'confirmed';
      readonly depthBlocks: number;
      readonly valueSat: Sat;
      readonly script: Uint8Array;
      /** Set when a proven block spends it, with the depth of that spend and the txid that did. */
      readonly spent: { readonly depthBlocks: number; readonly txid: Uint8Array } | null;
    };

/** What the signer has proven of the chain, as rules read it. */
export interface ChainView {
  readonly heightBlocks: number;
  /** Median time past of the tip, seconds. */
  readonly medianTimeSeconds: number;
  /** False while the view lags behind the wall clock more than the policy allows. */
  readonly isFresh: boolean;
  outpoint(outpoint: OutPoint): OutpointStatus;
}

/**
 * Before a configured source has brought anything: nothing is known, and nothing is taken for granted. A node that simply never
 * begins the chain would else be free of every rule that needs one.
 */
export const VIEW_NOT_BEGUN: ChainView = {
  heightBlocks: 0,
  medianTimeSeconds: 0,
  isFresh: false,
  outpoint: () => ({ kind: 'unknown' }),
};
