/** Scenarios about restarts and crashes of the node and of its hsmd while payments are under way. */
import { equal, ok } from 'node:assert/strict';
import { fundWallet, openChannel, scidOf, waitForConnection, waitForNoHtlcs } from '../channels.ts';
import { find, listAt, textAt } from '../json-value.ts';
import type { Lightningd } from '../lightningd.ts';
import { type Invoice, invoice, pay, paymentStatus, send, waitHeld, waitPaid } from '../payments.ts';
import type { Scenario } from '../scenario.ts';
import { until } from '../wait.ts';

async function reconnected(l1: Lightningd, l2: Lightningd): Promise<void> {
  await waitForConnection(l1, l2);
  await waitForConnection(l2, l1);
}

const restart: Scenario = {
  name: 'restart-in-payment',
  about: 'payer, then payee stopped and started while an HTLC is held; the payment completes',
  run: async (world) => {
    const [l1, l2] = await world.pair({ holds: true }, { holds: true });
    await fundWallet(l1, 2_000_000);
    await openChannel(l1, l2, { push_sat: 400_000 });
    const scid = await scidOf(l1, l2);
    for (const [payer, payee] of [
      [l1, l2],
      [l2, l1],
    ] as const) {
      const due = await invoice(payee, 25_000_000);
      await payee.call('live-hold-on');
      await send(payer, [{ node: payee, scid }], due);
      await waitHeld(payee, 1);
      await payer.stop();
      await payer.start();
      await reconnected(l1, l2);
      equal(await paymentStatus(payer, due.payment_hash), 'pending');
      await payee.stop();
      await payee.start('polling', ['--live-hold=on']);
      await reconnected(l1, l2);
      await waitHeld(payee, 1);
      await payee.call('live-release');
      await waitPaid(payer, due);
    }
    await waitForNoHtlcs(l1, l2);
  },
};

/** Starts payments one after another until the payer goes away, and gives those that were begun. */
async function payUntilGone(payer: Lightningd, payee: Lightningd, scid: string): Promise<Invoice[]> {
  const begun: Invoice[] = [];
  try {
    for (;;) {
      const due = await invoice(payee, 1_000_000 + begun.length);
      begun.push(due);
      await send(payer, [{ node: payee, scid }], due);
    }
  } catch {
    return begun;
  }
}

/** After the crash and with no HTLC in flight, a payment must be complete at its payer exactly when its payee has it. One that
 *  was never committed stays `pending` in lightningd's list, with any hsmd. Gives how many were completed. */
async function waitConsistent(payer: Lightningd, payee: Lightningd, begun: Invoice[]): Promise<number> {
  await waitForNoHtlcs(payer, payee);
  const completedAt = async (due: Invoice): Promise<[boolean, boolean]> => {
    const known = await payer.call('listsendpays', { payment_hash: due.payment_hash });
    const invoiced = await payee.call('listinvoices', { payment_hash: due.payment_hash });
    const sent = listAt(known, 'payments').some((one) => find(one, 'status') === 'complete');
    return [sent, textAt(invoiced, 'invoices', 0, 'status') === 'paid'];
  };
  return until('payments to be the same on both sides', 20_000, async () => {
    const ends = await Promise.all(begun.map(completedAt));
    return ends.every(([sent, received]) => sent === received)
      ? ends.filter(([sent]) => sent).length
      : undefined;
  });
}

const killed: Scenario = {
  name: 'hsmd-killed',
  about:
    'SIGKILL of the hsmd amid payments, four times at payer and payee: the node ends, restarts, all consistent',
  run: async (world, note) => {
    const [l1, l2] = await world.pair({ hsmd: 'countersign' }, {});
    await fundWallet(l1, 2_000_000);
    await openChannel(l1, l2, { push_sat: 450_000 });
    const scid = await scidOf(l1, l2);
    let begun_total = 0;
    let completed = 0;
    for (const [payer, payee, delay_ms] of [
      [l1, l2, 150],
      [l2, l1, 230],
      [l1, l2, 310],
      [l2, l1, 370],
    ] as const) {
      const pid = l1.hsmdPid();
      const timer = setTimeout(() => process.kill(pid, 'SIGKILL'), delay_ms);
      const paying = payUntilGone(payer, payee, scid);
      const start_ms = performance.now();
      await l1.waitForEnd(10_000);
      ok(performance.now() - start_ms < 8_000, 'lightningd outlives its hsmd');
      clearTimeout(timer);
      const begun = await paying;
      await l1.start();
      await reconnected(l1, l2);
      completed += await waitConsistent(payer, payee, begun);
      begun_total += begun.length;
    }
    await pay(l1, l2, 1_000_000);
    note(`${completed} of ${begun_total} payments begun were completed`);
  },
};

const both: Scenario = {
  name: 'restart-both',
  about: 'both nodes crash together amid payments, then stop and start together; Countersign signs for both',
  run: async (world) => {
    const [l1, l2] = await world.pair({ hsmd: 'countersign' }, { hsmd: 'countersign' });
    await fundWallet(l1, 2_000_000);
    await openChannel(l1, l2, { push_sat: 400_000 });
    const scid = await scidOf(l1, l2);
    const paying = payUntilGone(l1, l2, scid);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await Promise.all([l1.crash(), l2.crash()]);
    const begun = await paying;
    await Promise.all([l1.start(), l2.start()]);
    await reconnected(l1, l2);
    await waitConsistent(l1, l2, begun);
    await Promise.all([l1.stop(), l2.stop()]);
    await Promise.all([l1.start(), l2.start()]);
    await reconnected(l1, l2);
    await pay(l1, l2, 5_000_000);
    await pay(l2, l1, 5_000_000);
  },
};

const plain: Scenario = {
  name: 'plain',
  about: 'without --developer, as operators run it: open, pay both ways, restart, mutual close',
  run: async (world) => {
    const [l1, l2] = await world.pair({}, {});
    await fundWallet(l1, 2_000_000);
    await Promise.all([l1.stop(), l2.stop()]);
    await Promise.all([l1.start('plain'), l2.start('plain')]);
    await l1.call('connect', { id: l2.id, host: '127.0.0.1', port: l2.port });
    await l1.call('fundchannel', { id: l2.id, amount: 1_000_000, push_msat: 300_000_000 });
    await world.bitcoind.mempoolOf(1);
    await world.bitcoind.mine(1);
    // At a start lightningd looks for new blocks at once, otherwise only every 30 s.
    const again = async (): Promise<void> => {
      await Promise.all([l1.stop(), l2.stop()]);
      await Promise.all([l1.start('plain'), l2.start('plain')]);
    };
    await again();
    await reconnected(l1, l2);
    for (let i = 0; i < 5; i++) {
      await pay(l1, l2, 10_000_000);
      await pay(l2, l1, 5_000_000);
    }
    equal(textAt(await l1.call('close', { id: l2.id }), 'type'), 'mutual');
    await world.bitcoind.mempoolOf(1);
    await world.bitcoind.mine(1);
    await again();
    await until('the close to be seen', 20_000, async () => {
      return textAt(await l1.call('listpeerchannels'), 'channels', 0, 'state') === 'ONCHAIN';
    });
  },
};

export const RESTARTS: Scenario[] = [restart, killed, both, plain];
