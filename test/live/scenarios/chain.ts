/** Scenarios about the signer's own view of the chain: reorgs, a signer that was away, a signer whose source is away. */
import { deepEqual, doesNotMatch, equal, match, ok } from 'node:assert/strict';
import {
  channelWith,
  fundWallet,
  openChannel,
  waitForConnection,
  waitForNoHtlcs,
  waitForNormal,
} from '../channels.ts';
import { find, textAt } from '../json-value.ts';
import type { Lightningd } from '../lightningd.ts';
import { sweepToTheEnd } from '../onchain.ts';
import { pay } from '../payments.ts';
import type { Scenario } from '../scenario.ts';
import {
  chainStatus,
  closesSeen,
  eventsOf,
  expectWell,
  following,
  refusalsOf,
  waitForProven,
} from '../signer-view.ts';
import { Switch } from '../switch.ts';
import { sleep, until } from '../wait.ts';
import type { World } from '../world.ts';

const REORG_BLOCKS = 3;
const AWAY_BLOCKS = 100;
const BEHIND_BLOCKS = 20;

/** The chain is followed by Countersign only. */
const unlessCountersign: NonNullable<Scenario['unless']> = (_, signers) =>
  signers === 'none' ? 'the stock hsmd follows no chain' : undefined;

/** What the signers refused was for the moment only. */
async function expectOnlyTemporary(nodes: Lightningd[]): Promise<void> {
  for (const node of following(nodes)) {
    const final = (await refusalsOf(node)).filter(({ isTemporary }) => !isTemporary);
    deepEqual(final, [], `${node.name} refused for good`);
  }
}

async function payBothWays(l1: Lightningd, l2: Lightningd): Promise<void> {
  await pay(l1, l2, 20_000_000);
  await pay(l2, l1, 5_000_000);
  // A payer has its preimage before the HTLC is gone: blocks mined now would let it expire.
  await waitForNoHtlcs(l1, l2);
}

async function channel(world: World): Promise<[Lightningd, Lightningd, string]> {
  const [l1, l2] = await world.pair({ hsmd: 'countersign', follows: true }, {});
  await fundWallet(l1, 2_000_000, 2);
  const funding_txid = await openChannel(l1, l2, { push_sat: 400_000 });
  await payBothWays(l1, l2);
  return [l1, l2, funding_txid];
}

/** The signers follow the branch; the channel goes on as if nothing had been. */
async function expectFollowed(nodes: Lightningd[], reorgs: number): Promise<void> {
  for (const node of following(nodes)) {
    const status = await waitForProven(node);
    equal(status.flag('isFresh'), true);
    equal(status.has('lockedBy'), false);
    const seen = await eventsOf(node, 'chain-reorganised');
    deepEqual(
      seen.map((facts) => facts.depth_blocks),
      Array.from({ length: reorgs }, () => String(REORG_BLOCKS)),
    );
    await node.waitForSignerLog(/reorg: 3 blocks above height \d+ were replaced/);
  }
}

const reorg: Scenario = {
  name: 'chain-reorg',
  about: 'three blocks are replaced by four, twice, above the funding: the signers follow, payments go on',
  unless: unlessCountersign,
  run: async (world) => {
    const [l1, l2] = await channel(world);
    for (let i = 1; i <= 2; i++) {
      await world.bitcoind.mine(REORG_BLOCKS);
      for (const node of [l1, l2]) await node.waitForHeight();
      for (const node of following([l1, l2])) await waitForProven(node);
      await world.bitcoind.reorganise(REORG_BLOCKS);
      for (const node of [l1, l2]) await node.waitForHeight();
      await expectFollowed([l1, l2], i);
      await waitForNormal(l1, l2);
      await payBothWays(l1, l2);
    }
    for (const node of following([l1, l2]))
      deepEqual(await eventsOf(node, 'funding-reorganised-away'), [], node.name);
    await expectOnlyTemporary([l1, l2]);
    for (const node of [l1, l2]) await expectWell(node, []);
  },
};

/** lightningd gives a channel up when the funding leaves its chain, whoever signs for it. */
const reorgFunding: Scenario = {
  name: 'chain-reorg-funding',
  about:
    'the block of the funding is replaced too: the nodes close, the funding and then the close confirm in the new branch',
  unless: unlessCountersign,
  run: async (world, note) => {
    const [l1, l2, funding_txid] = await channel(world);
    await world.bitcoind.mine(REORG_BLOCKS - 1);
    for (const node of [l1, l2]) await node.waitForHeight();
    for (const node of following([l1, l2])) await waitForProven(node);
    await world.bitcoind.reorganise(REORG_BLOCKS);
    for (const node of [l1, l2]) await node.waitForHeight();
    await expectFollowed([l1, l2], 1);
    for (const node of following([l1, l2])) {
      const txidsOf = async (event: string): Promise<string[]> =>
        (await eventsOf(node, event)).map((facts) => (facts.outpoint ?? '').slice(0, 64));
      deepEqual(await txidsOf('funding-reorganised-away'), [funding_txid]);
      deepEqual(await txidsOf('funding-confirmed'), [funding_txid, funding_txid]);
    }
    await l2.waitForLog(/Funding transaction has been reorged out/);
    const [close] = await world.bitcoind.mempoolOf(1);
    ok(await world.bitcoind.spends(close!, funding_txid));
    await sweepToTheEnd([l1, l2]);
    await expectOnlyTemporary([l1, l2]);
    for (const node of following([l1, l2])) {
      const kinds = await closesSeen(node);
      note(`${node.name} saw ${kinds.join(', ')}`);
      ok(kinds.length === 1 && /^(holder|counterparty)$/.test(kinds[0]!));
      await expectWell(node, kinds);
    }
  },
};

const offline: Scenario = {
  name: 'chain-offline',
  about:
    'a node and its signer are away for 100 blocks, some of them replaced meanwhile: it catches up by itself',
  unless: unlessCountersign,
  run: async (world, note) => {
    const [l1, l2] = await channel(world);
    await world.bitcoind.mine(REORG_BLOCKS);
    await l1.waitForHeight();
    await waitForProven(l1);
    await l1.stop();
    // The newest blocks that it had are gone when it returns.
    await world.bitcoind.reorganise(REORG_BLOCKS);
    await world.bitcoind.mine(AWAY_BLOCKS - REORG_BLOCKS - 1);
    const start_ms = performance.now();
    await l1.start();
    const answers_ms = performance.now();
    await waitForProven(l1);
    const proven_ms = performance.now();
    note(
      `${AWAY_BLOCKS} blocks: the node answers after ${(answers_ms - start_ms).toFixed(0)} ms, its signer has proven all ${(proven_ms - answers_ms).toFixed(0)} ms later`,
    );
    await l1.waitForSignerLog(/countersign: chain: following bitcoind at/);
    equal((await eventsOf(l1, 'chain-reorganised')).length, 1);
    await waitForConnection(l1, l2);
    await waitForConnection(l2, l1);
    await l2.waitForHeight();
    await payBothWays(l1, l2);
    await expectOnlyTemporary([l1, l2]);
    await expectWell(l1, []);
  },
};

/** A channel that the opener can not use before its signer has seen the funding. */
async function beginChannel(world: World, opener: Lightningd, peer: Lightningd): Promise<void> {
  await opener.call('connect', { id: peer.id, host: '127.0.0.1', port: peer.port });
  await opener.call('fundchannel', { id: peer.id, amount: 500_000, push_msat: 100_000_000 });
  await world.bitcoind.mempoolOf(1);
  await world.bitcoind.mine(2);
  for (const node of [opener, peer]) await node.waitForHeight();
}

const behind: Scenario = {
  name: 'chain-behind',
  about:
    'the signer’s bitcoind is away, the node’s is not: old channels go on, a new one waits, none is closed; then all is well',
  unless: unlessCountersign,
  run: async (world, note) => {
    const cable = await Switch.between(world.bitcoind.endpoint.port);
    try {
      const [l1, l2, l3] = await world.trio(
        { hsmd: 'countersign', follows: true, chain_port: cable.port },
        {},
        { hsmd: 'stock' },
      );
      await fundWallet(l1, 2_000_000, 3);
      await openChannel(l1, l2, { push_sat: 400_000 });
      await payBothWays(l1, l2);
      const { json } = (await waitForProven(l1)).at('tip');
      cable.off();
      await world.bitcoind.mine(BEHIND_BLOCKS);
      for (const node of [l1, l2, l3]) await node.waitForHeight();
      await until('the follower to say so', 20_000, async () =>
        (await chainStatus(l1)).at('follower').has('problem'),
      );
      deepEqual((await chainStatus(l1)).at('tip').json, json);
      // On regtest a chain is as fresh as it was: what the signer has seen confirmed stays so.
      await payBothWays(l1, l2);
      await beginChannel(world, l1, l3);
      await sleep(1_000);
      // Which of the two states depends on whose channel_ready came first; channeld waits in both.
      match(textAt(await channelWith(l1, l3), 'state'), /^CHANNELD_(AWAITING_LOCKIN|NORMAL)$/);
      doesNotMatch(JSON.stringify(find(await channelWith(l1, l3), 'status')), /Channel ready for use/);
      equal(textAt(await channelWith(l1, l2), 'state'), 'CHANNELD_NORMAL');
      await payBothWays(l1, l2);
      const start_ms = performance.now();
      cable.on();
      await waitForProven(l1);
      note(`all is proven ${(performance.now() - start_ms).toFixed(0)} ms after its return`);
      await l1.waitForSignerLog(/countersign: chain: the chain is followed again/);
      // channeld asks (check_outpoint) every ten seconds whether the funding is buried.
      await waitForNormal(l1, l3);
      await pay(l1, l3, 3_000_000);
      await payBothWays(l1, l2);
      await expectOnlyTemporary([l1, l2]);
      await expectWell(l1, []);
    } finally {
      cable.close();
    }
  },
};

export const CHAIN: Scenario[] = [reorg, reorgFunding, offline, behind];
