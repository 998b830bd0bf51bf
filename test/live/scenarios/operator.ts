/** Scenarios about what stands beside the signer: the plugin that delivers preimages, and the operator's socket. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import {
  fundWallet,
  openChannel,
  scidOf,
  waitForGossip,
  waitForNoHtlcs,
  waitForNormal,
} from '../channels.ts';
import type { Lightningd } from '../lightningd.ts';
import { checkPreimage, type Invoice, invoice, send, waitPaid } from '../payments.ts';
import type { Scenario } from '../scenario.ts';
import { eventsOf, withSigner } from '../signer-view.ts';

const FORWARDS = 4;
const OWN = 3;

/** Payment hashes whose preimages the node's signer has learned, from its audit log. */
async function learnedHashes(node: Lightningd): Promise<Set<string>> {
  return new Set((await eventsOf(node, 'preimage-learned')).map((facts) => facts.payment_hash ?? ''));
}

/** What the log of lightningd says of the plugin beyond its start. */
function complaints(node: Lightningd): string[] {
  return node
    .log()
    .split('\n')
    .filter((line) => /(UNUSUAL|BROKEN).*plugin-countersign-cln-plugin/.test(line));
}

const preimages: Scenario = {
  name: 'preimages',
  about:
    'the plugin delivers the preimage of every payment the node pays, forwards and receives, over a restart',
  unless: (_, signers) => (signers === 'none' ? 'the stock hsmd takes no preimages' : undefined),
  run: async (world, note) => {
    const delivers = true;
    const [l1, l2, l3] = await world.trio({ hsmd: 'stock' }, { hsmd: 'countersign', delivers }, {});
    await Promise.all([fundWallet(l1, 2_000_000), fundWallet(l2, 2_000_000)]);
    await openChannel(l1, l2, { push_sat: 400_000 });
    await openChannel(l2, l3, { push_sat: 400_000 });
    await world.bitcoind.mine(6);
    const [scid12, scid23] = [await scidOf(l1, l2), await scidOf(l2, l3)];
    for (const scid of [scid12, scid23]) await waitForGossip([l1, l2, l3], scid);
    const start_ms = performance.now();
    const done: Invoice[] = [];
    const one = async (
      payer: Lightningd,
      hops: Parameters<typeof send>[1],
      payee: Lightningd,
    ): Promise<void> => {
      const due = await invoice(payee, 5_000_000 + done.length);
      done.push(due);
      await send(payer, hops, due);
      await waitPaid(payer, due);
    };
    const forward = [
      { node: l2, scid: scid12 },
      { node: l3, scid: scid23 },
    ];
    for (let i = 0; i < FORWARDS; i++) await one(l1, forward, l3);
    for (let i = 0; i < OWN; i++) await one(l2, [{ node: l3, scid: scid23 }], l3);
    for (let i = 0; i < OWN; i++) await one(l1, [{ node: l2, scid: scid12 }], l2);
    note(`${((performance.now() - start_ms) / done.length).toFixed(0)} ms per payment`);
    await waitForNoHtlcs(l1, l2);
    await waitForNoHtlcs(l2, l3);
    const expected = done.map((due) => due.payment_hash);
    const learned = await learnedHashes(l2);
    deepEqual(
      expected.filter((hash) => !learned.has(hash)),
      [],
    );
    const stop_ms = performance.now();
    await l2.stop();
    note(`stops in ${(performance.now() - stop_ms).toFixed(0)} ms`);
    await l2.start();
    await waitForNormal(l2, l3);
    await one(l2, [{ node: l3, scid: scid23 }], l3);
    ok((await learnedHashes(l2)).has(done.at(-1)!.payment_hash));
    deepEqual(complaints(l2), []);
    equal(l2.ended, undefined);
  },
};

const approvals: Scenario = {
  name: 'approvals',
  about: 'with every rule at error: a payment is declined, approved by the operator, and passes; once',
  unless: (_, signers) => (signers === 'none' ? 'nobody declines' : undefined),
  run: async (world) => {
    const policy_toml = '[policy]\npreset = "hub"\n';
    const [l1, l2] = await world.pair({ hsmd: 'countersign', policy_toml }, { hsmd: 'stock' });
    await fundWallet(l2, 2_000_000);
    await openChannel(l2, l1, { push_sat: 400_000 });
    const due = await invoice(l2, 7_000_000);
    const declined = await l1.refused('xpay', { invstring: due.bolt11 });
    match(declined.message, /declined/);
    await withSigner(l1, async (client) => {
      const pending = await client.all({ op: 'pending-list' });
      deepEqual(
        pending.map((one) => [one.text('id'), one.text('amountMsat'), one.text('description')]),
        [[due.payment_hash, '7000000', 'live']],
      );
      await client.ask({ op: 'approve', target: due.payment_hash });
      const reply = await l1.call('xpay', { invstring: due.bolt11 });
      checkPreimage(due.payment_hash, reply);
      await waitForNoHtlcs(l1, l2);
      deepEqual(await client.all({ op: 'pending-list' }), []);
      ok((await client.ask({ op: 'audit-verify' })).flag('sound'));
    });
  },
};

export const OPERATOR: Scenario[] = [preimages, approvals];
