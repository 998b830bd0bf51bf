/** The referee's reading of BOLT 11 against invoices that another part of the project writes. */
import { bech32 } from '@scure/base';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { toHex } from '../../bitcoin/src/index.ts';
import { bolt11, PAYEE } from '../../core/test/invoices.ts';
import { readInvoice } from '../src/referee/invoice.ts';

const hash = new Uint8Array(32).fill(7);

it('BOLT 11: amount, payment hash and payee', () => {
  for (const [hrp, amountMsat] of [
    ['lnbcrt', null],
    ['lnbcrt20m', 2_000_000_000n],
    ['lnbc2500u', 250_000_000n],
    ['lntb9678785340p', 967_878_534n],
    ['lnbcrt25n', 2_500n],
  ] as const) {
    expect(readInvoice(bolt11({ hrp, hash, createdAtSeconds: 1_700_000_000 }))).toEqual({
      amountMsat,
      hash: toHex(hash),
      payee: PAYEE,
    });
  }
});

it('BOLT 11: what is no invoice approves nothing', () => {
  const text = bolt11({ hrp: 'lnbcrt20m', hash, createdAtSeconds: 1_700_000_000 });
  expect(readInvoice('')).toBeUndefined();
  expect(readInvoice(text.slice(0, -1))).toBeUndefined();
  expect(readInvoice(text.replace('lnbcrt', 'lnxy'))).toBeUndefined();
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (any) => {
      expect(readInvoice(any)).toBeUndefined();
      expect(readInvoice(`lnbcrt1${any}`)).toBeUndefined();
    }),
  );
});

it('BOLT 11: a changed invoice has another payee', () => {
  const one = bolt11({ hrp: 'lnbcrt20m', hash, createdAtSeconds: 1_700_000_000 });
  const other = bolt11({ hrp: 'lnbcrt30m', hash, createdAtSeconds: 1_700_000_000 });
  expect(toHex(readInvoice(one)!.payee)).toBe(toHex(readInvoice(other)!.payee));
  // The signature of one under the amount of the other, with its checksum made right.
  const forged = forge(one, 'lnbcrt30m');
  expect(toHex(readInvoice(forged)?.payee ?? new Uint8Array(0))).not.toBe(toHex(PAYEE));
});

function forge(invoice: string, hrp: string): string {
  const { words } = bech32.decode(invoice as `${string}1${string}`, 2000);
  return bech32.encode(hrp, words, 2000);
}
