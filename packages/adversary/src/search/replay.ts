/** A list of moves played again: same seed, same configuration, same moves, same match. */
import type { Move } from '../player/moves.ts';
import { Match, type Setup } from './match.ts';

export async function replayMoves(
  setup: Setup,
  seed: number,
  moves: readonly Move[],
  isHonest = false,
): Promise<Match> {
  const match = await Match.begin({ ...setup, config: { ...setup.config, seed, isHonest } });
  for (const move of moves) {
    if (match.isOver) break;
    await match.play(move);
  }
  return match;
}

/**
 * The shortest list that still loses, by leaving out ever smaller pieces (delta debugging). Ends by itself, or when it is
 * told to.
 */
export async function shorten(
  moves: readonly Move[],
  stillLoses: (moves: readonly Move[]) => Promise<boolean>,
  isTimeUp: () => boolean,
): Promise<readonly Move[]> {
  let kept = moves;
  for (let piece = Math.ceil(kept.length / 2); piece >= 1 && !isTimeUp(); ) {
    let isShorter = false;
    for (let at = 0; at < kept.length && !isTimeUp(); ) {
      const without = [...kept.slice(0, at), ...kept.slice(at + piece)];
      if (await stillLoses(without)) {
        kept = without;
        isShorter = true;
      } else at += piece;
    }
    if (piece === 1 && !isShorter) break;
    piece = Math.max(1, Math.floor(piece / 2));
  }
  return kept;
}
