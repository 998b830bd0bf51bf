/**
 * The wallet of the attacked node: coins with the transactions that made them, and the requests that spend them.
 */
import {
  createPsbt,
  type OutPoint,
  outPointToString,
  PSBT_IN,
  type Psbt,
  p2wpkhOfKey,
  sat,
  serializeTransaction,
  setPsbtInputField,
  setPsbtWitnessUtxo,
  type Transaction,
  type TxOutput,
  txid,
} from '@countersign/bitcoin';
import type { KeyView } from '@countersign/core';
import type { HsmUtxo, MessageOf } from '@countersign/wire';
import { input } from '../../packages/core/test/channel-model.ts';
import { bytesOf } from '../../packages/core/test/test-signer.ts';
import { type WalletForm, walletScript } from '../../packages/core/test/wallet-model.ts';
import { secp } from './world.ts';

/** An output of a transaction, and how lightningd describes it. */
export interface Coin {
  readonly parent: Transaction;
  readonly utxo: HsmUtxo;
}

/** A coin of ours at this key index. */
export function walletCoin(
  keys: KeyView,
  keyindex: number,
  valueSat: bigint,
  label: string,
  form: WalletForm = 'p2wpkh',
): Coin {
  const scriptPubkey = walletScript(keys, keyindex, form);
  const parent: Transaction = {
    version: 2,
    inputs: [input({ txid: bytesOf(`where ${label} comes from`), vout: 0 })],
    outputs: [{ value: sat(valueSat), script: scriptPubkey }],
    locktime: 0,
  };
  const utxo: HsmUtxo = {
    outpoint: { txid: txid(parent), vout: 0 },
    amount: sat(valueSat),
    keyindex,
    isP2sh: form === 'p2sh-p2wpkh',
    scriptPubkey,
    closeInfo: undefined,
    isInCoinbase: false,
  };
  return { parent, utxo };
}

/** To our wallet. */
export const toWallet = (keys: KeyView, keyindex: number, valueSat: bigint): TxOutput => ({
  value: sat(valueSat),
  script: p2wpkhOfKey(keys.walletPublicKey(keyindex)!),
});

/** To somebody nobody knows. */
export const toStranger = (valueSat: bigint, who = 'a stranger'): TxOutput => ({
  value: sat(valueSat),
  script: p2wpkhOfKey(secp.publicKey(bytesOf(who))),
});

/** A transaction that spends these outpoints. */
export function spend(
  outpoints: readonly OutPoint[],
  outputs: readonly TxOutput[],
  sequence?: number,
): Transaction {
  return { version: 2, inputs: outpoints.map((one) => input(one, sequence)), outputs, locktime: 0 };
}

/** A PSBT that carries what is known of each input: the whole transaction that made it. */
export function psbtWith(
  tx: Transaction,
  coins: readonly Coin[],
  others: ReadonlyMap<number, TxOutput> = new Map(),
): Psbt {
  let psbt = createPsbt(tx);
  tx.inputs.forEach((one, index) => {
    const coin = coins.find(({ utxo }) => outPointToString(utxo.outpoint) === outPointToString(one));
    const output = coin === undefined ? others.get(index) : coin.parent.outputs[coin.utxo.outpoint.vout];
    if (coin !== undefined) {
      psbt = setPsbtInputField(psbt, index, PSBT_IN.NON_WITNESS_UTXO, serializeTransaction(coin.parent));
    }
    if (output !== undefined) psbt = setPsbtWitnessUtxo(psbt, index, output);
  });
  return psbt;
}

export function withdrawalOf(
  tx: Transaction,
  coins: readonly Coin[],
  others?: ReadonlyMap<number, TxOutput>,
): MessageOf<'hsmd_sign_withdrawal'> {
  const inputs = coins.map(({ utxo }) => utxo);
  return { name: 'hsmd_sign_withdrawal', inputs, psbt: psbtWith(tx, coins, others) };
}
