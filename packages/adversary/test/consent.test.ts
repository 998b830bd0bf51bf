/** Fees that the owner agreed to: at most so much for the weight, and none where nobody can tell what a transaction spends. */
import type { OwnerTerms } from '@countersign/adversary';
import { describe, expect, it } from 'vitest';
import type { Tx, TxOutput } from '../src/bitcoin/transaction.ts';
import { Book } from '../src/referee/book.ts';
import { Coins, type Reader } from '../src/referee/coins.ts';
import { Payments } from '../src/referee/payments.ts';

const terms = { onchainFeeratePerKwMax: 50_000, onchainFeeSatMax: 200_000 } as OwnerTerms;
const script = new Uint8Array(22);

/** Spends an anchor of 330 sat and a coin of 100,000 sat, with a fee of 2,330 sat. */
const input = (byte: number) => ({
  txid: new Uint8Array(32).fill(byte),
  vout: 0,
  scriptSig: new Uint8Array(0),
  sequence: 0,
  witness: [],
});
const child: Tx = {
  version: 2,
  inputs: [input(1), input(2)],
  outputs: [{ value: 98_000n, script }],
  locktime: 0,
};

function consentWith(known: readonly (bigint | undefined)[]) {
  const outputs = known.map((value): TxOutput | undefined =>
    value === undefined ? value : { value, script },
  );
  const reader: Reader = {
    ownerScript: () => ({ delayed: null }),
    fundingOf: () => undefined,
    spliceOf: () => undefined,
    endingOf: () => undefined,
    outputAt: ({ txid }) => outputs[txid[0]! - 1],
    lossOf: () => 0,
    isApproved: () => false,
  };
  return new Coins(new Book(), reader, new Payments(), terms).consent('child', child);
}

describe('the fee of a spend', () => {
  it('is agreed to although the commitment that it bumps is in no block yet', () => {
    expect(consentWith([330n, 100_000n])).toEqual({ approvedSat: 0, feeSat: 2_330 });
  });

  it('is agreed to up to the rate, and not where an input is unknown', () => {
    const { feeSat } = consentWith([330n, 1_000_000n]);
    expect(feeSat).toBeGreaterThan(2_330);
    expect(feeSat).toBeLessThan(100_000);
    expect(consentWith([undefined, 100_000n]).feeSat).toBe(0);
  });
});
