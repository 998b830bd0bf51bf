/**
 * An unsigned transaction that pays outputs from P2WPKH coins, change back to the wallet. Largest coins first: a node's wallet has
 * few, and whoever wants better selection brings a wallet of its own.
 */
import { buildScript, type Sat, sat, type Transaction, type TxOutput, weight } from '@countersign/bitcoin';
import type { Coin } from './coin-book.ts';

/** What a transaction is to pay. */
export interface PaymentOrder {
  readonly outputs: readonly TxOutput[];
  readonly changeScript: Uint8Array;
  readonly feeratePerKw: number;
  readonly locktime: number;
}

/** A transaction that pays it, and what it spends. */
export interface UnsignedPayment {
  readonly tx: Transaction;
  readonly coins: readonly Coin[];
  readonly feeSat: bigint;
}

/** BIP 125: may be replaced. */
const SEQUENCE = 0xffff_fffd;
/** Witness of P2WPKH: count, signature of 72 bytes and its length, key of 33 bytes and its length. */
export const P2WPKH_WITNESS_WEIGHT = 108;
/** Marker and flag of a transaction with witnesses. */
const SEGWIT_WEIGHT = 2;
const CHANGE_SAT_MIN = 1000n;

/** Null when the coins do not suffice. */
export function buildPayment(coins: readonly Coin[], order: PaymentOrder): UnsignedPayment | null {
  const paidSat = order.outputs.reduce((sum, { value }) => sum + value, 0n);
  const chosen: Coin[] = [];
  let sumSat = 0n;
  for (const coin of coins) {
    chosen.push(coin);
    sumSat += coin.output.value;
    const payment = withChange(chosen, sumSat - paidSat, order);
    if (payment !== null) return payment;
  }
  return null;
}

function withChange(coins: readonly Coin[], leftSat: bigint, order: PaymentOrder): UnsignedPayment | null {
  const bare = draft(coins, order.outputs, order.locktime);
  const bareFeeSat = feeOf(bare, coins.length, order.feeratePerKw);
  if (leftSat < bareFeeSat) return null;
  const change = { value: sat(0), script: order.changeScript };
  const full = draft(coins, [...order.outputs, change], order.locktime);
  const feeSat = feeOf(full, coins.length, order.feeratePerKw);
  const changeSat = leftSat - feeSat;
  if (changeSat < CHANGE_SAT_MIN) return { tx: bare, coins: [...coins], feeSat: leftSat };
  const outputs = [...order.outputs, { value: changeSat as Sat, script: order.changeScript }];
  return { tx: { ...full, outputs }, coins: [...coins], feeSat };
}

function draft(coins: readonly Coin[], outputs: readonly TxOutput[], locktime: number): Transaction {
  const inputs = coins.map(({ outpoint }) => ({
    ...outpoint,
    scriptSig: buildScript(),
    sequence: SEQUENCE,
    witness: [],
  }));
  return { version: 2, inputs, outputs: [...outputs], locktime };
}

/** Rounded up. */
function feeOf(tx: Transaction, inputs: number, feeratePerKw: number): bigint {
  const total = weight(tx) + SEGWIT_WEIGHT + inputs * P2WPKH_WITNESS_WEIGHT;
  return (BigInt(total) * BigInt(feeratePerKw) + 999n) / 1000n;
}
