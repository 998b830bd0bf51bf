/** A node and its signer end without a word while HTLCs are in flight, and go on from what each has written. */
import { type LightningNode, loadLdk } from '@countersign/playground';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectHonest, inWorld, KINDS, pair, pay, send } from './support.ts';

beforeAll(() => loadLdk());

describe.each(KINDS)('restarts over %s', (channels) => {
  it('of either side, with payments held, go on where they were', () =>
    inWorld(`restarts ${channels}`, async (world) => {
      const first = await pair(world, channels);
      let alice: LightningNode = first.alice;
      let bob: LightningNode = first.bob;
      await world.open(alice, bob, 2_000_000n);
      await pay(world, alice, bob, 400_000_000n);
      alice.desk.holdsAll = true;
      bob.desk.holdsAll = true;
      const toBob = await pay(world, alice, bob, 30_000_000n);
      const toAlice = await pay(world, bob, alice, 20_000_000n);
      expectHonest(world);

      alice = await world.restart(alice);
      alice.desk.holdsAll = true;
      world.connect(alice, bob);
      await world.settle();
      bob.desk.claim(toBob);
      await world.settle();
      expect(alice.desk.sent.has(toBob)).toBe(true);
      expectHonest(world);

      bob = await world.restart(bob);
      world.connect(alice, bob);
      await world.mine();
      alice.desk.claim(toAlice);
      await world.settle();
      expect(bob.desk.sent.has(toAlice)).toBe(true);
      expect(alice.desk.sent.has(await pay(world, alice, bob, 10_000_000n))).toBe(true);
      await world.closeCooperatively(alice, alice.manager.list_channels()[0]!);
      await world.mine(8);
      expect(alice.manager.list_channels()).toEqual([]);
    }));

  it('in the middle of an update, with messages lost, are made up for', () =>
    inWorld(`cut ${channels}`, async (world) => {
      const { alice, bob } = await pair(world, channels);
      await world.open(alice, bob, 2_000_000n);
      await pay(world, alice, bob, 400_000_000n);
      for (let pieces = 1; pieces <= 8; pieces++) {
        const hashes = [send(alice, bob, 5_000_000n), send(bob, alice, 3_000_000n)];
        await world.cutAfter(pieces);
        world.connect(alice, bob);
        await world.settle();
        alice.desk.forward();
        bob.desk.forward();
        await world.settle();
        const isDone = (hash: string) =>
          [alice, bob].some(({ desk }) => desk.sent.has(hash) || desk.failed.has(hash));
        for (const hash of hashes) expect([pieces, isDone(hash)]).toEqual([pieces, true]);
        expectHonest(world);
      }
    }));
});
