/**
 * A regtest chain in memory with its mempool. Whoever plays decides what is mined and when, reorganizes, and may fork the
 * whole to try a strategy; every spend is verified, so a signature that is not valid gets nobody anything.
 */
import { equalBytes } from '../bitcoin/bytes.ts';
import { type OutPoint, outpointKey, type Tx, type TxOutput, txidOf, txKey } from '../bitcoin/transaction.ts';
import { type BlockNode, GENESIS, mineBlock, serializeBlock } from './block.ts';
import { type ChainView, type Coin, type Judgement, judge } from './coin.ts';
import { LayeredMap } from './layered-map.ts';
import { Mempool, type PoolEntry, type Submission } from './mempool.ts';

export interface ChainOptions {
  /** Where block rewards go. */
  readonly payout: Uint8Array;
  /** Between blocks, when no time is given. */
  readonly blockSeconds?: number;
  /** Below it the mempool takes nothing; what a caller mines itself is not bound by it. */
  readonly feeratePerKwMin?: number;
}

export interface MineOptions {
  /** Just these, each after those it spends from; without it, what the mempool has. */
  readonly txs?: readonly Tx[];
  /** What the miner takes from the mempool. */
  readonly feeratePerKwMin?: number;
  readonly payout?: Uint8Array;
  readonly timeSeconds?: number;
}

/** A transaction the chain knows; the height is null while it waits. */
export interface KnownTx {
  readonly tx: Tx;
  readonly height: number | null;
}

export interface Spend extends KnownTx {
  /** Which of its inputs. */
  readonly vin: number;
}

/** Blocks from behind a fork, in order, as a chain source brings them. */
export interface Branch {
  readonly forkHeight: number;
  readonly headers: readonly Uint8Array[];
  readonly blocks: readonly Uint8Array[];
}

const BLOCK_WEIGHT_MAX = 3_990_000;
const BLOCK_SECONDS = 600;

interface State {
  readonly options: ChainOptions;
  readonly tip: BlockNode;
  readonly coins: LayeredMap<Coin>;
  readonly txs: LayeredMap<{ readonly tx: Tx; readonly height: number }>;
  readonly spends: LayeredMap<{ readonly tx: Tx; readonly vin: number; readonly height: number }>;
  readonly mempool: Mempool;
  readonly extraNonce: number;
}

export class ChainSimulator {
  readonly #options: ChainOptions;
  #tip: BlockNode;
  readonly #coins: State['coins'];
  readonly #txs: State['txs'];
  readonly #spends: State['spends'];
  readonly #mempool: Mempool;
  #extraNonce: number;

  private constructor(state: State) {
    this.#options = state.options;
    this.#tip = state.tip;
    this.#coins = state.coins;
    this.#txs = state.txs;
    this.#spends = state.spends;
    this.#mempool = state.mempool;
    this.#extraNonce = state.extraNonce;
  }

  static create(options: ChainOptions): ChainSimulator {
    return new ChainSimulator({
      options,
      tip: GENESIS,
      coins: new LayeredMap(),
      txs: new LayeredMap(),
      spends: new LayeredMap(),
      mempool: new Mempool(options.feeratePerKwMin ?? 0),
      extraNonce: 0,
    });
  }

  /** A second chain in the same state; neither sees what happens on the other from now on. */
  fork(): ChainSimulator {
    return new ChainSimulator({
      options: this.#options,
      tip: this.#tip,
      coins: this.#coins.fork(),
      txs: this.#txs.fork(),
      spends: this.#spends.fork(),
      mempool: this.#mempool.fork(),
      extraNonce: this.#extraNonce,
    });
  }

  get tip(): BlockNode {
    return this.#tip;
  }

  get height(): number {
    return this.#tip.height;
  }

  /** What waits for a block, each after those it spends from. */
  get waiting(): readonly PoolEntry[] {
    return this.#mempool.entries;
  }

  // ── Transactions ──

  /** To the mempool, as a node would take it. */
  submit(tx: Tx): Submission {
    const key = txKey(txidOf(tx));
    if (this.#txs.has(key)) return { accepted: false, refusal: { reason: 'known', detail: key } };
    return this.#mempool.submit(tx, this.#view());
  }

  /** Whether it could be in the next block, on what is confirmed alone. */
  judge(tx: Tx): Judgement {
    return judge(tx, this.#view());
  }

  #view(): ChainView {
    return {
      nextHeight: this.#tip.height + 1,
      medianTimeSeconds: this.#tip.medianTimeSeconds,
      medianTimeAt: (height) => this.#ancestor(height).medianTimeSeconds,
      coin: (outpoint) => this.#coins.get(outpointKey(outpoint)),
    };
  }

  #ancestor(height: number): BlockNode {
    let node = this.#tip;
    while (node.height > height && node.parent !== null) node = node.parent;
    return node;
  }

  // ── Blocks ──

  /** One block. Throws when a transaction it was told to contain is not valid there. */
  mine(options: MineOptions = {}): BlockNode {
    const txs = options.txs ?? this.#mempool.select(options.feeratePerKwMin ?? 0, BLOCK_WEIGHT_MAX);
    const { spent, feesSat } = this.#apply(txs);
    const timeSeconds =
      options.timeSeconds ?? this.#tip.timeSeconds + (this.#options.blockSeconds ?? BLOCK_SECONDS);
    if (timeSeconds <= this.#tip.medianTimeSeconds) throw new RangeError('block time not after the median');
    this.#tip = mineBlock({
      parent: this.#tip,
      txs,
      spent,
      feesSat,
      payout: options.payout ?? this.#options.payout,
      timeSeconds,
      extraNonce: this.#extraNonce++,
    });
    this.#index(this.#tip);
    this.#mempool.confirm(txs);
    return this.#tip;
  }

  mineMany(count: number, options: Omit<MineOptions, 'timeSeconds'> = {}): void {
    for (let i = 0; i < count; i++) this.mine(i === 0 ? options : { ...options, txs: [] });
  }

  /** Judges in order, each on those before; nothing stays changed when one is refused. */
  #apply(txs: readonly Tx[]) {
    const view = this.#view();
    const made = new Map<string, Coin>();
    const spent = new Map<string, Coin>();
    let feesSat = 0n;
    for (const tx of txs) {
      const coin = (outpoint: OutPoint): Coin | undefined => {
        const key = outpointKey(outpoint);
        return spent.has(key) ? undefined : (made.get(key) ?? view.coin(outpoint));
      };
      const judgement = judge(tx, { ...view, coin });
      if ('reason' in judgement)
        throw new RangeError(`not valid in a block: ${judgement.reason}: ${judgement.detail}`);
      feesSat += judgement.feeSat;
      for (const [i, input] of tx.inputs.entries()) spent.set(outpointKey(input), judgement.spent[i] as Coin);
      for (const [key, output] of coinsOf(tx, view.nextHeight, false)) made.set(key, output);
    }
    return { spent, feesSat };
  }

  /** Takes a new tip into the maps. */
  #index({ txs, height }: BlockNode): void {
    for (const [at, tx] of txs.entries()) {
      this.#txs.set(txKey(txidOf(tx)), { tx, height });
      for (const [key, coin] of coinsOf(tx, height, at === 0)) this.#coins.set(key, coin);
      if (at === 0) continue;
      for (const [vin, input] of tx.inputs.entries()) {
        const key = outpointKey(input);
        this.#coins.delete(key);
        this.#spends.set(key, { tx, vin, height });
      }
    }
  }

  /** Takes the tip out of the maps; its transactions are returned. */
  #disconnect(): readonly Tx[] {
    const { txs, spent, parent, height } = this.#tip;
    if (parent === null) throw new RangeError('genesis stays');
    for (const tx of txs) {
      this.#txs.delete(txKey(txidOf(tx)));
      for (const [key] of coinsOf(tx, height, false)) this.#coins.delete(key);
    }
    for (const [key, coin] of spent) {
      this.#spends.delete(key);
      // What was made in the same block is gone with it.
      if (coin.height < height) this.#coins.set(key, coin);
    }
    this.#tip = parent;
    return txs.slice(1);
  }

  /**
   * Leaves the last `depth` blocks for others, at least one more than they were: the branch with more work wins. What was in
   * them waits again, where it is still valid. Each of `blocks` says what one of the new blocks contains.
   */
  reorganize(depth: number, blocks: readonly MineOptions[]): void {
    if (depth < 1 || depth > this.#tip.height) throw new RangeError('no such depth');
    if (blocks.length <= depth) throw new RangeError('a branch with less work does not win');
    const left: Tx[] = [];
    for (let i = 0; i < depth; i++) left.unshift(...this.#disconnect());
    this.#mempool.revalidate(left, this.#view());
    for (const options of blocks) this.mine(options);
  }

  /** From behind the last block shared with the branch that ends in `known` up to the tip. */
  branchFrom(known: BlockNode): Branch {
    let shared: BlockNode = known;
    while (!equalBytes(this.#ancestor(shared.height).hash, shared.hash)) shared = shared.parent ?? GENESIS;
    const nodes: BlockNode[] = [];
    for (let node = this.#tip; node.height > shared.height; node = node.parent ?? GENESIS)
      nodes.unshift(node);
    return {
      forkHeight: shared.height,
      headers: nodes.map(({ header }) => header),
      blocks: nodes.map(serializeBlock),
    };
  }

  // ── Questions ──

  /** Confirmed and not spent by what is confirmed. */
  coin(outpoint: OutPoint): Coin | undefined {
    return this.#coins.get(outpointKey(outpoint));
  }

  /** Of any transaction known, spent or not. */
  output({ txid, vout }: OutPoint): TxOutput | undefined {
    return this.find(txid)?.tx.outputs[vout];
  }

  find(txid: Uint8Array): KnownTx | undefined {
    const key = txKey(txid);
    const confirmed = this.#txs.get(key);
    if (confirmed !== undefined) return confirmed;
    const entry = this.#mempool.get(key);
    return entry === undefined ? undefined : { tx: entry.tx, height: null };
  }

  /** Zero while it waits, and for what is not known. */
  confirmations(txid: Uint8Array): number {
    const height = this.#txs.get(txKey(txid))?.height;
    return height === undefined ? 0 : this.#tip.height - height + 1;
  }

  /** Who spends an output: in a block, else in the mempool. */
  spendOf(outpoint: OutPoint): Spend | undefined {
    const key = outpointKey(outpoint);
    const confirmed = this.#spends.get(key);
    if (confirmed !== undefined) return confirmed;
    const entry = this.#mempool.spender(key);
    if (entry === undefined) return undefined;
    const vin = entry.tx.inputs.findIndex((input) => outpointKey(input) === key);
    return { tx: entry.tx, vin, height: null };
  }

  /** All that is confirmed and unspent. */
  *unspent(): IterableIterator<{ readonly outpoint: string; readonly coin: Coin }> {
    for (const [outpoint, coin] of this.#coins.entries()) yield { outpoint, coin };
  }
}

/** The outputs of a transaction by outpoint; those that nothing can spend are left out, as a node does. */
function coinsOf(tx: Tx, height: number, isCoinbase: boolean): [string, Coin][] {
  const txid = txidOf(tx);
  return tx.outputs.flatMap((output, vout): [string, Coin][] =>
    output.script[0] === 0x6a ? [] : [[outpointKey({ txid, vout }), { ...output, height, isCoinbase }]],
  );
}
