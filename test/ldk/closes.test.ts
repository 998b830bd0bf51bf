/** Channels that end on the chain with HTLCs in flight, closed by either side: everyone gets what is his, and nobody is refused. */
import { loadLdk } from '@countersign/playground';
import { beforeAll, describe, expect, it } from 'vitest';
import { inWorld, KINDS, mineUntil, pair, pay } from './support.ts';

beforeAll(() => loadLdk());

/** What the chain may take: commitment, second-level transactions, bumps, sweeps. */
const FEES_SAT = 60_000n;

describe.each(KINDS)('a force close over %s', (channels) => {
  it.each(['alice', 'bob'] as const)('by %s, with HTLCs claimed and timed out both ways', (closer) =>
    inWorld(`close ${channels} ${closer}`, async (world) => {
      const { alice, bob } = await pair(world, channels);
      const [richSat, poorSat] = [alice.keys.wallet.balanceSat(), bob.keys.wallet.balanceSat()];
      const channel = await world.open(alice, bob, 2_000_000n);
      await pay(world, alice, bob, 500_000_000n);
      alice.desk.holdsAll = true;
      bob.desk.holdsAll = true;
      const claimedByBob = await pay(world, alice, bob, 90_000_000n);
      // LDK can get stuck on claims of one expiry of which the peer takes some (rust-lightning #3859).
      await world.mine();
      const lostByBob = await pay(world, alice, bob, 70_000_000n);
      const claimedByAlice = await pay(world, bob, alice, 60_000_000n);
      await world.mine();
      const lostByAlice = await pay(world, bob, alice, 40_000_000n);
      const [from] = closer === 'alice' ? [alice] : [bob];
      await world.forceClose(from, closer === 'alice' ? channel : bob.manager.list_channels()[0]!);
      bob.desk.claim(claimedByBob);
      alice.desk.claim(claimedByAlice);
      await world.settle();
      const isOver = () => alice.desk.failed.has(lostByBob) && bob.desk.failed.has(lostByAlice);
      await mineUntil(world, isOver, 500);
      // The last outputs ripen.
      await world.mine(155);
      expect(alice.desk.sent.has(claimedByBob)).toBe(true);
      expect(alice.desk.failed.has(lostByBob)).toBe(true);
      expect(bob.desk.sent.has(claimedByAlice)).toBe(true);
      const movedSat = 500_000n + 90_000n - 60_000n;
      expect(alice.keys.wallet.balanceSat()).toBeGreaterThan(richSat - movedSat - FEES_SAT);
      expect(bob.keys.wallet.balanceSat()).toBeGreaterThan(poorSat + movedSat - FEES_SAT);
      expect(alice.chain.waiting).toEqual([]);
    }),
  );
});
