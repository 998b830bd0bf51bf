/**
 * Paid hashes and invoices of ours leave the record when the chain's own time says that nobody takes a payment for them any more (rules,
 * law 3; A43): not before, not by another clock, and nothing of what still stands or was never paid for.
 */
import { msat, sha256, toHex } from '@countersign/bitcoin';
import { EMPTY_PAYMENT, type PaymentApproval, type PaymentRecord, paymentRecords } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { LOOKED_AT_MAX } from '../src/payments/retire.ts';
import { TOMBSTONE_SECONDS } from '../src/payments/retirement.ts';
import { ChainedSigner, idsIn } from './chained-signer.ts';
import { bolt11, CREATED_AT_SECONDS, PAYEE } from './invoices.ts';
import { partWith } from './payment-part.ts';
import { put } from './spending-model.ts';

/** Hashes of which block `height` is the one that looks at them. */
const hashAt = (heightBlocks: number, n = 0): string =>
  (heightBlocks % 256).toString(16).padStart(2, '0') + toHex(sha256(Uint8Array.of(n, n >> 8))).slice(2);

const approval: PaymentApproval = {
  kind: 'invoice',
  amountMsat: msat(1_000_000n),
  feeBudgetMsat: msat(50_000n),
  payee: PAYEE,
  source: 'operator',
  approvedAtSeconds: CREATED_AT_SECONDS,
  expiresAtSeconds: CREATED_AT_SECONDS + 86_400,
  keepUntilSeconds: 0,
};
const paid = (keepUntilSeconds: number): PaymentRecord => ({
  ...EMPTY_PAYMENT,
  approval: { ...approval, keepUntilSeconds },
  settledMsat: 1_000_000n,
  usedMsat: 1_000_000n,
});

/** Blocks until 30 are there. */
const chained = () => new ChainedSigner().mineEmpty(30);
const at = (signer: ChainedSigner, hash: string) => signer.read(paymentRecords, hash);
const retiredEvents = (signer: ChainedSigner) =>
  signer.events.filter(({ event }) => event === 'payments-retired').map(({ facts }) => facts);

describe('a paid hash', () => {
  it('goes in the block whose turn it is, once the median time is past', () => {
    const signer = chained();
    const { medianTimeSeconds, heightBlocks } = signer.view;
    const next = heightBlocks + 1;
    const hash = hashAt(next);
    // The median of the next block is one block's time later.
    put(signer, paymentRecords, hash, paid(medianTimeSeconds + 599));
    put(signer, paymentRecords, hashAt(next + 1), paid(medianTimeSeconds));
    signer.mineEmpty(1);
    expect(at(signer, hash)).toBeNull();
    expect(at(signer, hashAt(next + 1))).not.toBeNull();
    expect(retiredEvents(signer)).toEqual([{ payments: 1, height: next }]);
    signer.mineEmpty(1);
    expect(at(signer, hashAt(next + 1))).toBeNull();
  });

  it('stays while the median time is not past it, whatever the signer’s own clock says', () => {
    const signer = chained();
    const hash = hashAt(31);
    put(signer, paymentRecords, hash, paid(signer.view.medianTimeSeconds + 600));
    signer.nowSeconds = CREATED_AT_SECONDS + 10 * 365 * 86_400;
    signer.mineEmpty(1);
    expect(at(signer, hash)).not.toBeNull();
    signer.mineEmpty(255);
    expect(at(signer, hash)).not.toBeNull();
    signer.mineEmpty(1);
    expect(at(signer, hash)).toBeNull();
  });

  it.each([
    ['something of it stands', { parts: [partWith({ channel: 'a' })] }],
    [
      'it is an invoice of ours too, which has not expired',
      { invoice: { amountMsat: null, expiresAtSeconds: 2 ** 40 } },
    ],
    ['it went out without cover or approval', { approval: null, settledMsat: 2n }],
    ['its approval is not used and not expired', { settledMsat: 0n, usedMsat: 0n }],
  ])('stays when %s', (_, change) => {
    const signer = chained();
    signer.nowSeconds = CREATED_AT_SECONDS;
    put(signer, paymentRecords, hashAt(31), { ...paid(1), ...change });
    signer.mineEmpty(1 + 256);
    expect(at(signer, hashAt(31))).not.toBeNull();
    expect(retiredEvents(signer)).toEqual([]);
  });

  it('stays while the view is behind: only the newest block looks', () => {
    const signer = chained();
    put(signer, paymentRecords, hashAt(31), paid(1));
    signer.mined.extendBy(2);
    signer.follow();
    expect(at(signer, hashAt(31))).not.toBeNull();
    signer.mineEmpty(254);
    expect(at(signer, hashAt(31))).not.toBeNull();
    signer.mineEmpty(1);
    expect(at(signer, hashAt(31))).toBeNull();
  });

  it('is paid again only by a new approval, which an expired invoice does not get', () => {
    const signer = chained();
    signer.set = { approvals: { auto: 'all', autoPaymentVelocity: null, expirySeconds: 86_400 } };
    const invstring = bolt11();
    const ask = { name: 'hsmd_preapprove_invoice', invstring } as const;
    signer.nowSeconds = CREATED_AT_SECONDS + 60;
    signer.ask(ask);
    const [hash] = idsIn(signer.state, paymentRecords.name, '');
    signer.mined.extend([], { timeSeconds: signer.nowSeconds });
    signer.follow();
    const record = at(signer, hash!)!;
    put(signer, paymentRecords, hash!, { ...record, usedMsat: 1_000n, settledMsat: 1_000n });
    // Used: the same question gets its answer, and the record is as it was.
    signer.ask(ask);
    expect(at(signer, hash!)).toMatchObject({ usedMsat: 1_000n, settledMsat: 1_000n });
    signer.nowSeconds = record.approval!.keepUntilSeconds + 300 * 600;
    signer.mined.extend([], { timeSeconds: record.approval!.keepUntilSeconds + 1 });
    for (let i = 0; i < 6 + 256; i++) signer.mineEmpty(1);
    expect(at(signer, hash!)).toBeNull();
    expect(signer.refused(ask).tag).toBe('policy-invoice-not-expired');
    expect(at(signer, hash!)).toBeNull();
  });
});

describe('an invoice of ours', () => {
  const invoice = (expiresAtSeconds: number) => ({
    ...EMPTY_PAYMENT,
    invoice: { amountMsat: msat(5n), expiresAtSeconds },
    preimage: new Uint8Array(32),
    creditedMsat: 5n,
    incomeMsat: 5n,
  });

  it('goes a week after it has expired', () => {
    for (const [later, isGone] of [
      [599, true],
      [600, false],
    ] as const) {
      const signer = chained();
      const { medianTimeSeconds } = signer.view;
      put(signer, paymentRecords, hashAt(31), invoice(medianTimeSeconds + later - TOMBSTONE_SECONDS));
      signer.mineEmpty(1);
      expect(at(signer, hashAt(31)) === null).toBe(isGone);
    }
  });
});

describe('many that begin alike', () => {
  it('are looked at some at a time, and all of them in the end', () => {
    const signer = chained();
    const many = Array.from({ length: LOOKED_AT_MAX + 10 }, (_, n) => hashAt(31, n));
    for (const hash of many) put(signer, paymentRecords, hash, paid(1));
    const left = () => many.filter((hash) => at(signer, hash) !== null).length;
    signer.mineEmpty(1);
    expect(left()).toBe(10);
    for (let i = 0; i < 256; i++) signer.mineEmpty(1);
    expect(left()).toBe(0);
    expect(retiredEvents(signer)).toEqual([
      { payments: LOOKED_AT_MAX, height: 31 },
      { payments: 10, height: 31 + 256 },
    ]);
  });
});
