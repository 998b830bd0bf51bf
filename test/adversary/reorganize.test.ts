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

describe('what W gained in blocks that a reorg takes back', () => {
  const move = (kind: string, channel: number, a: number, b: number, c: number): Move => ({
    kind,
    channel,
    a,
    b,
    c,
  });

  async function theftAfter(seed: number, moves: readonly Move[]) {
    const game = gameOf({ ...SETUP, channels: 5 });
    const match = await Match.begin({ ...game, config: { ...game.config, seed } });
    for (const one of moves) await match.play(one);
    await match.close();
    return match.theft;
  }

  it('is no loss: a claim that was late already', async () => {
    const moves = [
      move('late-cover', 54, 480, 750, 40),
      move('mine', 61, 539, 672, 564),
      move('reorganize', 29, 403, 164, 481),
    ];
    expect(await theftAfter(1_586_938_826, moves)).toBeNull();
  });

  it('is no loss: an HTLC that was gone, and stands again', async () => {
    const moves = [
      move('open', 46, 509, 760, 796),
      move('mine', 54, 359, 845, 420),
      move('advance', 34, 7, 515, 775),
      move('advance', 63, 625, 756, 78),
      move('advance', 20, 713, 980, 903),
      move('advance', 33, 481, 301, 869),
      move('advance', 6, 539, 507, 717),
      move('resolve-incoming', 27, 555, 462, 446),
      move('twin-and-drop', 45, 937, 800, 50),
      move('fail-then-reorganize', 63, 532, 404, 330),
    ];
    expect(await theftAfter(1_535_992_788, moves)).toBeNull();
  });
});
