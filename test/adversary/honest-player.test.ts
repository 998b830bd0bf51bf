/**
 * An honest node of the adversary's own making, in any order, against the signer in process: nothing it asks may be
 * refused for good, and what is refused for now passes with a block.
 */
import { honestDealer, playMove, World } from '@countersign/adversary';
import { describe, expect, it } from 'vitest';
import { MemorySubject } from './subject.ts';

const MOVES = 1500;

async function honestRun(seed: number): Promise<World> {
  const world = await World.begin(await MemorySubject.create(), { seed, isHonest: true });
  const dealer = honestDealer(seed);
  for (let i = 0; i < MOVES; i++) await playMove(world, dealer.next());
  return world;
}

describe('the honest player', () => {
  it.each([1, 2])('is never refused for good: seed %i', async (seed) => {
    const world = await honestRun(seed);
    expect(world.log.falseRefusals).toEqual([]);
    expect(world.problems).toEqual([]);
    expect(world.log.count).toBeGreaterThan(1000);
    await world.subject.close();
  });

  it('plays the same game twice', async () => {
    const [one, other] = [await honestRun(3), await honestRun(3)];
    expect([...one.log.coverage]).toEqual([...other.log.coverage]);
    expect(one.log.kept.map(({ request, outcome }) => [request, outcome])).toEqual(
      other.log.kept.map(({ request, outcome }) => [request, outcome]),
    );
  });
});
