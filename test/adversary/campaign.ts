/**
 * A campaign: matches until so many requests were asked or one was lost, at random first and then greedily on W. Every so many
 * matches the strategy is played to its end. What is lost is cut down to few moves, played once more, and told.
 */
import {
  attacksOf,
  type EndgameKind,
  type FoundRun,
  isShort,
  type Match,
  playEndgame,
  type RunMove,
  type RunResult,
  type RunSetup,
  replayMoves,
  type Setup,
  searchAtRandom,
  searchCorpus,
  searchGreedily,
  shorten,
} from '@countersign/adversary';
import { gameOf } from './game.ts';
import { endgameFinding, foundRun, Gathering, type Progress } from './gathering.ts';

export interface CampaignOptions {
  readonly setup: RunSetup;
  /** Requests in all. */
  readonly steps: number;
  readonly movesPerMatch: number;
  /** Of the requests, how many percent are left to the greedy search. */
  readonly greedyPercent: number;
  /** After how many matches one is played to its end; 0: never. */
  readonly endgameEvery: number;
  /** Time for cutting down what was found. */
  readonly shrinkMs: number;
  /** Attacks of the catalogue that are tried first, and more often. */
  readonly favoured?: readonly string[];
  /** Ends before the requests do; no limit by default. */
  readonly minutesMax?: number;
  readonly onProgress?: (progress: Progress) => void;
}

/** Scripts that the greedy search keeps. */
const GREEDY_KEEP = 12;
/** Matches of one random search; then comes the next, with another seed. */
const MATCHES_OF_A_ROUND = 16;
/** How often each opening of a favoured attack is played at most, and how much of the requests they may take. */
const OPENING_ROUNDS = 24;
const OPENING_PERCENT = 60;
export const ENDGAMES: readonly EndgameKind[] = ['best', 'breach', 'breach-of-htlcs', 'random'];

export async function campaign(options: CampaignOptions): Promise<RunResult> {
  const run = new Campaign(options);
  try {
    return run.gathering.result(options.setup, await run.search());
  } catch (error) {
    return run.gathering.result(options.setup, run.gathering.crashed(error));
  }
}

/** A list of moves, once, and then its endgames. */
export async function replayed(
  setup: RunSetup,
  moves: readonly RunMove[],
  endgames: readonly EndgameKind[] = ENDGAMES,
): Promise<RunResult> {
  const gathering = new Gathering();
  try {
    const match = await replayMoves(gameOf(setup), setup.seed, moves, setup.isHonest);
    gathering.add(match);
    let found = foundRun(match, moves.length);
    for (const kind of found === null ? endgames : []) {
      const short = await shortEndgame(match, kind, gathering);
      found ??= short === null ? null : { ...endgameRun(match, short), movesPlayed: moves.length };
    }
    await match.close();
    return gathering.result(setup, found);
  } catch (error) {
    return gathering.result(setup, gathering.crashed(error));
  }
}

class Campaign {
  readonly gathering: Gathering;
  readonly #options: CampaignOptions;
  readonly #game: Setup;
  readonly #untilMs: number;
  #matches = 0;
  /** A match whose endgame fell short. */
  #short: { readonly run: FoundRun; readonly kind: EndgameKind } | null = null;

  constructor(options: CampaignOptions) {
    this.#options = options;
    this.#game = gameOf(options.setup);
    this.gathering = new Gathering(options.onProgress);
    this.#untilMs = performance.now() + (options.minutesMax ?? Number.POSITIVE_INFINITY) * 60_000;
  }

  async search(): Promise<FoundRun | null> {
    const { setup, steps, movesPerMatch, greedyPercent } = this.#options;
    const opened = await this.#openings();
    if (opened !== null) return opened;
    const greedySteps = setup.isHonest ? 0 : Math.floor((steps * greedyPercent) / 100);
    for (let round = 0; this.gathering.steps < steps - greedySteps && !this.#isLate(); round++) {
      const { lost } = await searchAtRandom(this.#game, {
        ...this.#common(),
        seed: seedOf(setup.seed, round),
        matches: MATCHES_OF_A_ROUND,
        movesPerMatch,
        isHonest: setup.isHonest,
        stepsMax: steps - greedySteps - this.gathering.steps,
        shrinkMs: this.#options.shrinkMs,
        favoured: attacksOf(this.#options.favoured ?? []),
      });
      if (lost !== null) return this.#replay(lost.seed, lost.moves, lost.steps);
      if (this.#short !== null) return this.#shortened();
    }
    if (greedySteps === 0 || this.#isLate()) return null;
    const { lost } = await searchGreedily(this.#game, {
      ...this.#common(),
      seed: setup.seed,
      stepsMax: greedySteps,
      movesPerScript: movesPerMatch,
      keep: GREEDY_KEEP,
    });
    if (lost !== null) return this.#replay(lost.seed, lost.moves, lost.steps);
    return this.#short === null ? null : this.#shortened();
  }

  /** What the corpus has of the favoured attacks, and where every match is played to its end, in every way. */
  async #openings(): Promise<FoundRun | null> {
    const { setup, steps, favoured = [] } = this.#options;
    if (favoured.length === 0) return null;
    const { lost } = await searchCorpus(this.#game, {
      seed: setup.seed,
      attacks: favoured,
      rounds: OPENING_ROUNDS,
      stepsMax: Math.floor((steps * OPENING_PERCENT) / 100),
      onMatch: (match) => this.#lookThrough(match),
      isDone: () => this.#short !== null,
    });
    if (lost !== null) return this.#replay(lost.seed, lost.moves, lost.steps);
    return this.#short === null ? null : this.#shortened();
  }

  async #lookThrough(match: Match): Promise<void> {
    this.gathering.add(match);
    for (const kind of match.isOver || this.#options.endgameEvery !== 1 ? [] : ENDGAMES) {
      const short = await shortEndgame(match, kind, this.gathering);
      if (short === null) continue;
      this.#short = { run: endgameRun(match, short), kind };
      return;
    }
  }

  #common() {
    return {
      onMatch: (match: Match) => this.#look(match),
      isDone: () => this.#short !== null || this.#isLate(),
    };
  }

  #isLate(): boolean {
    return performance.now() > this.#untilMs;
  }

  async #look(match: Match): Promise<void> {
    this.gathering.add(match);
    this.#matches += 1;
    const { endgameEvery } = this.#options;
    const isDue = endgameEvery > 0 && this.#matches % endgameEvery === 0;
    if (!isDue || match.isOver || this.#short !== null) return;
    const kind = ENDGAMES[(this.#matches / endgameEvery) % ENDGAMES.length]!;
    const short = await shortEndgame(match, kind, this.gathering);
    if (short !== null) this.#short = { run: endgameRun(match, short), kind };
  }

  /** What was lost, played again for its story. */
  async #replay(seed: number, moves: readonly RunMove[], steps: number): Promise<FoundRun> {
    const { setup } = this.#options;
    this.gathering.stepsToLoss = steps;
    const match = await replayMoves(this.#game, seed, moves, setup.isHonest);
    this.gathering.plot(match);
    const found = foundRun(match, this.gathering.movesOfLoss);
    await match.close();
    if (found !== null) return found;
    throw new Error(`world ${seed} was lost once and not again: the match is not deterministic`);
  }

  async #shortened(): Promise<FoundRun> {
    const { run, kind } = this.#short!;
    const { setup, shrinkMs } = this.#options;
    this.gathering.stepsToLoss = this.gathering.steps;
    const untilMs = performance.now() + shrinkMs;
    let best = run;
    const isStillShort = async (moves: readonly RunMove[]): Promise<boolean> => {
      const match = await replayMoves(this.#game, run.seed, moves, setup.isHonest);
      const short = match.isOver ? null : await shortEndgame(match, kind, this.gathering);
      if (short !== null) best = { ...endgameRun(match, short), movesPlayed: run.moves.length };
      await match.close();
      return short !== null;
    };
    await shorten(run.moves, isStillShort, () => performance.now() > untilMs);
    return best;
  }
}

async function shortEndgame(match: Match, kind: EndgameKind, gathering: Gathering) {
  const result = await playEndgame(match, kind);
  if (result !== null) gathering.endgames += 1;
  return result !== null && isShort(result) ? result : null;
}

const endgameRun = (
  match: Match,
  short: NonNullable<Awaited<ReturnType<typeof shortEndgame>>>,
): FoundRun => ({
  finding: endgameFinding(short),
  seed: match.world.config.seed,
  moves: [...match.moves],
  movesPlayed: match.moves.length,
  story: [],
});

/** Fast-check takes 32 bits with a sign. */
const seedOf = (seed: number, round: number): number => (seed + Math.imul(round, 0x9e37_79b1)) | 0;
