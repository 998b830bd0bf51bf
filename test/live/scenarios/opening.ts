/** Scenarios about opening channels: single-funded, announced, in one transaction for two peers, and without anchors. */
import { equal } from 'node:assert/strict';
import {
  balance_msat,
  channelWith,
  connect,
  fundWallet,
  openChannel,
  scidOf,
  waitForNormal,
} from '../channels.ts';
import { find, listAt, textAt } from '../json-value.ts';
import { sweepToTheEnd } from '../onchain.ts';
import { invoice, pay, paymentStatus, send, waitHeld } from '../payments.ts';
import type { Scenario } from '../scenario.ts';
import { until } from '../wait.ts';

const open: Scenario = {
  name: 'open',
  about: 'single-funded open, announced: funding, channel and node announcements, first payment',
  run: async (world) => {
    const [l1, l2] = await world.pair();
    await fundWallet(l1, 2_000_000);
    await openChannel(l1, l2, { amount_sat: 1_000_000, push_sat: 200_000, announced: true });
    equal(await balance_msat(l1, l2), 800_000_000);
    equal(await balance_msat(l2, l1), 200_000_000);
    await pay(l1, l2, 1_000_000);
    await pay(l2, l1, 1_000_000);
    for (const node of [l1, l2]) {
      await until(`node announcements at ${node.name}`, 30_000, async () => {
        const nodes = listAt(await node.call('listnodes'), 'nodes');
        return nodes.filter((one) => find(one, 'alias') !== undefined).length === 2;
      });
    }
  },
};

const multifund: Scenario = {
  name: 'open-multi',
  about: 'multifundchannel: one transaction opens a channel to each of two peers',
  run: async (world) => {
    const [l1, l2, l3] = await world.trio({}, {}, {});
    await fundWallet(l1, 3_000_000, 2);
    const destinations = [l2, l3].map((peer) => ({
      id: `${peer.id}@127.0.0.1:${peer.port}`,
      amount: 1_000_000,
      push_msat: 100_000_000,
    }));
    await l1.call('multifundchannel', { destinations });
    await world.bitcoind.mempoolOf(1);
    await world.bitcoind.mine(1);
    for (const peer of [l2, l3]) {
      await waitForNormal(l1, peer);
      await pay(l1, peer, 50_000_000);
      await pay(peer, l1, 20_000_000);
    }
  },
};

const external: Scenario = {
  name: 'open-external-psbt',
  about:
    'fundchannel_start, a PSBT made with utxopsbt and signed with signpsbt, fundchannel_complete, sendpsbt',
  run: async (world) => {
    const [l1, l2] = await world.pair();
    await fundWallet(l1, 2_000_000);
    await connect(l1, l2);
    const start = await l1.call('fundchannel_start', { id: l2.id, amount: 1_000_000 });
    const outputs = [{ [textAt(start, 'funding_address')]: 1_000_000 }];
    const made = await l1.call('txprepare', { outputs });
    const psbt = textAt(made, 'psbt');
    await l1.call('fundchannel_complete', { id: l2.id, psbt });
    await l1.call('txsend', { txid: textAt(made, 'txid') });
    await world.bitcoind.mempoolOf(1);
    await world.bitcoind.mine(1);
    await waitForNormal(l1, l2);
    await pay(l1, l2, 100_000_000);
  },
};

const staticRemotekey: Scenario = {
  name: 'static-remotekey',
  about: 'a channel without anchors: payments both ways, unilateral close with an HTLC pending, all swept',
  run: async (world) => {
    const options = ['--dev-force-features=-23'];
    const [l1, l2] = await world.pair({ options, holds: true }, { options, holds: true });
    await fundWallet(l1, 2_000_000);
    await openChannel(l1, l2, { push_sat: 300_000 });
    equal(
      JSON.stringify(find(await channelWith(l1, l2), 'channel_type', 'names')),
      '["static_remotekey/even"]',
    );
    await pay(l1, l2, 10_000_000);
    await pay(l2, l1, 5_000_000);
    await l2.call('live-hold-on');
    const due = await invoice(l2, 20_000_000);
    await send(l1, [{ node: l2, scid: await scidOf(l1, l2) }], due);
    await waitHeld(l2, 1);
    await l1.call('close', { id: l2.id, unilateraltimeout: 1 });
    await sweepToTheEnd([l1, l2]);
    equal(await paymentStatus(l1, due.payment_hash), 'failed');
  },
};

export const OPENING: Scenario[] = [open, multifund, external, staticRemotekey];
