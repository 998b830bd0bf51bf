/** Scenarios about the signer's own view of the chain, by a follower of the real bitcoind. */
import { ok } from 'node:assert/strict';
import { fundWallet, openChannel, waitForConnection, waitForNoHtlcs } from '../channels.ts';
import type { Lightningd } from '../lightningd.ts';
import { pay } from '../payments.ts';
import type { Scenario } from '../scenario.ts';
import type { World } from '../world.ts';

const BLOCKS_OFFLINE = 100;

const unless: Scenario['unless'] = (_, signers) =>
  signers === 'none' ? 'the stock hsmd follows no chain' : undefined;

/** Until the signer has proven all of bitcoind's blocks, and says so since `from` in the log. */
async function followed(world: World, node: Lightningd, from: number): Promise<void> {
  const height = await world.bitcoind.height();
  await node.waitForLogAfter(
    from,
    new RegExp(`countersign: chain: proven up to height ${height}\\b`),
    60_000,
  );
}

const offline: Scenario = {
  name: 'chain-offline',
  about: `signer and node are away for ${BLOCKS_OFFLINE} blocks; afterwards all of them are proven, and payments go on`,
  unless,
  run: async (world, note) => {
    const [l1, l2] = await world.pair({ follows: true });
    await fundWallet(l1, 2_000_000);
    await openChannel(l1, l2, { push_sat: 400_000 });
    await pay(l1, l2, 10_000_000);
    // An HTLC that is not removed in time would close the channel, with any signer.
    await waitForNoHtlcs(l1, l2);
    await l1.stop();
    await world.bitcoind.mine(BLOCKS_OFFLINE);
    const from = l1.log().length;
    const begun_ms = performance.now();
    await l1.start();
    await followed(world, l1, from);
    note(`caught up in ${((performance.now() - begun_ms) / 1000).toFixed(1)} s`);
    await waitForConnection(l1, l2);
    await pay(l1, l2, 10_000_000);
    await pay(l2, l1, 10_000_000);
  },
};

const reorg: Scenario = {
  name: 'chain-reorg',
  about: 'invalidateblock: other blocks replace the last three, while the signer runs and while it is away',
  unless,
  run: async (world) => {
    const [l1, l2] = await world.pair({ follows: true });
    await fundWallet(l1, 2_000_000);
    await openChannel(l1, l2, { push_sat: 400_000 });
    await world.bitcoind.mine(6);
    await followed(world, l1, 0);
    const replace = async (script: string): Promise<void> => {
      const height = await world.bitcoind.height();
      await world.bitcoind.call('invalidateblock', await world.bitcoind.call('getblockhash', height - 2));
      // To another script, or the first one would be the very block that is invalid now.
      await world.bitcoind.call('generatetodescriptor', 5, script);
    };
    let from = l1.log().length;
    await replace('raw(52)');
    await l1.waitForLogAfter(from, /countersign: chain: reorg: 3 blocks above height \d+ were replaced/);
    await followed(world, l1, from);
    await pay(l1, l2, 10_000_000);
    await waitForNoHtlcs(l1, l2);
    await l1.stop();
    await replace('raw(53)');
    from = l1.log().length;
    await l1.start();
    await l1.waitForLogAfter(from, /countersign: chain: reorg: 3 blocks above height \d+ were replaced/);
    await followed(world, l1, from);
    await waitForConnection(l1, l2);
    await pay(l2, l1, 10_000_000);
    ok(!/chain: .*(refused|cannot)/.test(l1.log()));
  },
};

export const CHAIN: Scenario[] = [offline, reorg];
