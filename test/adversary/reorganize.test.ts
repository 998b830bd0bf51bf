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

  it('is no loss: a credit whose HTLC the chain did away with, and that covers another until blocks are buried', async () => {
    const moves = [
      move('advance', 2, 761, 716, 809),
      move('resolve-incoming', 15, 135, 874, 744),
      move('receive', 57, 0, 809, 86),
      move('receive', 15, 0, 874, 744),
      move('quiesce', 60, 629, 774, 839),
      move('quiesce', 61, 582, 662, 961),
      move('resolve-incoming', 50, 50, 778, 688),
      move('resolve-incoming', 0, 443, 777, 237),
      move('quiesce', 35, 436, 559, 725),
      move('quiesce', 8, 158, 237, 548),
      move('sign-old', 23, 439, 271, 490),
      move('advance', 6, 561, 51, 101),
      move('resolve-outgoing', 12, 667, 882, 727),
      move('wrong-close', 20, 154, 951, 323),
      move('future-secret', 60, 78, 243, 732),
      move('resolve-outgoing', 33, 166, 562, 58),
      move('advance', 5, 519, 310, 489),
      move('advance', 1, 680, 14, 996),
      move('change-fee', 17, 646, 385, 431),
      move('peer-cheats', 54, 489, 482, 807),
      move('advance', 42, 1, 965, 903),
      move('twin-and-drop', 48, 1020, 957, 268),
      move('open', 6, 939, 288, 196),
      move('publish-then-revoke', 58, 62, 382, 364),
      move('variant', 2, 925, 98, 390),
      move('resolve-outgoing', 7, 1, 180, 333),
      move('spend-abroad', 6, 864, 374, 891),
      move('receive', 42, 473, 389, 982),
      move('quiesce', 59, 1001, 401, 763),
      move('resolve-incoming', 61, 370, 729, 288),
      move('spend-abroad', 8, 957, 143, 961),
      move('jump', 32, 1014, 36, 655),
      move('forget', 45, 799, 893, 603),
      move('publish-then-revoke', 28, 461, 1011, 540),
      move('advance', 26, 508, 468, 156),
    ];
    expect(await theftAfter(2059573666, moves)).toBeNull();
  });
});
