/** Plays openings of the corpus, one after the other with ever other numbers, each in a match of its own that goes on a little. */
import { Dice } from '../player/dice.ts';
import { Dealer } from '../player/run.ts';
import { openingsOf, scriptOf } from './corpus.ts';
import { Match, type Setup } from './match.ts';
import type { Lost, Search } from './random.ts';

export interface CorpusOptions {
  readonly seed: number;
  /** Of the catalogue; none: all. */
  readonly attacks: readonly string[];
  /** Each opening is played so often, with other numbers. */
  readonly rounds: number;
  /** Stop after so many requests in all. */
  readonly stepsMax: number;
  /** Awaited: it may play the endgame. */
  readonly onMatch?: (match: Match) => void | Promise<void>;
  /** Somebody has seen enough. */
  readonly isDone?: () => boolean;
}

/** Moves after an opening, at most. */
const TAIL_MAX = 12;

export async function searchCorpus(setup: Setup, options: CorpusOptions): Promise<Search> {
  const { seed, attacks, rounds, stepsMax } = options;
  const openings = openingsOf(attacks);
  let steps = 0;
  let matches = 0;
  let lost: Lost | null = null;
  while (matches < rounds * openings.length && steps < stepsMax && lost === null) {
    if (options.isDone?.() === true) break;
    const own = (seed + Math.imul(matches + 1, 0x9e37_79b1)) >>> 1;
    const dealer = new Dealer(own);
    const tail = Array.from({ length: new Dice(own).roll(TAIL_MAX) }, () => dealer.next());
    const moves = [...scriptOf(openings[matches % openings.length]!, own), ...tail];
    const match = await Match.begin({ ...setup, config: { ...setup.config, seed: own, isHonest: false } });
    for (const move of moves) {
      if (match.isOver) break;
      await match.play(move);
    }
    steps += match.steps;
    matches += 1;
    if (match.theft !== null) lost = { seed: own, moves: match.moves, theft: match.theft, steps };
    await options.onMatch?.(match);
    await match.close();
  }
  return { steps, matches, lost };
}
