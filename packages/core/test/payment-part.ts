/** The part of a payment in one channel, as numbers: for tests of records and sums. */
import type { PaymentPart } from '@countersign/core';
import { NO_BASE } from '../src/payments/part.ts';

/** A part of channel `c` in which there is nothing but these. */
export const partWith = (amounts: Partial<PaymentPart> = {}): PaymentPart => ({
  channel: 'c',
  outMsat: 0n,
  inMsat: 0n,
  standingMsat: 0n,
  creditMaxMsat: 0n,
  ...NO_BASE,
  outgoing: [],
  incoming: [],
  ...amounts,
});
