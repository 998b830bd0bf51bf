/**
 * Greedy on W: scripts of moves that brought W furthest below its highest are kept and changed again, a move at a time. A
 * signer without holes gives no ground beyond what its limits allow; one with a hole is led to it step by step.
 */
import { Dice } from '../player/dice.ts';
import type { Move } from '../player/moves.ts';
import { Dealer } from '../player/run.ts';
import { CORPUS, scriptOf } from './corpus.ts';
import { Match, type Setup } from './match.ts';
import type { Lost, Search } from './random.ts';

export interface GreedyOptions {
  readonly seed: number;
  readonly stepsMax: number;
  readonly movesPerScript: number;
  /** Scripts that are kept to be changed. */
  readonly keep: number;
  /** Awaited: it may play the endgame. */
  readonly onMatch?: (match: Match) => void | Promise<void>;
  /** Somebody has seen enough. */
  readonly isDone?: () => boolean;
}

/** Of the new scripts, how many percent begin with an attack of the corpus. */
const OPENING_PERCENT = 12;

interface Script {
  readonly moves: readonly Move[];
  readonly deepestSat: number;
}

export async function searchGreedily(setup: Setup, options: GreedyOptions): Promise<Search> {
  const { seed, stepsMax, movesPerScript, keep } = options;
  const dice = new Dice(seed);
  const dealer = new Dealer(seed);
  const fresh = () => [
    ...(dice.chance(OPENING_PERCENT) ? scriptOf(dice.of(CORPUS)!, dice.next()) : []),
    ...Array.from({ length: movesPerScript }, () => dealer.next()),
  ];
  let best: Script[] = [];
  let steps = 0;
  let matches = 0;
  let lost: Lost | null = null;
  while (steps < stepsMax && lost === null && options.isDone?.() !== true) {
    const parent = best.length < keep || dice.chance(20) ? null : dice.of(best)!;
    const moves = parent === null ? fresh() : changed(parent.moves, dice, dealer);
    const match = await Match.begin({ ...setup, config: { ...setup.config, seed, isHonest: false } });
    for (const move of moves) {
      if (match.isOver) break;
      await match.play(move);
    }
    steps += match.steps;
    matches += 1;
    if (match.theft !== null) lost = { seed, moves: match.moves, theft: match.theft, steps };
    best = [...best, { moves, deepestSat: match.deepestSat }]
      .sort((a, b) => b.deepestSat - a.deepestSat)
      .slice(0, keep);
    await options.onMatch?.(match);
    await match.close();
  }
  return { steps, matches, lost };
}

/** One to three changes: a move more, a move less, another move, the same move with other numbers. */
function changed(moves: readonly Move[], dice: Dice, dealer: Dealer): Move[] {
  const list = [...moves];
  for (let left = 1 + dice.roll(3); left > 0; left--) {
    const at = dice.roll(list.length + 1);
    switch (dice.roll(4)) {
      case 0:
        list.splice(at, 0, dealer.next());
        break;
      case 1:
        list.splice(at, 1);
        break;
      case 2:
        list.splice(at, 1, dealer.next());
        break;
      default: {
        const { a, b, c } = dealer.next();
        if (list[at] !== undefined) list[at] = { ...list[at], a, b, c };
      }
    }
  }
  return list;
}
