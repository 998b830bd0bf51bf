/**
 * policy-routing-cltv-delta: what was received for good covers no new HTLC in time, unless the preimage is known, with which
 * everything that stands can be claimed at once.
 */
import { msat } from '@countersign/bitcoin';
import { expect, it } from 'vitest';
import type { Context } from '../src/context.ts';
import type { PaymentStep } from '../src/payments/judge.ts';
import { EMPTY_PAYMENT, type PaymentRecord } from '../src/records/payment.ts';
import { lateStep } from '../src/time/forwards.ts';
import { partWith } from './payment-part.ts';

const AMOUNT_MSAT = msat(24_036_000n);
const OUTGOING_EXPIRY = 235;
const CLTV_DELTA_BLOCKS = 6;

/** One HTLC was credited before anything went out; another stands, until `incomingExpiry`. */
function before(incomingExpiry: number, preimage: Uint8Array | null): PaymentRecord {
  const incoming = [{ cltvExpiry: incomingExpiry, amountMsat: AMOUNT_MSAT }];
  const received = partWith({ inMsat: 2n * AMOUNT_MSAT, creditMaxMsat: AMOUNT_MSAT, incoming });
  return { ...EMPTY_PAYMENT, preimage, incomeMsat: AMOUNT_MSAT, parts: [received] };
}

function missingOf(record: PaymentRecord): bigint {
  const outgoing = [{ cltvExpiry: OUTGOING_EXPIRY, amountMsat: AMOUNT_MSAT }];
  const after = {
    ...record,
    parts: [...record.parts, partWith({ channel: 'two', outMsat: AMOUNT_MSAT, outgoing })],
  };
  const step = { before: record, limits: { cltvDeltaBlocks: CLTV_DELTA_BLOCKS } } as PaymentStep;
  return lateStep({ nowSeconds: 0 } as Context, step, after)?.missingMsat ?? 0n;
}

it('trips where only income is there in time', () => {
  expect(missingOf(before(OUTGOING_EXPIRY, null))).toBe(AMOUNT_MSAT);
  expect(missingOf(before(OUTGOING_EXPIRY + CLTV_DELTA_BLOCKS - 1, null))).toBe(AMOUNT_MSAT);
});

it('passes with an HTLC that stands for long enough, and with the preimage', () => {
  expect(missingOf(before(OUTGOING_EXPIRY + CLTV_DELTA_BLOCKS, null))).toBe(0n);
  expect(missingOf(before(OUTGOING_EXPIRY, new Uint8Array(32)))).toBe(0n);
});
