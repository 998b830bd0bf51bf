/**
 * The yardstick: the same world with LDK's own KeysManager. What fails here is no fault of a signer.
 */
import {
  createInvoice,
  LightningNode,
  loadLdk,
  type NodeSettings,
  ownKeys,
  payInvoice,
  WORLD_START_SECONDS,
  World,
} from '@countersign/playground';
import { beforeAll, describe, expect, it } from 'vitest';

beforeAll(() => loadLdk());

function nodeIn(world: World, name: string, number: number, settings: Partial<NodeSettings>): LightningNode {
  const keys = ownKeys(new Uint8Array(32).fill(number), WORLD_START_SECONDS);
  const ephemeral = new Uint8Array(32).fill(100 + number);
  return world.add(new LightningNode({ name, keys, chain: world.chain, ephemeral, settings }));
}

describe.each(['anchors', 'static_remotekey'] as const)(
  'two LDK nodes with keys of their own, %s',
  (channels) => {
    it('open, pay both ways, force-close, and everyone gets his money', async () => {
      const world = new World();
      const alice = nodeIn(world, 'alice', 1, { channels });
      const bob = nodeIn(world, 'bob', 2, { channels });
      await world.fund(alice, 2_000_000n, 2);
      world.connect(alice, bob);
      await world.settle();
      const channel = await world.open(alice, bob, 1_000_000n, 200_000_000n);
      for (const [payer, payee] of [
        [alice, bob],
        [bob, alice],
      ] as const) {
        const { text, paymentHash } = createInvoice(payee, { amountMsat: 30_000_000n });
        expect(payInvoice(payer, text)).toMatchObject({ sent: true });
        await world.settle();
        expect(payer.desk.sent.has(paymentHash)).toBe(true);
      }
      await world.forceClose(alice, channel);
      await world.mine(160);
      const total = alice.keys.wallet.balanceSat() + bob.keys.wallet.balanceSat();
      expect(total).toBeGreaterThan(3_990_000n);
      expect(bob.keys.wallet.balanceSat()).toBeGreaterThan(199_000n);
      expect(alice.desk.problems).toEqual([]);
    });
  },
);
