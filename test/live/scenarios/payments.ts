/** Scenarios about payments over open channels: many, forwarded, spontaneous, and by offers. */
import { equal } from 'node:assert/strict';
import { balance_msat, fundWallet, openChannel, scidOf, waitForGossip, waitForNoHtlcs } from '../channels.ts';
import { find, listAt, textAt } from '../json-value.ts';
import type { Lightningd } from '../lightningd.ts';
import { checkPreimage, invoice, newLabel, pay, send, waitPaid } from '../payments.ts';
import type { Scenario } from '../scenario.ts';
import { until } from '../wait.ts';
import type { World } from '../world.ts';

const PAYMENTS = 50;

async function payMany(payer: Lightningd, payee: Lightningd, scid: string): Promise<number> {
  const start_ms = performance.now();
  for (let i = 0; i < PAYMENTS; i++) {
    const due = await invoice(payee, 1_000_000 + i);
    await send(payer, [{ node: payee, scid }], due);
    await waitPaid(payer, due);
  }
  return performance.now() - start_ms;
}

const payments: Scenario = {
  name: 'payments-50',
  about: '50 payments in each direction, one after another',
  run: async (world, note) => {
    const [l1, l2] = await world.pair();
    await fundWallet(l1, 2_000_000);
    await openChannel(l1, l2, { push_sat: 400_000 });
    const scid = await scidOf(l1, l2);
    const before = await balance_msat(l1, l2);
    const there_ms = await payMany(l1, l2, scid);
    const back_ms = await payMany(l2, l1, scid);
    await waitForNoHtlcs(l1, l2);
    equal(await balance_msat(l1, l2), before);
    note(
      `${(PAYMENTS / (there_ms / 1000)).toFixed(1)}/s there, ${(PAYMENTS / (back_ms / 1000)).toFixed(1)}/s back`,
    );
  },
};

const parallel: Scenario = {
  name: 'payments-parallel',
  about: '30 payments in each direction, all in flight together',
  run: async (world, note) => {
    const [l1, l2] = await world.pair();
    await fundWallet(l1, 2_000_000);
    await openChannel(l1, l2, { push_sat: 400_000 });
    const scid = await scidOf(l1, l2);
    const start_ms = performance.now();
    const one = async (payer: Lightningd, payee: Lightningd, i: number): Promise<void> => {
      const due = await invoice(payee, 2_000_000 + i);
      await send(payer, [{ node: payee, scid }], due);
      await waitPaid(payer, due);
    };
    const turns = Array.from({ length: 30 }, (_, i) => i);
    await Promise.all(turns.flatMap((i) => [one(l1, l2, i), one(l2, l1, i)]));
    await waitForNoHtlcs(l1, l2);
    note(`${(60 / ((performance.now() - start_ms) / 1000)).toFixed(1)}/s`);
  },
};

interface Line {
  readonly l1: Lightningd;
  readonly l2: Lightningd;
  readonly l3: Lightningd;
  readonly scid12: string;
  readonly scid23: string;
}

/** l1 — l2 — l3 with announced channels that every node knows; Countersign signs for the one in the middle. */
async function line(world: World): Promise<Line> {
  const [l1, l2, l3] = await world.trio({ hsmd: 'stock' }, { hsmd: 'countersign' }, {});
  await Promise.all([fundWallet(l1, 2_000_000), fundWallet(l2, 2_000_000)]);
  await openChannel(l1, l2, { push_sat: 400_000 });
  await openChannel(l2, l3, { push_sat: 400_000 });
  await world.bitcoind.mine(6);
  const scid12 = await scidOf(l1, l2);
  const scid23 = await scidOf(l2, l3);
  for (const scid of [scid12, scid23]) await waitForGossip([l1, l2, l3], scid);
  return { l1, l2, l3, scid12, scid23 };
}

const forwards: Scenario = {
  name: 'forwards',
  about: 'three nodes, the middle one forwards: one by one, both ways, 16 in parallel, and one that fails',
  run: async (world) => {
    const { l1, l2, l3, scid12, scid23 } = await line(world);
    await pay(l1, l3, 5_000_000);
    await pay(l3, l1, 5_000_000);
    const there = [
      { node: l2, scid: scid12 },
      { node: l3, scid: scid23 },
    ];
    const back = [
      { node: l2, scid: scid23 },
      { node: l1, scid: scid12 },
    ];
    const one = async (forth: boolean, i: number): Promise<void> => {
      const due = await invoice(forth ? l3 : l1, 1_500_000 + i);
      await send(forth ? l1 : l3, forth ? there : back, due);
      await waitPaid(forth ? l1 : l3, due);
    };
    const turns = Array.from({ length: 8 }, (_, i) => i);
    await Promise.all(turns.flatMap((i) => [one(true, i), one(false, i)]));
    const unknown = await invoice(l3, 1_000_000);
    await l3.call('delinvoice', {
      label: textAt(
        await l3.call('listinvoices', { payment_hash: unknown.payment_hash }),
        'invoices',
        0,
        'label',
      ),
      status: 'unpaid',
    });
    await send(l1, there, unknown);
    const error = await l1.refused('waitsendpay', { payment_hash: unknown.payment_hash, timeout: 30 });
    equal(error.code, 203);
    const settled = listAt(await l2.call('listforwards', { status: 'settled' }), 'forwards');
    equal(settled.length, 18);
  },
};

const keysend: Scenario = {
  name: 'keysend',
  about: 'spontaneous payments with keysend and xkeysend, direct and over a forwarder',
  run: async (world) => {
    const { l1, l2, l3 } = await line(world);
    for (const method of ['keysend', 'xkeysend']) {
      const reply = await l1.call(method, { destination: l3.id, amount_msat: 3_000_000 });
      textAt(reply, 'payment_preimage');
      textAt(await l2.call(method, { destination: l1.id, amount_msat: 2_000_000 }), 'payment_preimage');
    }
    const received = listAt(await l3.call('listinvoices'), 'invoices');
    equal(received.filter((one) => find(one, 'status') === 'paid').length, 2);
  },
};

const bolt12: Scenario = {
  name: 'bolt12',
  about: 'offer, fetchinvoice and payment; a refund by invoicerequest and sendinvoice; over a forwarder',
  run: async (world) => {
    const { l1, l2, l3 } = await line(world);
    for (const [payer, payee] of [
      [l1, l3],
      [l1, l2],
      [l2, l1],
    ] as const) {
      const offer = await payee.call('offer', { amount: 'any', description: 'live', label: newLabel() });
      const fetched = await payer.call('fetchinvoice', {
        offer: textAt(offer, 'bolt12'),
        amount_msat: 4_000_000,
      });
      const bolt12_text = textAt(fetched, 'invoice');
      const hash = textAt(await payer.call('decode', { string: bolt12_text }), 'invoice_payment_hash');
      checkPreimage(hash, await payer.call('xpay', { invstring: bolt12_text }));
    }
    const request = await l2.call('invoicerequest', { amount: 2_000_000, description: 'refund' });
    const sent = await l1.call('sendinvoice', {
      invreq: textAt(request, 'bolt12'),
      label: newLabel(),
    });
    await until('the refund to arrive', 20_000, async () => {
      const label = textAt(sent, 'label');
      return textAt(await l1.call('listinvoices', { label }), 'invoices', 0, 'status') === 'paid';
    });
  },
};

export const PAYMENTS_SCENARIOS: Scenario[] = [payments, parallel, forwards, keysend, bolt12];
