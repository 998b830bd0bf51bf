/**
 * Random sequences of moves, as fast-check commands: seeded, weighted so that most steps are near valid states, and cut down
 * to the shortest script that still steals.
 */
import fc from 'fast-check';
import { HONEST } from '../player/honest/index.ts';
import { type Move, PLAYS } from '../player/moves.ts';
import { type FoundTheft, Match, type Setup } from './match.ts';

const NUMBER_MAX = 1023;

/** What a command needs to know of the match: whether it still runs. */
interface Model {
  isOver: boolean;
}

/** Fast-check shows it by its move, which is what a replay needs. */
class MoveCommand implements fc.AsyncCommand<Model, Match> {
  readonly move: Move;

  constructor(move: Move) {
    this.move = move;
  }

  check({ isOver }: Readonly<Model>): boolean {
    return !isOver;
  }

  async run(model: Model, match: Match): Promise<void> {
    await match.play(this.move);
    model.isOver = match.isOver;
    if (match.isOver) throw new MatchLost();
  }

  toString(): string {
    return JSON.stringify(this.move);
  }
}

/** W fell, or an honest node was refused: the match says which. */
export class MatchLost extends Error {
  override readonly name = 'MatchLost';
}

/** Moves by their weights. */
export function moveArbitrary(isHonest: boolean): fc.Arbitrary<Move> {
  const plays = Object.entries(isHonest ? HONEST : PLAYS);
  const number = fc.nat(NUMBER_MAX);
  return fc.oneof(
    ...plays.map(([kind, { weight }]) => ({
      weight,
      arbitrary: fc.record({ kind: fc.constant(kind), channel: fc.nat(63), a: number, b: number, c: number }),
    })),
  );
}

export interface RandomOptions {
  readonly seed: number;
  /** Matches, each with a new signer. */
  readonly matches: number;
  readonly movesPerMatch: number;
  readonly isHonest: boolean;
  /** Stop after so many requests in all; no limit by default. */
  readonly stepsMax?: number;
  /** For cutting down what was found; 0 leaves it as it is. */
  readonly shrinkMs: number;
  /** Awaited: it may play the endgame. */
  readonly onMatch?: (match: Match) => void | Promise<void>;
  /** Somebody has seen enough. */
  readonly isDone?: () => boolean;
}

export interface Search {
  readonly steps: number;
  readonly matches: number;
  /** Null: nothing was stolen and nobody honest was refused. */
  readonly lost: Lost | null;
}

export interface Lost {
  /** Of the world: with the moves, all that a replay needs. */
  readonly seed: number;
  readonly moves: readonly Move[];
  /** Null where an honest request was refused. */
  readonly theft: FoundTheft | null;
  /** Requests until it was found the first time. */
  readonly steps: number;
}

/** Plays matches until one is lost or all are played. */
export async function searchAtRandom(setup: Setup, options: RandomOptions): Promise<Search> {
  const { seed, matches, movesPerMatch, isHonest, shrinkMs, stepsMax = Number.POSITIVE_INFINITY } = options;
  let steps = 0;
  let played = 0;
  let found: Lost | null = null;
  let foundAtMs = 0;
  const commands = fc.commands([moveArbitrary(isHonest).map((move) => new MoveCommand(move))], {
    maxCommands: movesPerMatch,
    size: 'max',
  });
  const property = fc.asyncProperty(fc.nat(), commands, async (worldSeed, list) => {
    if (found === null && (steps >= stepsMax || options.isDone?.() === true)) return;
    // Once it is found, the rest is shrinking, which has its time.
    if (found !== null && performance.now() - foundAtMs > shrinkMs) return;
    const config = { ...setup.config, seed: worldSeed, isHonest };
    const match = await Match.begin({ ...setup, config });
    try {
      await fc.asyncModelRun(() => ({ model: { isOver: false }, real: match }), list);
    } catch (error) {
      if (found === null) foundAtMs = performance.now();
      const stepsUntil = found?.steps ?? steps + match.steps;
      if (!(error instanceof MatchLost)) throw error;
      if (found === null || match.moves.length <= found.moves.length) {
        found = { seed: worldSeed, moves: [...match.moves], theft: match.theft, steps: stepsUntil };
      }
      throw error;
    } finally {
      if (found === null) {
        steps += match.steps;
        played += 1;
      }
      await options.onMatch?.(match);
      await match.close();
    }
  });
  const details = await fc.check(property, { seed, numRuns: matches, endOnFailure: shrinkMs === 0 });
  if (details.failed && found === null) throw details.errorInstance;
  return { steps, matches: played, lost: found };
}
