/** Coins out of blocks: found, reserved, spent, and back again after a reorganization. Payments built from them. */
import { p2wpkhOfKey, parseTransaction, type Sat, serializeTransaction, txid } from '@countersign/bitcoin';
import { EmbeddedChain } from '@countersign/playground';
import { describe, expect, it } from 'vitest';
import { buildPayment, CoinBook } from '../src/index.ts';

const OURS = p2wpkhOfKey(new Uint8Array(33).fill(2));
const THEIRS = p2wpkhOfKey(new Uint8Array(33).fill(3));
const isOurs = (script: Uint8Array): number | undefined =>
  script.every((byte, at) => byte === OURS[at]) ? 4 : undefined;

function bookOf(chain: EmbeddedChain): CoinBook {
  const book = new CoinBook(isOurs);
  for (const { raw, heightBlocks } of chain.blocksAfter(0)) book.blockConnected(raw, heightBlocks);
  return book;
}

function paid(...values: bigint[]): { chain: EmbeddedChain; book: CoinBook } {
  const chain = new EmbeddedChain(1_790_000_000);
  for (const value of values) chain.pay(OURS, value);
  chain.mine();
  return { chain, book: bookOf(chain) };
}

const order = { changeScript: OURS, feeratePerKw: 1000, locktime: 0 };
const pay = (book: CoinBook, value: bigint) =>
  buildPayment(book.spendable(), { ...order, outputs: [{ script: THEIRS, value: value as Sat }] });

describe('coins', () => {
  it('are found with what proves them, the largest first', () => {
    const { book } = paid(100_000n, 300_000n, 200_000n);
    expect(book.spendable().map(({ output }) => output.value)).toEqual([300_000n, 200_000n, 100_000n]);
    expect(book.balanceSat()).toBe(600_000n);
    for (const { outpoint, output, previous, keyIndex } of book.spendable()) {
      const tx = parseTransaction(previous);
      expect(txid(tx)).toEqual(outpoint.txid);
      expect(tx.outputs[outpoint.vout]).toEqual(output);
      expect(keyIndex).toBe(4);
    }
  });

  it('are not spendable while reserved, and are again when released', () => {
    const { book } = paid(100_000n);
    const outpoints = book.spendable().map(({ outpoint }) => outpoint);
    book.reserve(outpoints);
    expect(book.spendable()).toEqual([]);
    expect(book.balanceSat()).toBe(100_000n);
    book.release(outpoints);
    expect(book.spendable()).toHaveLength(1);
  });

  it('go with the block that is no longer in the chain', () => {
    const { chain, book } = paid(100_000n);
    book.blockDisconnected(chain.heightBlocks);
    expect(book.balanceSat()).toBe(0n);
    expect(book.heightBlocks).toBe(chain.heightBlocks - 1);
  });
});

describe('a payment', () => {
  it('takes as many coins as it needs, pays its rate, and gives change', () => {
    const { book } = paid(100_000n, 300_000n, 200_000n);
    const payment = pay(book, 400_000n);
    expect(payment?.coins.map(({ output }) => output.value)).toEqual([300_000n, 200_000n]);
    const outSat = payment?.tx.outputs.reduce((sum, { value }) => sum + value, 0n) ?? 0n;
    expect(500_000n - outSat).toBe(payment?.feeSat);
    expect(payment?.feeSat).toBeGreaterThan(700n);
    expect(payment?.feeSat).toBeLessThan(1200n);
    expect(payment?.tx.outputs).toHaveLength(2);
    expect(() => serializeTransaction(payment!.tx)).not.toThrow();
  });

  it('leaves change that is not worth an output to the fee', () => {
    const { book } = paid(100_000n);
    const payment = pay(book, 99_000n);
    expect(payment?.tx.outputs).toHaveLength(1);
    expect(payment?.feeSat).toBe(1000n);
  });

  it('is none when the coins do not suffice', () => {
    expect(pay(paid(100_000n).book, 99_900n)).toBeNull();
  });
});
