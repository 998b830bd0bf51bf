/**
 * Who watches a run: the referee, or a report. It is told everything that passes between node and signer, and what chain
 * and owner do beside, in order, before anything else happens.
 */
import type { Request } from '@countersign/wire';
import type { Client, Outcome, OwnerAct } from '../subject.ts';

/** What the chain did: so many blocks went away from its end, then these came, as a chain source has them. */
export interface ChainChange {
  readonly disconnectedBlocks: number;
  readonly connected: readonly Uint8Array[];
  readonly heightBlocks: number;
}

export interface Witness {
  observed(client: Client, request: Request, outcome: Outcome): void;
  chainChanged(change: ChainChange): void;
  /** `failure`: what was wrong, null when it was done. */
  ownerActed(act: OwnerAct, failure: string | null): void;
  /** The signer ended without warning and began again. */
  restarted(): void;
}

export const NOBODY: Witness = {
  observed() {},
  chainChanged() {},
  ownerActed() {},
  restarted() {},
};
