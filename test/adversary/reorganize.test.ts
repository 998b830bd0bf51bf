/**
 * A73: reorgs about the deadline of a claim, at every height, both depths that count as shallow, with the transactions left out or not.
 */
import { Match, type Move } from '@countersign/adversary';
import { describe, expect, it } from 'vitest';
import { gameOf } from './game.ts';

const SETUP = { seed: 1, channels: 2, isHonest: false, mutant: null, subject: 'memory' } as const;

async function missingAfter(move: Move): Promise<number> {
  const game = gameOf(SETUP);
  const match = await Match.begin({ ...game, config: { ...game.config, seed: 1 } });
  await match.play(move);
  await match.close();
  expect(match.world.height).toBeGreaterThan(200);
  return match.theft?.missingSat ?? 0;
}

describe('a reorg about the deadline of a claim', () => {
  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])('loses nothing %i blocks before the expiry', async (a) => {
    for (const b of [0, 1])
      for (const c of [0, 1])
        expect(await missingAfter({ kind: 'claim-then-reorganize', channel: 0, a, b, c }), `${b} ${c}`).toBe(
          0,
        );
  });
});
