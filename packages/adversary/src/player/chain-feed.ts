/**
 * The chain of a run, how the signer hears of it, and the attacker's own coins: miners pay the attacker, who pays the
 * owner his coins, and whatever else is wanted on the chain.
 */
import { EMPTY, equalBytes, fromHex } from '../bitcoin/bytes.ts';
import { publicKeyOf, sign, toScriptSignature } from '../bitcoin/keys.ts';
import { assemble, p2pkhScript, p2wpkh } from '../bitcoin/scripts.ts';
import { SIGHASH, sighashLegacy, sighashV0 } from '../bitcoin/sighash.ts';
import { type OutPoint, outpointKey, type Tx, type TxOutput, txidOf } from '../bitcoin/transaction.ts';
import { type BlockNode, GENESIS, serializeBlock } from '../chain/block.ts';
import { ChainSimulator, type MineOptions } from '../chain/simulator.ts';
import { bytesFor } from './dice.ts';
import { tendChannels } from './tend.ts';
import type { World } from './world.ts';

interface AttackerCoin {
  readonly outpoint: OutPoint;
  readonly output: TxOutput;
}

const ATTACKER_SECRET = bytesFor('the attacker’s coins');
const ATTACKER_KEY = publicKeyOf(ATTACKER_SECRET);
/** Where the attacker takes money. */
export const ATTACKER_SCRIPT = p2wpkh(ATTACKER_KEY);
const ATTACKER_LEGACY_SCRIPT = p2pkhScript(ATTACKER_SCRIPT.subarray(2));

const MATURITY_BLOCKS = 101;
const FIRST_COINS = 8;
const FIRST_COIN_SAT = 100_000_000n;
const FEE_SAT = 2000n;
const BLOCK_SECONDS = 300;

export class Chain {
  readonly #world: World;
  readonly simulator = ChainSimulator.create({ payout: ATTACKER_SCRIPT });
  #fed: BlockNode = GENESIS;
  #coins = new Map<string, AttackerCoin>();

  constructor(world: World) {
    this.#world = world;
  }

  get heightBlocks(): number {
    return this.simulator.height;
  }

  get lastBlockSeconds(): number {
    return this.simulator.tip.timeSeconds;
  }

  /** The attacker's rewards ripen, and the owner gets his coins. */
  async begin(): Promise<void> {
    for (let i = 0; i < MATURITY_BLOCKS + 12; i++) this.#mineOne();
    const outputs = Array.from({ length: FIRST_COINS }, () => ({
      value: FIRST_COIN_SAT,
      script: this.#world.receivingScript(),
    }));
    const tx = this.attackerPays(outputs);
    if (tx !== undefined) this.broadcast(tx);
    for (let i = 0; i < 6; i++) this.#mineOne();
    await this.#feed();
  }

  #mineOne(options: MineOptions = {}): void {
    this.#world.nowSeconds += BLOCK_SECONDS;
    const timeSeconds = this.#world.nowSeconds;
    this.#take(this.simulator.mine({ timeSeconds, ...options }));
  }

  #take({ txs }: BlockNode): void {
    txs.forEach((tx, at) => {
      this.#noteCoins(tx, at === 0);
      this.#world.coins.seen(tx, at === 0);
    });
  }

  #noteCoins(tx: Tx, isCoinbase: boolean): void {
    for (const input of tx.inputs) this.#coins.delete(outpointKey(input));
    tx.outputs.forEach((output, vout) => {
      const outpoint = { txid: txidOf(tx), vout };
      const isRipe = !isCoinbase || this.heightBlocks <= MATURITY_BLOCKS;
      if (isRipe && equalBytes(output.script, ATTACKER_SCRIPT))
        this.#coins.set(outpointKey(outpoint), { outpoint, output });
    });
  }

  /** Blocks come, with everything that waits; whoever has something to do about it does it. */
  async mine(count: number, options: MineOptions = {}): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.#mineOne(i === 0 ? options : {});
      await this.#feed();
      await tendChannels(this.#world);
    }
  }

  /** The signer is first shown the next block with one more transaction in it, then as it is. */
  async mineLying(tx: Tx): Promise<void> {
    const trial = this.simulator.fork();
    const timeSeconds = this.#world.nowSeconds + BLOCK_SECONDS;
    const honest = trial.mine({ timeSeconds });
    const lying = { ...honest, txs: [...honest.txs, tx] };
    this.#world.subject.setClock(timeSeconds);
    await this.#world.subject.feedChain([honest.header], [serializeBlock(lying)]);
    // The same block, to the bit.
    await this.mine(1);
  }

  /** Blocks with just these; false where they can't be. */
  async mineJust(txs: readonly Tx[]): Promise<boolean> {
    if (txs.some((tx) => 'reason' in this.simulator.judge(tx))) return false;
    await this.mine(1, { txs });
    return true;
  }

  /** The last blocks give way to others. `blocks`: what is special about the others. False where they can't be. */
  async reorganize(depth: number, blocks: readonly MineOptions[] = []): Promise<boolean> {
    const { nowSeconds } = this.#world;
    const options = Array.from({ length: depth + 1 }, (_, i) => ({
      timeSeconds: nowSeconds + 60 * (i + 1),
      ...blocks[i],
    }));
    if (!this.#canReorganize(depth, options)) return false;
    this.#world.nowSeconds = nowSeconds + 60 * (depth + 1);
    this.simulator.reorganize(depth, options);
    this.#recount();
    await this.#feed();
    await tendChannels(this.#world);
    return true;
  }

  #canReorganize(depth: number, options: readonly MineOptions[]): boolean {
    if (options.every(({ txs }) => txs === undefined)) return true;
    try {
      this.simulator.fork().reorganize(depth, options);
      return true;
    } catch (error) {
      if (error instanceof RangeError) return false;
      throw error;
    }
  }

  #recount(): void {
    this.#coins.clear();
    this.#world.coins.clear();
    const txs = new Set<Tx>();
    for (const { outpoint } of this.simulator.unspent()) {
      const [txid] = outpoint.split(':');
      const known = this.simulator.find(fromHex(txid!));
      if (known !== undefined) txs.add(known.tx);
    }
    for (const tx of txs) this.#recountOutputs(tx);
    for (const { tx } of this.simulator.waiting) {
      this.#noteCoins(tx, false);
      this.#world.coins.seen(tx);
    }
  }

  #recountOutputs(tx: Tx): void {
    const isCoinbase = tx.inputs[0]?.vout === 0xffff_ffff;
    this.#noteCoins(tx, isCoinbase);
    this.#world.coins.seen(tx, isCoinbase);
    tx.outputs.forEach((_, vout) => {
      const outpoint = { txid: txidOf(tx), vout };
      if (this.simulator.coin(outpoint) !== undefined) return;
      this.#coins.delete(outpointKey(outpoint));
      this.#world.coins.spent(outpoint);
    });
  }

  async #feed(): Promise<void> {
    const { subject, witness, nowSeconds } = this.#world;
    const { headers, blocks, forkHeight } = this.simulator.branchFrom(this.#fed);
    const disconnectedBlocks = this.#fed.height - forkHeight;
    this.#fed = this.simulator.tip;
    subject.setClock(nowSeconds);
    await subject.feedChain(headers, blocks);
    witness.chainChanged({ disconnectedBlocks, connected: blocks, heightBlocks: this.heightBlocks });
  }

  /** Null when it waits for a block now; else why not. */
  broadcast(tx: Tx): string | null {
    const result = this.simulator.submit(tx);
    if (!result.accepted) return result.refusal.reason;
    this.#noteCoins(tx, false);
    this.#world.coins.seen(tx);
    return null;
  }

  depthOf(txid: Uint8Array): number {
    return this.simulator.confirmations(txid);
  }

  /** By something mined, or on its way. */
  isSpent(outpoint: OutPoint): boolean {
    return this.simulator.spendOf(outpoint) !== undefined;
  }

  /** What is mined and spends it. */
  spenderOf(outpoint: OutPoint): Tx | undefined {
    const spend = this.simulator.spendOf(outpoint);
    return spend === undefined || spend.height === null ? undefined : spend.tx;
  }

  /** Signed, with the rest back to the attacker; undefined when no coin is large enough. */
  attackerPays(outputs: readonly TxOutput[]): Tx | undefined {
    const paid = outputs.reduce((sum, { value }) => sum + value, 0n);
    const coins: AttackerCoin[] = [];
    let sum = 0n;
    for (const coin of this.#coins.values()) {
      coins.push(coin);
      sum += coin.output.value;
      if (sum >= paid + FEE_SAT + 1000n) break;
    }
    if (sum < paid + FEE_SAT + 1000n) return undefined;
    const change = { value: sum - paid - FEE_SAT, script: ATTACKER_SCRIPT };
    return signedByAttacker(coins, [...outputs, change]);
  }

  /** To the attacker's key as before segwit: whoever spends it names itself by its signature too. */
  attackerPaysLegacy(value: bigint): Tx | undefined {
    return this.attackerPays([{ value, script: ATTACKER_LEGACY_SCRIPT }]);
  }

  /** With the attacker's signature of an input that spends such a coin; the transaction has another id by it. */
  signLegacy(tx: Tx, index: number): Tx {
    const digest = sighashLegacy(tx, index, ATTACKER_LEGACY_SCRIPT, SIGHASH.ALL);
    const signature = toScriptSignature(sign(digest, ATTACKER_SECRET), SIGHASH.ALL);
    const scriptSig = assemble([signature, ATTACKER_KEY]);
    return { ...tx, inputs: tx.inputs.map((input, i) => (i === index ? { ...input, scriptSig } : input)) };
  }

  /** Pays the attacker's own coins in a transaction back to him; undefined when they aren't all his. */
  rivalOf(tx: Tx): Tx | undefined {
    const coins = tx.inputs.map((input) => {
      const output = this.simulator.output(input);
      return output !== undefined && equalBytes(output.script, ATTACKER_SCRIPT)
        ? { outpoint: input, output }
        : undefined;
    });
    if (!coins.every((one) => one !== undefined)) return undefined;
    const sum = coins.reduce((total, { output }) => total + output.value, 0n);
    return signedByAttacker(coins, [{ value: sum - 5n * FEE_SAT, script: ATTACKER_SCRIPT }]);
  }

  /** An HTLC transaction that pays no fee, with a coin that does; its first input is still to be signed. */
  withAttackerFee(htlcTx: Tx): Tx | undefined {
    const [coin] = [...this.#coins.values()].filter(({ output }) => output.value > 100_000n);
    if (coin === undefined) return undefined;
    const tx: Tx = {
      ...htlcTx,
      inputs: [...htlcTx.inputs, plainInput(coin.outpoint)],
      outputs: [...htlcTx.outputs, { value: coin.output.value - FEE_SAT, script: ATTACKER_SCRIPT }],
    };
    const witness = attackerWitness(tx, 1, coin);
    return { ...tx, inputs: tx.inputs.map((input, i) => (i === 1 ? { ...input, witness } : input)) };
  }
}

const plainInput = ({ txid, vout }: OutPoint) => ({
  txid,
  vout,
  scriptSig: EMPTY,
  sequence: 0xffff_fffd,
  witness: [],
});

function signedByAttacker(coins: readonly AttackerCoin[], outputs: readonly TxOutput[]): Tx {
  const inputs = coins.map(({ outpoint }) => plainInput(outpoint));
  const tx: Tx = { version: 2, inputs, outputs, locktime: 0 };
  return {
    ...tx,
    inputs: inputs.map((input, i) => ({ ...input, witness: attackerWitness(tx, i, coins[i]!) })),
  };
}

function attackerWitness(tx: Tx, index: number, { output }: AttackerCoin): readonly Uint8Array[] {
  const scriptCode = p2pkhScript(output.script.subarray(2));
  const digest = sighashV0(tx, index, scriptCode, output.value, SIGHASH.ALL);
  return [toScriptSignature(sign(digest, ATTACKER_SECRET), SIGHASH.ALL), ATTACKER_KEY];
}
