/**
 * Random sequences of moves, as fast-check commands: seeded, weighted so that most steps are near valid states, and cut down
 * to the shortest script that still steals.
 */
import fc from 'fast-check';
import { HONEST } from '../player/honest/index.ts';
import { type Move, PLAYS, type Play } from '../player/moves.ts';
import { CORPUS, scriptOf } from './corpus.ts';
import { type FoundTheft, Match, type Setup } from './match.ts';

const NUMBER_MAX = 1023;
/** Attacks that a match favours, at most. */
const FOCUS_MAX = 3;
/** Of so many matches and one, one begins with an attack of the corpus. */
const OPENING_FREE = 7;
/** How much of all moves they are together. */
const FOCUS_SHARE = 0.3;

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

const ATTACKS: readonly string[] = Object.entries(PLAYS)
  .filter(([, { attacks }]) => attacks.length > 0)
  .map(([kind]) => kind);

/** Without those of the corpus alone, some of which ask hundreds of times. */
const CHANCED: readonly string[] = ATTACKS.filter((kind) => PLAYS[kind]!.weight > 0);

/** The attacks that the corpus has under one of these ids. */
export const attacksOf = (ids: readonly string[]): readonly string[] =>
  ATTACKS.filter((kind) => PLAYS[kind]!.attacks.some((id) => ids.includes(id)));

/** Moves by their weights, the favoured ones more often. */
function moveArbitrary(plays: Readonly<Record<string, Play>>, focus: readonly string[]): fc.Arbitrary<Move> {
  const all = Object.entries(plays);
  const total = all.reduce((sum, [, { weight }]) => sum + weight, 0);
  const extra = focus.length === 0 ? 0 : Math.ceil((total * FOCUS_SHARE) / (1 - FOCUS_SHARE) / focus.length);
  const number = fc.nat(NUMBER_MAX);
  return fc.oneof(
    ...all.map(([kind, { weight }]) => ({
      weight: weight + (focus.includes(kind) ? extra : 0),
      arbitrary: fc.record({ kind: fc.constant(kind), channel: fc.nat(63), a: number, b: number, c: number }),
    })),
  );
}

interface Deal {
  readonly seed: number;
  readonly commands: Iterable<fc.AsyncCommand<Model, Match>>;
}

/** Of the corpus each match favours a few attacks, so that what takes two or three steps comes about. */
function deals({ isHonest, movesPerMatch, favoured = [] }: RandomOptions): fc.Arbitrary<Deal> {
  const plays = isHonest ? HONEST : PLAYS;
  const some = fc.uniqueArray(fc.constantFrom(...CHANCED), { maxLength: FOCUS_MAX });
  const these = fc.constant([...favoured]);
  const focus = isHonest ? fc.constant<string[]>([]) : favoured.length === 0 ? some : fc.oneof(these, some);
  return fc.tuple(fc.nat(), focus).chain(([seed, kinds]) => {
    const command = moveArbitrary(plays, kinds).map((move) => new MoveCommand(move));
    const commands = fc.commands([command], { maxCommands: movesPerMatch, size: 'max' });
    return fc.tuple(isHonest ? fc.constant([]) : openingMoves(), commands).map(([opening, rest]) => ({
      seed,
      commands: [...opening.map((move) => new MoveCommand(move)), ...rest],
    }));
  });
}

/** Seldom an attack of the corpus is where a match begins; what loses is cut down without it first. */
function openingMoves(): fc.Arbitrary<Move[]> {
  const script = fc
    .tuple(fc.constantFrom(...CORPUS), fc.nat())
    .map(([opening, seed]) => scriptOf(opening, seed));
  const nothing = fc.constant<Move[]>([]);
  return fc.oneof({ weight: OPENING_FREE, arbitrary: nothing }, { weight: 1, arbitrary: script });
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
  /** Attacks that every second match favours instead of some of the corpus. */
  readonly favoured?: readonly string[];
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
  const { seed, matches, isHonest, shrinkMs, stepsMax = Number.POSITIVE_INFINITY } = options;
  let steps = 0;
  let played = 0;
  let found: Lost | null = null;
  let foundAtMs = 0;
  const property = fc.asyncProperty(deals(options), async ({ seed: worldSeed, commands }) => {
    if (found === null && (steps >= stepsMax || options.isDone?.() === true)) return;
    // Once it is found, the rest is shrinking, which has its time.
    if (found !== null && performance.now() - foundAtMs > shrinkMs) return;
    const config = { ...setup.config, seed: worldSeed, isHonest };
    const match = await Match.begin({ ...setup, config });
    try {
      await fc.asyncModelRun(() => ({ model: { isOver: false }, real: match }), commands);
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
