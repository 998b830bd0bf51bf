/**
 * The coins of a wallet, out of whole blocks: whatever pays one of its scripts, until something spends it. It knows scripts and
 * no keys. Coins are reserved for a transaction while that waits for a block, so that two do not spend the same; those that LDK
 * has taken are lent: it may take them again for the same purpose, and nothing else takes them.
 */
import {
  BlockReader,
  type BlockTransaction,
  type OutPoint,
  outPointToString,
  type TxOutput,
} from '@countersign/bitcoin';

/** An output that pays the wallet. */
export interface Coin {
  readonly outpoint: OutPoint;
  readonly output: TxOutput;
  readonly keyIndex: number;
  readonly heightBlocks: number;
  readonly isCoinbase: boolean;
  /** The transaction it is an output of, whole: proves the amount. */
  readonly previous: Uint8Array;
}

interface BookedCoin extends Coin {
  /** Height of the block that spends it; null while none does. */
  spentAtBlocks: number | null;
}

/** A coin spent so deep is forgotten. */
const FORGET_BLOCKS = 100;
const COINBASE_MATURITY_BLOCKS = 100;
/** LDK raises fees every few blocks: what it has not taken again for so long it needs no more. */
const LENT_BLOCKS = 144;

/** The wallet’s coins, as whole blocks show them. */
export class CoinBook {
  readonly #keyIndexOf: (script: Uint8Array) => number | undefined;
  readonly #coins = new Map<string, BookedCoin>();
  readonly #reserved = new Set<string>();
  /** Height until which LDK may need it. */
  readonly #lent = new Map<string, number>();
  #heightBlocks = 0;

  /** `keyIndexOf`: which wallet key a script belongs to; undefined for a foreign one. */
  constructor(keyIndexOf: (script: Uint8Array) => number | undefined) {
    this.#keyIndexOf = keyIndexOf;
  }

  get heightBlocks(): number {
    return this.#heightBlocks;
  }

  blockConnected(raw: Uint8Array, heightBlocks: number): void {
    const reader = new BlockReader((tx) => this.#take(tx, heightBlocks));
    reader.push(raw);
    reader.finish();
    this.#heightBlocks = heightBlocks;
    for (const [key, { spentAtBlocks }] of this.#coins)
      if (spentAtBlocks !== null && spentAtBlocks + FORGET_BLOCKS <= heightBlocks) this.#coins.delete(key);
  }

  /** The block at this height, and all above it, are no longer in the chain. */
  blockDisconnected(heightBlocks: number): void {
    for (const [key, coin] of this.#coins) {
      if (coin.heightBlocks >= heightBlocks) this.#coins.delete(key);
      else if (coin.spentAtBlocks !== null && coin.spentAtBlocks >= heightBlocks) {
        coin.spentAtBlocks = null;
        // What spent it waits for another block: nothing else takes it meanwhile.
        this.#lent.set(key, heightBlocks - 1 + LENT_BLOCKS);
      }
    }
    this.#heightBlocks = heightBlocks - 1;
  }

  #take(tx: BlockTransaction, heightBlocks: number): void {
    const { isCoinbase } = tx;
    let kept: Uint8Array | null = null;
    for (const input of tx.inputs) {
      const key = outPointToString(input);
      const coin = this.#coins.get(key);
      if (coin !== undefined) coin.spentAtBlocks = heightBlocks;
      this.#reserved.delete(key);
      this.#lent.delete(key);
    }
    tx.outputs.forEach(({ value, script }, vout) => {
      const keyIndex = this.#keyIndexOf(script);
      if (keyIndex === undefined) return;
      const outpoint = { txid: tx.txid.slice(), vout };
      const previous: Uint8Array = kept ?? tx.bytes.slice();
      kept = previous;
      const output = { value, script: script.slice() };
      this.#coins.set(outPointToString(outpoint), {
        outpoint,
        output,
        keyIndex,
        heightBlocks,
        isCoinbase,
        previous,
        spentAtBlocks: null,
      });
    });
  }

  /** By outpoint, spent or not. */
  find(outpoint: OutPoint): Coin | undefined {
    return this.#coins.get(outPointToString(outpoint));
  }

  /** Confirmed, unspent, ripe and not reserved; the largest first. */
  spendable(): Coin[] {
    return [...this.#coins]
      .filter(([key, coin]) => coin.spentAtBlocks === null && !this.#reserved.has(key) && this.#isRipe(coin))
      .map(([, coin]) => coin)
      .sort((a, b) => (a.output.value < b.output.value ? 1 : a.output.value > b.output.value ? -1 : 0));
  }

  /** Of these the ones that LDK has no use for under way. */
  free(): Coin[] {
    return this.spendable().filter(
      ({ outpoint }) => (this.#lent.get(outPointToString(outpoint)) ?? -1) < this.#heightBlocks,
    );
  }

  #isRipe({ isCoinbase, heightBlocks }: Coin): boolean {
    return !isCoinbase || this.#heightBlocks + 1 - heightBlocks >= COINBASE_MATURITY_BLOCKS;
  }

  balanceSat(): bigint {
    let sum = 0n;
    for (const coin of this.#coins.values()) if (coin.spentAtBlocks === null) sum += coin.output.value;
    return sum;
  }

  reserve(outpoints: Iterable<OutPoint>): void {
    for (const outpoint of outpoints) this.#reserved.add(outPointToString(outpoint));
  }

  /** LDK has put these into a transaction; those that are no coins of ours don't matter. */
  lend(outpoints: Iterable<OutPoint>): void {
    for (const outpoint of outpoints) {
      const key = outPointToString(outpoint);
      if (this.#coins.has(key)) this.#lent.set(key, this.#heightBlocks + LENT_BLOCKS);
    }
  }

  /** The transaction they were reserved for will not come. */
  release(outpoints: Iterable<OutPoint>): void {
    for (const outpoint of outpoints) this.#reserved.delete(outPointToString(outpoint));
  }
}
