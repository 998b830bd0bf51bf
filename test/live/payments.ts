/** Payments as the scenarios make them. Promises that a payment that returns is complete, with its preimage checked. */
import { createHash, randomBytes } from 'node:crypto';
import { type JsonValue, listAt, textAt } from './json-value.ts';
import type { Lightningd } from './lightningd.ts';
import { until } from './wait.ts';

const PAY_TIMEOUT_MS = 60_000;

export interface Invoice {
  readonly bolt11: string;
  readonly payment_hash: string;
  readonly payment_secret: string;
  readonly amount_msat: number;
}

export function newLabel(): string {
  return randomBytes(8).toString('hex');
}

export async function invoice(payee: Lightningd, amount_msat: number): Promise<Invoice> {
  const reply = await payee.call('invoice', {
    amount_msat,
    label: newLabel(),
    description: 'live',
    exposeprivatechannels: true,
  });
  return {
    bolt11: textAt(reply, 'bolt11'),
    payment_hash: textAt(reply, 'payment_hash'),
    payment_secret: textAt(reply, 'payment_secret'),
    amount_msat,
  };
}

/** The preimage of a completed payment must be the hash's. */
export function checkPreimage(payment_hash: string, reply: JsonValue): void {
  const preimage = textAt(reply, 'payment_preimage');
  const hash = createHash('sha256').update(Buffer.from(preimage, 'hex')).digest('hex');
  if (hash !== payment_hash) throw new TypeError(`${preimage} is not the preimage of ${payment_hash}`);
}

/** Pays an invoice of `payee` with xpay, which chooses the route. */
export async function pay(payer: Lightningd, payee: Lightningd, amount_msat: number): Promise<void> {
  const due = await invoice(payee, amount_msat);
  const reply = await payer.call('xpay', { invstring: due.bolt11 }, PAY_TIMEOUT_MS);
  checkPreimage(due.payment_hash, reply);
}

export interface Hop {
  readonly node: Lightningd;
  readonly scid: string;
}

/** Sends the HTLC along the hops without waiting for the end. Each forwarder gets 10 sat and 6 blocks. */
export async function send(payer: Lightningd, hops: Hop[], due: Invoice): Promise<void> {
  const last = hops.length - 1;
  const route = hops.map((hop, i) => ({
    id: hop.node.id,
    channel: hop.scid,
    delay: 12 + 6 * (last - i),
    amount_msat: due.amount_msat + 10_000 * (last - i),
  }));
  await payer.call('sendpay', {
    route,
    payment_hash: due.payment_hash,
    payment_secret: due.payment_secret,
    amount_msat: due.amount_msat,
    bolt11: due.bolt11,
  });
}

/** Waits for the end of a payment begun with `send`. */
export async function waitPaid(payer: Lightningd, due: Invoice): Promise<void> {
  const reply = await payer.call(
    'waitsendpay',
    { payment_hash: due.payment_hash, timeout: PAY_TIMEOUT_MS / 1000 },
    PAY_TIMEOUT_MS + 5_000,
  );
  checkPreimage(due.payment_hash, reply);
}

/** Waits until the payee's hold plugin has so many HTLCs. */
export async function waitHeld(payee: Lightningd, htlcs: number): Promise<void> {
  await until(`${payee.name} to hold ${htlcs} HTLCs`, 20_000, async () => {
    return listAt(await payee.call('live-held'), 'held').length >= htlcs;
  });
}

/** The state of the payment in `listsendpays`: pending, complete or failed. */
export async function paymentStatus(payer: Lightningd, payment_hash: string): Promise<string> {
  return textAt(await payer.call('listsendpays', { payment_hash }), 'payments', -1, 'status');
}
