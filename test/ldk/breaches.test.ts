/** A peer publishes a revoked commitment, HTLCs and all: LDK claims every output of it, and the signer signs the justice. */
import { loadLdk, publishOldStates } from '@countersign/playground';
import { beforeAll, describe, expect, it } from 'vitest';
import { inWorld, KINDS, mineUntil, pair, pay } from './support.ts';

beforeAll(() => loadLdk());

const CHANNEL_SAT = 2_000_000n;
const FEES_SAT = 30_000n;

describe.each(KINDS)('a breach over %s', (channels) => {
  it('costs the thief the whole channel', () =>
    inWorld(`breach ${channels}`, async (world) => {
      const { alice, bob } = await pair(world, channels, { bob: { signer: 'own' } });
      const richSat = alice.keys.wallet.balanceSat();
      await world.open(alice, bob, CHANNEL_SAT);
      await pay(world, alice, bob, 900_000_000n);
      alice.desk.holdsAll = true;
      bob.desk.holdsAll = true;
      const held = [await pay(world, alice, bob, 50_000_000n), await pay(world, alice, bob, 40_000_000n)];
      const heldBack = [await pay(world, bob, alice, 30_000_000n), await pay(world, bob, alice, 20_000_000n)];
      const old = bob.disk.snapshot();
      for (const hash of held) bob.desk.fail(hash);
      for (const hash of heldBack) alice.desk.claim(hash);
      await world.settle();
      alice.desk.holdsAll = false;
      bob.desk.holdsAll = false;
      await pay(world, bob, alice, 700_000_000n);
      world.remove(bob);
      expect(publishOldStates(bob, old)).toBe(1);
      await mineUntil(world, () => alice.desk.closed.length > 0, 2);
      await world.mine(30);
      // Everything in the channel was paid in by Alice; all of it is hers now.
      expect(alice.keys.wallet.balanceSat()).toBeGreaterThan(richSat - FEES_SAT);
      expect(alice.manager.list_channels()).toEqual([]);
    }));
});
