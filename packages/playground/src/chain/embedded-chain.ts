/**
 * The chain of a small world: regtest blocks mined in memory, with a mempool, where every spend has to satisfy its script. The
 * simulator and its interpreter are the adversary's, which share nothing with the signer. A miner pays who asks.
 */
import {
  type BlockNode,
  ChainSimulator,
  equalBytes,
  GENESIS,
  type OutPoint,
  outpointKey,
  p2pkhScript,
  p2wpkh,
  parseTx,
  publicKeyOf,
  SIGHASH,
  type Spend,
  type Submission,
  serializeBlock,
  serializeTx,
  sighashV0,
  sign,
  type Tx,
  type TxOutput,
  toScriptSignature,
  txidOf,
} from '@countersign/adversary';

/** One block as a node wants it. */
export interface ConnectedBlock {
  readonly heightBlocks: number;
  readonly header: Uint8Array;
  readonly raw: Uint8Array;
  readonly timeSeconds: number;
  readonly txs: readonly Tx[];
}

interface MinerCoin {
  readonly outpoint: OutPoint;
  readonly output: TxOutput;
}

const MINER_SECRET = new Uint8Array(32).fill(0x4d);
const MINER_KEY = publicKeyOf(MINER_SECRET);
const MINER_SCRIPT = p2wpkh(MINER_KEY);
const MATURITY_BLOCKS = 100;
/** The first rewards, which ripen before anybody comes. */
const RIPE_REWARDS = 20;
const PAYMENT_FEE_SAT = 2000n;
const SEQUENCE_RBF = 0xffff_fffd;

export const BLOCK_SECONDS = 600;

export class EmbeddedChain {
  readonly #simulator = ChainSimulator.create({ payout: MINER_SCRIPT });
  readonly #coins = new Map<string, MinerCoin>();
  #nowSeconds: number;

  constructor(startSeconds: number) {
    this.#nowSeconds = startSeconds;
    for (let i = 0; i < MATURITY_BLOCKS + RIPE_REWARDS; i++) this.mine();
  }

  get heightBlocks(): number {
    return this.#simulator.height;
  }

  get tip(): BlockNode {
    return this.#simulator.tip;
  }

  /** Of the newest block; the clock of the world is this one. */
  get nowSeconds(): number {
    return this.#nowSeconds;
  }

  /** The clock goes on without a block. */
  advance(seconds: number): void {
    this.#nowSeconds += seconds;
  }

  /** The next block, with what waits or with just the transactions given. */
  mine(txs?: readonly Tx[]): ConnectedBlock {
    this.#nowSeconds += BLOCK_SECONDS;
    const options = { timeSeconds: this.#nowSeconds };
    const node = this.#simulator.mine(txs === undefined ? options : { ...options, txs });
    this.#noteMinerCoins(node);
    return connected(node);
  }

  /** All blocks above a height, oldest first. */
  blocksAfter(heightBlocks: number): ConnectedBlock[] {
    const found: ConnectedBlock[] = [];
    for (let node = this.#simulator.tip; node.height > heightBlocks; node = node.parent ?? GENESIS)
      found.unshift(connected(node));
    return found;
  }

  header(heightBlocks: number): Uint8Array {
    return this.#at(heightBlocks).header;
  }

  block(heightBlocks: number): Uint8Array {
    return serializeBlock(this.#at(heightBlocks));
  }

  #at(heightBlocks: number): BlockNode {
    let node = this.#simulator.tip;
    while (node.height > heightBlocks && node.parent !== null) node = node.parent;
    return node;
  }

  /** To the mempool, as a node would take it. */
  submit(raw: Uint8Array): Submission {
    return this.#simulator.submit(parseTx(raw));
  }

  /** Several at once, as a package: a child may pay for its parent. */
  submitAll(raws: readonly Uint8Array[]): Submission[] {
    return raws.map((raw) => this.submit(raw));
  }

  get waiting(): readonly Tx[] {
    return this.#simulator.waiting.map(({ tx }) => tx);
  }

  /** The owner of coins without a price: confirmed with the next block. */
  pay(script: Uint8Array, valueSat: bigint): Tx {
    const [coin] = [...this.#coins.values()].filter(
      ({ output }) => output.value > valueSat + 2n * PAYMENT_FEE_SAT,
    );
    if (coin === undefined) throw new RangeError('the miner has no coin that large');
    this.#coins.delete(outpointKey(coin.outpoint));
    const change = { value: coin.output.value - valueSat - PAYMENT_FEE_SAT, script: MINER_SCRIPT };
    const tx = signedByMiner(coin, [{ value: valueSat, script }, change]);
    const result = this.submit(serializeTx(tx));
    if (!result.accepted) throw new Error(`the miner’s payment: ${result.refusal.reason}`);
    return tx;
  }

  #noteMinerCoins({ txs }: BlockNode): void {
    txs.forEach((tx, at) => {
      // Later rewards are left alone: they would have to ripen, and there are enough.
      if (at === 0 && this.heightBlocks > RIPE_REWARDS) return;
      tx.outputs.forEach((output, vout) => {
        const outpoint = { txid: txidOf(tx), vout };
        if (equalBytes(output.script, MINER_SCRIPT))
          this.#coins.set(outpointKey(outpoint), { outpoint, output });
      });
    });
  }

  spendOf(outpoint: OutPoint): Spend | undefined {
    return this.#simulator.spendOf(outpoint);
  }

  /** Zero while it waits, and for what is not known. */
  confirmations(txid: Uint8Array): number {
    return this.#simulator.confirmations(txid);
  }

  /** What is confirmed and unspent at a script. */
  balanceSat(script: Uint8Array): bigint {
    let sum = 0n;
    for (const { coin } of this.#simulator.unspent()) if (equalBytes(coin.script, script)) sum += coin.value;
    return sum;
  }
}

function connected(node: BlockNode): ConnectedBlock {
  const { height: heightBlocks, header, timeSeconds, txs } = node;
  return { heightBlocks, header, raw: serializeBlock(node), timeSeconds, txs };
}

function signedByMiner({ outpoint, output }: MinerCoin, outputs: readonly TxOutput[]): Tx {
  const input = { ...outpoint, scriptSig: new Uint8Array(), sequence: SEQUENCE_RBF, witness: [] };
  const tx: Tx = { version: 2, inputs: [input], outputs, locktime: 0 };
  const digest = sighashV0(tx, 0, p2pkhScript(output.script.subarray(2)), output.value, SIGHASH.ALL);
  const witness = [toScriptSignature(sign(digest, MINER_SECRET), SIGHASH.ALL), MINER_KEY];
  return { ...tx, inputs: [{ ...input, witness }] };
}
