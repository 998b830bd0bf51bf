/** A hub between two nodes, all three with Countersign: forwards both ways, in parallel, as dust, held, failed, and settled on chain. */
import { type LightningNode, loadLdk, type SmallWorld } from '@countersign/playground';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectHonest, inWorld, KINDS, type Kind, pay, send } from './support.ts';

beforeAll(() => loadLdk());

interface Line {
  readonly a: LightningNode;
  readonly s: LightningNode;
  readonly c: LightningNode;
}

async function line(world: SmallWorld, channels: Kind): Promise<Line> {
  const start = (name: string) =>
    world.start({ name, signer: 'countersign', settings: { channels, announce: true } });
  const [a, s, c] = [await start('a'), await start('s'), await start('c')];
  for (const node of [a, s]) await world.fund(node, 3_000_000n, 2);
  await world.fund(c, 300_000n);
  world.connect(a, s);
  world.connect(s, c);
  await world.settle();
  await world.open(a, s, 1_500_000n);
  await world.open(s, c, 1_500_000n);
  return { a, s, c };
}

describe.each(KINDS)('forwards over %s', (channels) => {
  it('go both ways, in parallel, as dust, and fail', () =>
    inWorld(`forwards ${channels}`, async (world) => {
      const { a, s, c } = await line(world, channels);
      expect(a.desk.sent.has(await pay(world, a, c, 400_000_000n))).toBe(true);
      expect(c.desk.sent.has(await pay(world, c, a, 60_000_000n))).toBe(true);
      expectHonest(world);

      const hashes = Array.from({ length: 5 }, () => send(a, c, 9_000_000n));
      await world.settle();
      for (const hash of hashes) expect(a.desk.sent.has(hash)).toBe(true);
      expectHonest(world);

      for (const amountMsat of [200_000n, 340_000n])
        expect(a.desk.sent.has(await pay(world, a, c, amountMsat))).toBe(true);
      expectHonest(world);

      c.desk.holdsAll = true;
      const [kept, dropped] = [send(a, c, 30_000_000n), send(a, c, 20_000_000n)];
      await world.settle();
      c.desk.claim(kept);
      c.desk.fail(dropped);
      await world.settle();
      expect(a.desk.sent.has(kept)).toBe(true);
      expect(a.desk.failed.has(dropped)).toBe(true);
      expect(s.desk.forwards).toBeGreaterThan(7);
    }));

  it('are claimed upstream when the next hop goes to the chain with the preimage', () =>
    inWorld(`forward on chain ${channels}`, async (world) => {
      const { a, s, c } = await line(world, channels);
      await pay(world, a, c, 300_000_000n);
      c.desk.holdsAll = true;
      const hash = await pay(world, a, c, 80_000_000n);
      expect(c.desk.claimable.has(hash)).toBe(true);
      await world.forceClose(c, c.manager.list_channels()[0]!);
      c.desk.claim(hash);
      await world.mine(8);
      expect(a.desk.sent.has(hash)).toBe(true);
      await world.mine(150);
      expect(s.desk.problems).toEqual([]);
    }));
});
