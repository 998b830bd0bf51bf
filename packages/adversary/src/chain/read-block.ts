/** A block as a chain source hands it over, read back into the transactions it holds. */
import { Block } from 'bitcoinjs-lib';
import { parseTx, type Tx } from '../bitcoin/transaction.ts';

export const transactionsOf = (block: Uint8Array): Tx[] =>
  (Block.fromBuffer(block).transactions ?? []).map((transaction) => parseTx(transaction.toBuffer()));
