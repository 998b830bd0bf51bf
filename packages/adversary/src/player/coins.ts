/** The owner's coins: which outputs are his wallet's, and transactions that spend them, as lightningd makes them. */
import type { HsmUtxo, MessageOf } from '@countersign/wire';
import { EMPTY } from '../bitcoin/bytes.ts';
import { makePsbt, withWalletWitnesses } from '../bitcoin/psbt.ts';
import { isP2tr } from '../bitcoin/scripts.ts';
import { type OutPoint, outpointKey, type Tx, type TxOutput, txidOf } from '../bitcoin/transaction.ts';
import { NODE } from '../subject.ts';
import { SEQUENCE_RBF } from './claims.ts';
import { wireSat } from './requests.ts';
import type { Intent } from './step-log.ts';
import type { World } from './world.ts';

export interface Coin {
  readonly outpoint: OutPoint;
  readonly output: TxOutput;
  readonly keyIndex: number;
  /** The transaction that made it. */
  readonly previous: Tx;
  readonly isCoinbase: boolean;
}

const P2WPKH_INPUT_WEIGHT = 272;
const OUTPUT_WEIGHT = 43 * 4;
const BASE_WEIGHT = 44;
/** What CLN keeps for fees of force closes. */
export const RESERVE_SAT = 25_000n;
export const DUST_SAT = 546n;

/** A transaction of the wallet's, ready to be signed. */
export interface Draft {
  readonly tx: Tx;
  readonly coins: readonly Coin[];
}

export class Coins {
  readonly #world: World;
  readonly #coins = new Map<string, Coin>();

  constructor(world: World) {
    this.#world = world;
  }

  get all(): readonly Coin[] {
    return [...this.#coins.values()];
  }

  get totalSat(): bigint {
    return this.all.reduce((sum, { output }) => sum + output.value, 0n);
  }

  clear(): void {
    this.#coins.clear();
  }

  spent(outpoint: OutPoint): void {
    this.#coins.delete(outpointKey(outpoint));
  }

  /** A transaction that is mined, or on its way. */
  seen(tx: Tx, isCoinbase = false): void {
    for (const input of tx.inputs) this.#coins.delete(outpointKey(input));
    tx.outputs.forEach((output, vout) => {
      const found = this.#world.wallet.find(output.script);
      if (found === undefined) return;
      const outpoint = { txid: txidOf(tx), vout };
      const keyIndex = found.key.index;
      this.#coins.set(outpointKey(outpoint), { outpoint, output, keyIndex, previous: tx, isCoinbase });
    });
  }

  /** Pays these outputs and takes the rest back; undefined when the coins are too few. */
  draft(outputs: readonly TxOutput[], feeratePerKw: number, isMixed = false): Draft | undefined {
    const paid = outputs.reduce((sum, { value }) => sum + value, 0n);
    const coins: Coin[] = [];
    let sum = 0n;
    for (const coin of this.all) {
      if (!isMixed && isP2tr(coin.output.script)) continue;
      coins.push(coin);
      sum += coin.output.value;
      const fee = feeOf(coins.length, outputs.length + 1, feeratePerKw);
      const changeSat = sum - paid - fee;
      if (changeSat < DUST_SAT) continue;
      const change = { value: changeSat, script: this.#world.receivingScript() };
      return { tx: unsigned(coins, [...outputs, change]), coins };
    }
    return undefined;
  }
}

const feeOf = (inputCount: number, outputCount: number, feeratePerKw: number): bigint => {
  const weight = BASE_WEIGHT + inputCount * P2WPKH_INPUT_WEIGHT + outputCount * OUTPUT_WEIGHT;
  return BigInt(Math.ceil((weight * feeratePerKw) / 1000));
};

export const unsigned = (
  spends: readonly { readonly outpoint: OutPoint }[],
  outputs: readonly TxOutput[],
  locktime = 0,
): Tx => ({
  version: 2,
  inputs: spends.map(({ outpoint }) => ({
    ...outpoint,
    scriptSig: EMPTY,
    sequence: SEQUENCE_RBF,
    witness: [],
  })),
  outputs,
  locktime,
});

export const wireUtxo = (coin: Coin): HsmUtxo => ({
  outpoint: coin.outpoint,
  amount: wireSat(coin.output.value),
  keyindex: coin.keyIndex,
  isP2sh: false,
  scriptPubkey: coin.output.script,
  closeInfo: undefined,
  isInCoinbase: coin.isCoinbase,
});

/** What a wallet input says of itself in a PSBT. */
export const coinInfo = ({ output, previous }: Coin) => ({ utxo: output, previous });

export function withdrawalRequest({ tx, coins }: Draft): MessageOf<'hsmd_sign_withdrawal'> {
  return {
    name: 'hsmd_sign_withdrawal',
    inputs: coins.map(wireUtxo),
    psbt: makePsbt(tx, coins.map(coinInfo)),
  };
}

/** The transaction with the wallet's signatures; null when they were refused. */
export async function signWithdrawal(
  world: World,
  draft: Draft,
  intent: Intent = 'honest',
): Promise<Tx | null> {
  const reply = await world.ask(NODE, withdrawalRequest(draft), intent);
  if (reply === null) return null;
  return withWalletWitnesses(
    draft.tx,
    reply.psbt,
    draft.coins.map(({ output }) => output),
  );
}
