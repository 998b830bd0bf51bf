/**
 * The chain as the referee keeps it, for coins of the owner alone: what they are, what was spent by what, and what left
 * with the owner's consent. Blocks can be taken back in the order they came.
 */
import { toHex } from '../bitcoin/bytes.ts';
import { outpointKey, type Tx, type TxOutput, txidOf } from '../bitcoin/transaction.ts';

export interface Confirmed {
  readonly tx: Tx;
  readonly heightBlocks: number;
}

/** Where every output lies and what spent it; the whole chain of a run, which is short. */
export class Book {
  readonly #txs = new Map<string, Confirmed>();
  readonly #spenders = new Map<string, string>();
  readonly #blocks: (readonly string[])[] = [];

  /** Of the newest block. */
  get heightBlocks(): number {
    return this.#blocks.length;
  }

  connect(txs: readonly Tx[]): readonly string[] {
    const heightBlocks = this.#blocks.length + 1;
    const ids = txs.map((tx) => {
      const txid = toHex(txidOf(tx));
      this.#txs.set(txid, { tx, heightBlocks });
      for (const input of tx.inputs) this.#spenders.set(outpointKey(input), txid);
      return txid;
    });
    this.#blocks.push(ids);
    return ids;
  }

  /** The transactions of the newest block, which is gone now; the last first. */
  disconnect(): readonly Confirmed[] {
    const ids = [...(this.#blocks.pop() ?? [])].reverse();
    return ids.map((txid) => {
      const confirmed = this.#txs.get(txid)!;
      this.#txs.delete(txid);
      for (const input of confirmed.tx.inputs) this.#spenders.delete(outpointKey(input));
      return confirmed;
    });
  }

  find(txid: string): Confirmed | undefined {
    return this.#txs.get(txid);
  }

  /** The transaction in the chain that spends it. */
  spenderOf(outpoint: string): Confirmed | undefined {
    const txid = this.#spenders.get(outpoint);
    return txid === undefined ? undefined : this.#txs.get(txid);
  }

  outputAt(outpoint: { readonly txid: Uint8Array; readonly vout: number }): TxOutput | undefined {
    return this.#txs.get(toHex(outpoint.txid))?.tx.outputs[outpoint.vout];
  }

  /** 1 for the newest block; 0 while it is not in the chain. */
  depthOf(txid: string): number {
    const confirmed = this.#txs.get(txid);
    return confirmed === undefined ? 0 : this.heightBlocks - confirmed.heightBlocks + 1;
  }
}
