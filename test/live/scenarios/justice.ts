/** Scenarios in which the node does nothing and the signer saves the money by itself: it follows the chain on its own. */

import { ok } from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bitcoind } from '../bitcoind.ts';
import { fundWallet, openChannel, scidOf, waitForConnection } from '../channels.ts';
import { find, listAt, numberAt, textAt } from '../json-value.ts';
import type { Lightningd } from '../lightningd.ts';
import { sweepToTheEnd, walletSat } from '../onchain.ts';
import { waitHeld } from '../payments.ts';
import type { Scenario } from '../scenario.ts';
import { until } from '../wait.ts';
import { databasePath, moveOn, pend } from './closing.ts';

/** The commitment of `l2` from before `moveOn`, signed, with HTLCs of both in it; both have moved on since. */
async function revokedCommitment(l1: Lightningd, l2: Lightningd): Promise<string> {
  const old = join(l2.settings.directory, 'old.sqlite3');
  await l2.stop();
  copyFileSync(databasePath(l2), old);
  await l2.start('polling', ['--live-hold=on']);
  await waitForConnection(l1, l2);
  await waitHeld(l2, 2);
  for (const node of [l1, l2]) await node.call('live-release');
  await moveOn(l1, l2);
  await l2.stop();
  copyFileSync(old, databasePath(l2));
  await l2.start('polling', ['--offline', '--live-hold=on']);
  const cheat = textAt(await l2.call('dev-sign-last-tx', { id: l1.id }), 'tx');
  await l2.stop();
  return cheat;
}

/** Outputs of the transaction that the mempool spends. */
async function spentInMempool(bitcoind: Bitcoind, txid: string): Promise<Set<number>> {
  const spent = new Set<number>();
  for (const one of await bitcoind.mempool()) {
    for (const input of listAt(await bitcoind.transaction(one), 'vin')) {
      if (find(input, 'txid') === txid) spent.add(numberAt(input, 'vout'));
    }
  }
  return spent;
}

const ANCHOR_BTC = 0.000_003_3;

const unseen: Scenario = {
  name: 'breach-unseen',
  about:
    'the node never hears of the block with a revoked commitment: the signer takes everything, HTLCs too',
  unless: (_features, signers) => (signers === 'none' ? 'the stock hsmd follows no chain' : undefined),
  run: async (world, note) => {
    const { bitcoind } = world;
    const [l1, l2] = await world.pair({ holds: true, follows: true }, { hsmd: 'cheater', holds: true });
    await fundWallet(l1, 2_000_000, 2);
    await openChannel(l1, l2, { push_sat: 400_000 });
    const scid = await scidOf(l1, l2);
    await pend(l1, l2, scid);
    await pend(l2, l1, scid);
    const cheat = await revokedCommitment(l1, l2);
    const height = await bitcoind.height();
    l1.blind(height);
    await bitcoind.mineOnly([cheat]);
    const decoded = await bitcoind.call('decoderawtransaction', cheat);
    const txid = textAt(decoded, 'txid');
    const outputs = listAt(decoded, 'vout').filter((one) => find(one, 'value') !== ANCHOR_BTC).length;
    await until('the signer to spend every output', 30_000, async () => {
      return (await spentInMempool(bitcoind, txid)).size === outputs;
    });
    ok(numberAt(await l1.call('getinfo'), 'blockheight') === height, 'the node has seen nothing');
    const transactions = (await bitcoind.mempool()).length;
    await bitcoind.mine(1);
    ok((await bitcoind.mempool()).length === 0);
    l1.blind(null);
    await l1.waitForHeight();
    await sweepToTheEnd([l1]);
    const total = await walletSat(l1);
    ok(total > 3_950_000, `${total} sat after the penalty`);
    note(`${outputs} outputs in ${transactions} transactions`);
  },
};

export const JUSTICE: Scenario[] = [unseen];
