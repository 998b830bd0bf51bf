/** The same seed, the same world: blocks, transactions and signatures are the same to the bit, so what a run shows can be shown again. */
import { toHex } from '@countersign/bitcoin';
import { loadLdk } from '@countersign/playground';
import { beforeAll, expect, it } from 'vitest';
import { inWorld, pair, pay } from './support.ts';

beforeAll(() => loadLdk());

async function life(seed: string): Promise<string> {
  let tip = '';
  await inWorld(seed, async (world) => {
    const { alice, bob } = await pair(world, 'anchors');
    const channel = await world.open(alice, bob, 1_000_000n);
    for (const amountMsat of [100_000_000n, 7_000_000n]) await pay(world, alice, bob, amountMsat);
    await world.forceClose(alice, channel);
    await world.mine(150);
    tip = toHex(world.chain.tip.hash);
  });
  return tip;
}

it('a world goes the same way again, and another one another', async () => {
  const [once, again, other] = [await life('one'), await life('one'), await life('other')];
  expect(again).toBe(once);
  expect(other).not.toBe(once);
});
