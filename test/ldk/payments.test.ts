/** Payments of every kind between two LDK nodes that both sign with Countersign. */

import { loadLdk } from '@countersign/playground';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectHonest, inWorld, KINDS, pair, pay, send } from './support.ts';

beforeAll(() => loadLdk());

describe.each(KINDS)('payments over %s', (channels) => {
  it('go both ways, in parallel, as dust, held, failed, and under a new fee rate', () =>
    inWorld(`payments ${channels}`, async (world) => {
      const { alice, bob } = await pair(world, channels);
      await world.open(alice, bob, 2_000_000n);
      const first = await pay(world, alice, bob, 600_000_000n);
      expect(alice.desk.sent.has(first)).toBe(true);
      const back = await pay(world, bob, alice, 50_000_000n);
      expect(bob.desk.sent.has(back)).toBe(true);
      expectHonest(world);

      // Many at once, both ways, claimed as they come.
      const many = [
        ...Array.from({ length: 6 }, () => ({ payer: alice, hash: send(alice, bob, 7_000_000n) })),
        ...Array.from({ length: 4 }, () => ({ payer: bob, hash: send(bob, alice, 4_000_000n) })),
      ];
      await world.settle();
      for (const { payer, hash } of many) expect(payer.desk.sent.has(hash)).toBe(true);
      expectHonest(world);

      // Dust: no output of its own on either commitment.
      for (const amountMsat of [1_000n, 120_000n, 300_000n, 353_999n]) {
        const hash = await pay(world, alice, bob, amountMsat);
        expect(alice.desk.sent.has(hash)).toBe(true);
      }
      expectHonest(world);

      // Held, then one claimed and one failed.
      bob.desk.holdsAll = true;
      const kept = await pay(world, alice, bob, 30_000_000n);
      const dropped = await pay(world, alice, bob, 20_000_000n);
      expect(alice.desk.sent.has(kept)).toBe(false);
      bob.desk.claim(kept);
      bob.desk.fail(dropped);
      await world.settle();
      bob.desk.forward();
      await world.settle();
      expect(alice.desk.sent.has(kept)).toBe(true);
      expect(alice.desk.failed.has(dropped)).toBe(true);
      bob.desk.holdsAll = false;
      expectHonest(world);

      // A new fee rate, then payments again.
      alice.fees.perKw = 2500;
      bob.fees.perKw = 2500;
      await world.tick();
      expect(alice.desk.sent.has(await pay(world, alice, bob, 10_000_000n))).toBe(true);
      alice.fees.perKw = 1000;
      bob.fees.perKw = 1000;
      await world.tick();
      expect(bob.desk.sent.has(await pay(world, bob, alice, 10_000_000n))).toBe(true);
    }));

  it('are put together of parts over two channels', () =>
    inWorld(`parts ${channels}`, async (world) => {
      const { alice, bob } = await pair(world, channels);
      await world.open(alice, bob, 400_000n);
      await world.open(alice, bob, 400_000n);
      const hash = await pay(world, alice, bob, 600_000_000n);
      expect(alice.desk.sent.has(hash)).toBe(true);
      expect(bob.desk.claimed.get(hash)).toBe(600_000_000n);
    }));
});
