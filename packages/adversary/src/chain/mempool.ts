/**
 * Transactions that wait for a block. None conflicts with another: a newcomer replaces those that it conflicts with if it
 * pays for them (Bitcoin Core `doc/policy/mempool-replacements.md`, with full replacement as 28.1 has it), or is refused.
 */
import { type OutPoint, outpointKey, type Tx, txidOf, txKey, weightOf } from '../bitcoin/transaction.ts';
import { type ChainView, type Coin, judge, type Refusal } from './coin.ts';

export interface PoolEntry {
  readonly tx: Tx;
  readonly key: string;
  readonly feeSat: bigint;
  readonly weight: number;
}

export type Submission =
  | { readonly accepted: true; readonly replaced: readonly Tx[] }
  | { readonly accepted: false; readonly refusal: Refusal };

/** Satoshi per virtual byte that a replacement pays for its own way. */
const INCREMENTAL_RELAY_FEE = 1n;

const refused = (reason: Refusal['reason'], detail: string): Submission => ({
  accepted: false,
  refusal: { reason, detail },
});

/** Satoshi per 1000 weight units, as a fraction compared crosswise. */
const paysLess = (a: PoolEntry, b: PoolEntry): boolean =>
  a.feeSat * BigInt(b.weight) <= b.feeSat * BigInt(a.weight);

export class Mempool {
  /** By txid, each after those it spends from. */
  readonly #entries: Map<string, PoolEntry>;
  /** Outpoint → who spends it. */
  readonly #spends: Map<string, PoolEntry>;
  readonly #feeratePerKwMin: number;

  constructor(feeratePerKwMin: number, from?: Mempool) {
    this.#feeratePerKwMin = feeratePerKwMin;
    this.#entries = new Map(from === undefined ? [] : from.#entries);
    this.#spends = new Map(from === undefined ? [] : from.#spends);
  }

  fork(): Mempool {
    return new Mempool(this.#feeratePerKwMin, this);
  }

  get entries(): readonly PoolEntry[] {
    return [...this.#entries.values()];
  }

  get(key: string): PoolEntry | undefined {
    return this.#entries.get(key);
  }

  spender(outpoint: string): PoolEntry | undefined {
    return this.#spends.get(outpoint);
  }

  /** An output of a transaction that waits here, spent or not. */
  coin({ txid, vout }: OutPoint, nextHeight: number): Coin | undefined {
    const output = this.#entries.get(txKey(txid))?.tx.outputs[vout];
    return output === undefined ? undefined : { ...output, height: nextHeight, isCoinbase: false };
  }

  /** `chain`: without what waits here. */
  submit(tx: Tx, chain: ChainView): Submission {
    const key = txKey(txidOf(tx));
    if (this.#entries.has(key)) return refused('known', key);
    const view: ChainView = {
      ...chain,
      coin: (outpoint) => chain.coin(outpoint) ?? this.coin(outpoint, chain.nextHeight),
      medianTimeAt: (height) => chain.medianTimeAt(height),
    };
    const judgement = judge(tx, view);
    if ('reason' in judgement) return { accepted: false, refusal: judgement };
    const entry: PoolEntry = { tx, key, feeSat: judgement.feeSat, weight: weightOf(tx) };
    if (entry.feeSat * 1000n < BigInt(this.#feeratePerKwMin) * BigInt(entry.weight))
      return refused('feerate', `${entry.feeSat} sat for ${entry.weight} weight units`);
    return this.#replaceAndAdd(entry);
  }

  #replaceAndAdd(entry: PoolEntry): Submission {
    const direct = this.#conflicts(entry.tx);
    const evicted = this.#withDescendants(direct);
    if (entry.tx.inputs.some(({ txid }) => evicted.has(txKey(txid))))
      return refused('replacement', 'spends what it would replace');
    const replacedSat = [...evicted.values()].reduce((sum, { feeSat }) => sum + feeSat, 0n);
    const ownWaySat = BigInt(Math.ceil(entry.weight / 4)) * INCREMENTAL_RELAY_FEE;
    if (direct.length > 0 && entry.feeSat < replacedSat + ownWaySat)
      return refused('replacement', `${entry.feeSat} sat in place of ${replacedSat}`);
    if (direct.some((conflict) => paysLess(entry, conflict)))
      return refused('replacement', 'feerate no higher');
    for (const one of evicted.values()) this.#remove(one);
    this.#entries.set(entry.key, entry);
    for (const input of entry.tx.inputs) this.#spends.set(outpointKey(input), entry);
    return { accepted: true, replaced: [...evicted.values()].map(({ tx }) => tx) };
  }

  #conflicts(tx: Tx): PoolEntry[] {
    const found = tx.inputs.map((input) => this.#spends.get(outpointKey(input)));
    return [...new Set(found)].filter((entry) => entry !== undefined);
  }

  #withDescendants(entries: readonly PoolEntry[]): Map<string, PoolEntry> {
    const found = new Map(entries.map((entry) => [entry.key, entry]));
    // Children stand after their parents.
    if (found.size > 0)
      for (const entry of this.#entries.values())
        if (entry.tx.inputs.some(({ txid }) => found.has(txKey(txid)))) found.set(entry.key, entry);
    return found;
  }

  #remove(entry: PoolEntry): void {
    this.#entries.delete(entry.key);
    for (const input of entry.tx.inputs) this.#spends.delete(outpointKey(input));
  }

  /** What a block contains leaves, and so does what conflicts with it. */
  confirm(txs: readonly Tx[]): void {
    if (this.#entries.size === 0) return;
    for (const tx of txs) {
      const own = this.#entries.get(txKey(txidOf(tx)));
      if (own !== undefined) this.#remove(own);
      else for (const entry of this.#withDescendants(this.#conflicts(tx)).values()) this.#remove(entry);
    }
  }

  /** After a reorganization: `before` came from the blocks left behind; what is no longer valid goes. */
  revalidate(before: readonly Tx[], chain: ChainView): void {
    const txs = [...before, ...this.entries.map(({ tx }) => tx)];
    this.#entries.clear();
    this.#spends.clear();
    for (const tx of txs) this.submit(tx, chain);
  }

  /** What a miner takes: the best feerate first, with the unconfirmed parents that it pays for. */
  select(feeratePerKwMin: number, weightMax: number): Tx[] {
    const chosen = new Map<string, PoolEntry>();
    let weight = 0;
    for (;;) {
      const best = this.#bestPackage(chosen, weightMax - weight);
      if (best === undefined || best.feeSat * 1000n < BigInt(feeratePerKwMin) * BigInt(best.weight)) break;
      for (const entry of best.entries) chosen.set(entry.key, entry);
      weight += best.weight;
    }
    return [...chosen.values()].map(({ tx }) => tx);
  }

  #bestPackage(chosen: ReadonlyMap<string, PoolEntry>, weightMax: number) {
    const packages = this.entries
      .filter(({ key }) => !chosen.has(key))
      .map((entry) => this.#package(entry, chosen))
      .filter(({ weight }) => weight <= weightMax);
    const [first, ...rest] = packages;
    if (first === undefined) return undefined;
    return rest.reduce(
      (best, one) => (one.feeSat * BigInt(best.weight) > best.feeSat * BigInt(one.weight) ? one : best),
      first,
    );
  }

  /** The transaction with its parents that are not chosen yet, in an order in which a block can have them. */
  #package(entry: PoolEntry, chosen: ReadonlyMap<string, PoolEntry>) {
    const wanted = new Set<string>([entry.key]);
    const parentsFirst: PoolEntry[] = [];
    for (const one of [...this.#entries.values()].reverse()) {
      if (!wanted.has(one.key)) continue;
      parentsFirst.unshift(one);
      for (const { txid } of one.tx.inputs) {
        const parent = txKey(txid);
        if (this.#entries.has(parent) && !chosen.has(parent)) wanted.add(parent);
      }
    }
    return {
      entries: parentsFirst,
      feeSat: parentsFirst.reduce((sum, { feeSat }) => sum + feeSat, 0n),
      weight: parentsFirst.reduce((sum, one) => sum + one.weight, 0),
    };
  }
}
