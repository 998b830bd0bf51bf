/**
 * Who watches a run: the referee, or a report. It is told everything that passes between node and signer, and what chain
 * and owner do beside, in order, before anything else happens.
 */
import type { Request } from '@countersign/wire';
import type { Tx } from '../bitcoin/transaction.ts';
import type { Client, Outcome, OwnerAct } from '../subject.ts';

export interface Witness {
  /** Before what happens then. */
  clock(nowSeconds: number): void;
  observed(client: Client, request: Request, outcome: Outcome): void;
  /** `failure`: what was wrong, null when it was done. */
  ownerActed(act: OwnerAct, failure: string | null): void;
  /** The chain's last block went away. */
  blockDisconnected(): void;
  /** The next block, its coinbase first. */
  blockConnected(txs: readonly Tx[]): void;
}

export const NOBODY: Witness = {
  clock() {},
  observed() {},
  ownerActed() {},
  blockDisconnected() {},
  blockConnected() {},
};
