/** Scenarios behind lightningd's experimental options: dual-funded opens with a fee bump, leased channels, splices. */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { balance_msat, channelWith, connect, fundWallet, openChannel, waitForNormal } from '../channels.ts';
import { find, type JsonValue, listAt, textAt } from '../json-value.ts';
import type { Lightningd } from '../lightningd.ts';
import { sweepToTheEnd, walletSat } from '../onchain.ts';
import { pay } from '../payments.ts';
import { LostError, RpcError } from '../rpc.ts';
import type { Scenario } from '../scenario.ts';
import { until } from '../wait.ts';
import type { World } from '../world.ts';

const DUAL_FUND = ['--experimental-dual-fund'];
const MATCHING = [
  ...DUAL_FUND,
  '--funder-policy=match',
  '--funder-policy-mod=100',
  '--funder-fuzz-percent=0',
  '--funder-lease-requests-only=false',
];

/** The outpoints of the transaction that belong to the node's own wallet, where they are reserved by now. */
async function ownInputs(node: Lightningd, tx: JsonValue): Promise<string[]> {
  const outputs = listAt(await node.call('listfunds', { spent: true }), 'outputs');
  const own = new Set(outputs.map((one) => `${find(one, 'txid')}:${find(one, 'output')}`));
  const inputs = listAt(tx, 'vin').map((one) => `${find(one, 'txid')}:${find(one, 'vout')}`);
  return inputs.filter((one) => own.has(one));
}

/** Replaces the unconfirmed funding transaction by one that pays four times the fee rate asked for the next one. */
async function bump(
  opener: Lightningd,
  peer: Lightningd,
  channel_id: string,
  amount_sat: number,
): Promise<string> {
  const bitcoind = opener.settings.bitcoind;
  const channel = await channelWith(opener, peer);
  const old = textAt(channel, 'funding_txid');
  const feerate = `${Number.parseInt(textAt(channel, 'next_feerate'), 10) * 4}perkw`;
  const inputs = await ownInputs(opener, await bitcoind.transaction(old));
  const initial = await opener.call('utxopsbt', {
    satoshi: amount_sat,
    feerate,
    startweight: 42 + 172,
    utxos: inputs,
    reservedok: true,
    excess_as_change: true,
  });
  const bumped = await opener.call('openchannel_bump', {
    channel_id,
    amount: amount_sat,
    initialpsbt: textAt(initial, 'psbt'),
    funding_feerate: feerate,
  });
  const updated = await opener.call('openchannel_update', { channel_id, psbt: textAt(bumped, 'psbt') });
  equal(find(updated, 'commitments_secured'), true);
  const signed = await opener.call('signpsbt', { psbt: textAt(updated, 'psbt') });
  await opener.call('openchannel_signed', { channel_id, signed_psbt: textAt(signed, 'signed_psbt') });
  return until('the replacement in the mempool', 20_000, async () => {
    const txids = await bitcoind.mempool();
    return txids.includes(old) ? undefined : txids[0];
  });
}

function dualFund(name: string, about: string, signer: 'opener' | 'accepter'): Scenario {
  return {
    name,
    about,
    run: async (world) => {
      const [l1, l2] = await world.pair(
        { options: DUAL_FUND, hsmd: signer === 'opener' ? 'countersign' : 'stock' },
        { options: MATCHING, hsmd: signer === 'opener' ? 'stock' : 'countersign' },
      );
      await Promise.all([fundWallet(l1, 2_000_000, 2), fundWallet(l2, 2_000_000, 2)]);
      await connect(l1, l2);
      const opened = await l1.call('fundchannel', { id: l2.id, amount: 500_000, feerate: '8000perkb' });
      const first = textAt(opened, 'txid');
      await world.bitcoind.mempoolOf(1);
      const second = await bump(l1, l2, textAt(opened, 'channel_id'), 500_000);
      ok(second !== first);
      await world.bitcoind.mine(1);
      await waitForNormal(l1, l2);
      equal(textAt(await channelWith(l1, l2), 'funding_txid'), second);
      equal(await balance_msat(l2, l1), 500_000_000);
      await pay(l1, l2, 100_000_000);
      await pay(l2, l1, 250_000_000);
      equal(textAt(await l2.call('close', { id: l1.id }), 'type'), 'mutual');
      await world.bitcoind.mempoolOf(1);
      await world.bitcoind.mine(1);
      await sweepToTheEnd([l1, l2]);
    },
  };
}

const lease: Scenario = {
  name: 'lease',
  about: 'l2 leases liquidity to l1: the lease is signed by its seller, payments, mutual close',
  run: async (world) => {
    const selling = [
      ...DUAL_FUND,
      '--funder-policy=match',
      '--funder-policy-mod=100',
      '--funder-fuzz-percent=0',
      '--lease-fee-base-sat=100sat',
      '--lease-fee-basis=100',
    ];
    const [l1, l2] = await world.pair(
      { options: DUAL_FUND, hsmd: 'stock' },
      { options: selling, hsmd: 'countersign' },
    );
    await Promise.all([fundWallet(l1, 2_000_000), fundWallet(l2, 2_000_000)]);
    await connect(l1, l2);
    const rates = await l1.call('dev-queryrates', { id: l2.id, amount: 500_000, request_amt: 500_000 });
    await l1.call('fundchannel', {
      id: l2.id,
      amount: 500_000,
      request_amt: 500_000,
      compact_lease: textAt(rates, 'compact_lease'),
      feerate: '8000perkb',
    });
    await world.bitcoind.mempoolOf(1);
    await world.bitcoind.mine(1);
    await waitForNormal(l1, l2);
    await pay(l2, l1, 50_000_000);
    await pay(l1, l2, 20_000_000);
    equal(textAt(await l1.call('close', { id: l2.id }), 'type'), 'mutual');
  },
};

async function locked(world: World, l1: Lightningd, l2: Lightningd, scid_before: string): Promise<void> {
  await world.bitcoind.mempoolOf(1);
  await world.bitcoind.mine(6);
  for (const [node, peer] of [
    [l1, l2],
    [l2, l1],
  ] as const) {
    await until(`${node.name} to use the spliced channel`, 30_000, async () => {
      const channel = await channelWith(node, peer);
      return (
        find(channel, 'short_channel_id') !== scid_before &&
        find(channel, 'state') === 'CHANNELD_NORMAL' &&
        find(channel, 'inflight') === undefined
      );
    });
  }
}

/**
 * A splice-out has no input of the wallet's, so the first signature that lightningd asks for is a placeholder under
 * Countersign, and lightningd keeps it in the copy that it publishes itself. The peer has the real one and publishes.
 */
async function spliced(
  splicer: Lightningd,
  method: 'splicein' | 'spliceout',
  params: { [name: string]: JsonValue },
): Promise<void> {
  try {
    await splicer.call(method, params);
  } catch (error) {
    const isOwnCopy = error instanceof RpcError && error.message.includes('Error broadcasting splice');
    if (method === 'splicein' || splicer.settings.hsmd.kind === 'stock' || !isOwnCopy) throw error;
  }
}

/** One splice with payments while it is pending and after it is locked. */
async function spliceOnce(
  world: World,
  [splicer, peer]: readonly [Lightningd, Lightningd],
  method: 'splicein' | 'spliceout',
  amount_sat: number,
): Promise<void> {
  await splicer.waitForHeight();
  await peer.waitForHeight();
  const channel = await channelWith(splicer, peer);
  const before = await balance_msat(splicer, peer);
  await spliced(splicer, method, {
    channel: textAt(channel, 'channel_id'),
    amount: String(amount_sat),
    ...(method === 'spliceout' ? { force_feerate: true } : {}),
  });
  await pay(splicer, peer, 10_000_000);
  await pay(peer, splicer, 10_000_000);
  await locked(world, splicer, peer, textAt(channel, 'short_channel_id'));
  const change = (await balance_msat(splicer, peer)) - before;
  ok(method === 'splicein' ? change > 0 : change < 0, `the balance changed by ${change} msat`);
  await pay(splicer, peer, 10_000_000);
  await pay(peer, splicer, 10_000_000);
}

async function splicePair(world: World): Promise<[Lightningd, Lightningd]> {
  const options = ['--experimental-splicing'];
  const [l1, l2] = await world.pair({ options }, { options });
  await Promise.all([fundWallet(l1, 2_000_000, 2), fundWallet(l2, 2_000_000, 2)]);
  await openChannel(l1, l2, { push_sat: 400_000 });
  await world.bitcoind.mine(6);
  return [l1, l2];
}

const splice: Scenario = {
  name: 'splice',
  about:
    'splice-in and splice-out by either side with payments while each is pending, restart, unilateral close',
  run: async (world) => {
    const [l1, l2] = await splicePair(world);
    await spliceOnce(world, [l1, l2], 'splicein', 300_000);
    await spliceOnce(world, [l1, l2], 'spliceout', 100_000);
    await spliceOnce(world, [l2, l1], 'splicein', 200_000);
    await l2.stop();
    await l1.stop();
    await l1.start();
    equal(textAt(await l1.call('close', { id: l2.id, unilateraltimeout: 1 }), 'type'), 'unilateral');
    await sweepToTheEnd([l1]);
  },
};

/** lightningd v26.06.6 keeps the locked splice as an `inflight` in memory, with its commitment of that moment, and asks for the
 *  signature of that one at a unilateral close: revoked by the payments since. */
const spliceClose: Scenario = {
  name: 'splice-then-close',
  about:
    'unilateral close after a splice and payments, without a restart: no revoked commitment is ever published',
  unless: (_features, signers) => {
    return signers === 'none'
      ? 'the stock hsmd signs the revoked commitment that lightningd asks for'
      : undefined;
  },
  run: async (world, note) => {
    const [l1, l2] = await splicePair(world);
    await spliceOnce(world, [l1, l2], 'splicein', 300_000);
    const own_sat = (await balance_msat(l1, l2)) / 1000;
    await l2.stop();
    const close = (): Promise<JsonValue> => l1.call('close', { id: l2.id, unilateraltimeout: 1 });
    const closed = await close().catch(async (error: unknown) => {
      if (!(error instanceof LostError)) throw error;
      await l1.waitForEnd(10_000);
      deepEqual(await world.bitcoind.mempool(), []);
      note(
        'the revoked commitment was refused, lightningd ended, and closed with the current one after a restart',
      );
      await l1.start();
      return close();
    });
    equal(textAt(closed, 'type'), 'unilateral');
    await world.bitcoind.mempoolOf(1);
    await l2.start();
    const before = await walletSat(l1);
    await sweepToTheEnd([l1, l2]);
    const swept = (await walletSat(l1)) - before;
    ok(swept > own_sat - 20_000, `l1 swept ${swept} of ${own_sat} sat`);
  },
};

export const EXPERIMENTAL: Scenario[] = [
  dualFund('dual-fund', 'dual-funded open, bumped once, payments, close; Countersign opens', 'opener'),
  dualFund('dual-fund-accept', 'the same with Countersign on the side that adds its funds', 'accepter'),
  lease,
  splice,
  spliceClose,
];
