/**
 * A campaign: matches until so many requests were asked or one was lost, at random first and then greedily on W. What is lost
 * is cut down to few moves, played once more, and told.
 */
import {
  addCoverage,
  clientWords,
  coverageCounts,
  type Finding,
  type FoundRun,
  outcomeWords,
  type RunMove,
  type RunResult,
  type RunSetup,
  requestWords,
  type StoryStep,
  strategySteps,
  type WealthReading,
} from '@countersign/adversary';
import { searchGreedily } from '../../packages/adversary/src/search/greedy.ts';
import type { Match, Setup } from '../../packages/adversary/src/search/match.ts';
import { type Lost, searchAtRandom } from '../../packages/adversary/src/search/random.ts';
import { replayMoves } from '../../packages/adversary/src/search/replay.ts';
import { gameOf } from './game.ts';
import { EXCUSED } from './mutants/index.ts';

export interface CampaignOptions {
  readonly setup: RunSetup;
  /** Requests in all. */
  readonly steps: number;
  readonly movesPerMatch: number;
  /** Of the requests, how many percent are left to the greedy search. */
  readonly greedyPercent: number;
  /** Time for cutting down what was found. */
  readonly shrinkMs: number;
  readonly onProgress?: (progress: Progress) => void;
}

export interface Progress {
  readonly steps: number;
  readonly matches: number;
  readonly elapsedMs: number;
  /** The deepest that W was below its highest in any match. */
  readonly deepestSat: number;
}

/** Scripts that the greedy search keeps. */
const GREEDY_KEEP = 12;
/** Matches of one random search; then comes the next, with another seed. */
const MATCHES_OF_A_ROUND = 16;

export async function campaign(options: CampaignOptions): Promise<RunResult> {
  const { setup, steps, movesPerMatch, greedyPercent, shrinkMs } = options;
  const game = gameOf(setup);
  const gathering = new Gathering(options.onProgress);
  const onMatch = (match: Match) => gathering.add(match);
  const greedySteps = setup.isHonest ? 0 : Math.floor((steps * greedyPercent) / 100);
  let found: FoundRun | null = null;
  try {
    for (let round = 0; found === null && gathering.steps < steps - greedySteps; round++) {
      const random = await searchAtRandom(game, {
        seed: seedOf(setup.seed, round),
        matches: MATCHES_OF_A_ROUND,
        movesPerMatch,
        isHonest: setup.isHonest,
        stepsMax: steps - greedySteps - gathering.steps,
        shrinkMs,
        onMatch,
      });
      found = await foundIn(game, setup, random.lost, gathering);
    }
    if (found === null && greedySteps > 0) {
      const greedy = await searchGreedily(game, {
        seed: setup.seed,
        stepsMax: greedySteps,
        movesPerScript: movesPerMatch,
        keep: GREEDY_KEEP,
        onMatch,
      });
      found = await foundIn(game, setup, greedy.lost, gathering);
    }
  } catch (error) {
    found = gathering.crashed(error);
  }
  return gathering.result(setup, found);
}

/** Fast-check takes 32 bits with a sign. */
const seedOf = (seed: number, round: number): number => (seed + Math.imul(round, 0x9e37_79b1)) | 0;

/** A list of moves, once. */
export async function replayed(setup: RunSetup, moves: readonly RunMove[]): Promise<RunResult> {
  const gathering = new Gathering();
  let found: FoundRun | null = null;
  try {
    const match = await replayMoves(gameOf(setup), setup.seed, moves, setup.isHonest);
    gathering.add(match);
    found = foundRun(match, setup.seed, moves.length);
    await match.close();
  } catch (error) {
    found = gathering.crashed(error);
  }
  return gathering.result(setup, found);
}

/** What was lost, played again for its story. */
async function foundIn(
  game: Setup,
  setup: RunSetup,
  lost: Lost | null,
  gathering: Gathering,
): Promise<FoundRun | null> {
  if (lost === null) return null;
  gathering.stepsToLoss = lost.steps;
  const match = await replayMoves(game, lost.seed, lost.moves, setup.isHonest);
  gathering.plot(match);
  const found = foundRun(match, lost.seed, gathering.movesOfLoss);
  await match.close();
  if (found !== null) return found;
  throw new Error(`world ${lost.seed} was lost once and not again: the match is not deterministic`);
}

function foundRun(match: Match, seed: number, movesPlayed: number): FoundRun | null {
  const finding = findingOf(match);
  if (finding === null) return null;
  return { finding, seed, moves: [...match.moves], movesPlayed, story: storySteps(match) };
}

function findingOf({ theft, falseRefusals }: Match): Finding | null {
  const [refusal] = falseRefusals;
  if (theft !== null) {
    const { missingSat, beforeSat, afterSat, step, move, cause, strategy, places } = theft;
    const steps = strategySteps(strategy, places);
    return { kind: 'theft', theft: { missingSat, beforeSat, afterSat, step, move, cause, strategy: steps } };
  }
  return refusal === undefined ? null : { kind: 'refusal', refusal };
}

const storySteps = ({ world }: Match): readonly StoryStep[] =>
  world.log.kept.map(({ index, move, intent, client, request, outcome }) => ({
    index,
    move,
    intent,
    client: clientWords(client),
    request: requestWords(request),
    outcome: outcomeWords(outcome),
  }));

class Gathering {
  /** Requests until the first loss. */
  stepsToLoss: number | null = null;
  /** Moves of the match that was lost first. */
  movesOfLoss = 0;
  readonly #startedMs = performance.now();
  readonly #onProgress: CampaignOptions['onProgress'];
  readonly #coverage = new Map<string, number>();
  #steps = 0;
  #matches = 0;
  #checks = 0;
  #longest = 0;
  #deepestSat = 0;
  #readings: readonly WealthReading[] = [];
  #last: Match | null = null;

  constructor(onProgress?: CampaignOptions['onProgress']) {
    this.#onProgress = onProgress;
  }

  add(match: Match): void {
    this.#last = match;
    if (match.isOver && this.movesOfLoss === 0) this.movesOfLoss = match.moves.length;
    this.#steps += match.steps;
    this.#matches += 1;
    this.#checks += match.referee.counts.checks;
    this.#deepestSat = Math.max(this.#deepestSat, match.deepestSat);
    addCoverage(this.#coverage, match.world.log.coverage);
    if (match.steps > this.#longest) {
      this.#longest = match.steps;
      this.plot(match);
    }
    this.#onProgress?.({
      steps: this.#steps,
      matches: this.#matches,
      elapsedMs: performance.now() - this.#startedMs,
      deepestSat: this.#deepestSat,
    });
  }

  get steps(): number {
    return this.#steps;
  }

  plot(match: Match): void {
    this.#readings = [...match.readings];
  }

  crashed(error: unknown): FoundRun {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const match = this.#last;
    return {
      finding: { kind: 'crash', message },
      seed: match?.world.config.seed ?? 0,
      moves: match === null ? [] : [...match.moves],
      movesPlayed: match?.moves.length ?? 0,
      story: match === null ? [] : storySteps(match),
    };
  }

  result(setup: RunSetup, found: FoundRun | null): RunResult {
    return {
      setup,
      steps: this.stepsToLoss ?? this.#steps,
      matches: this.#matches,
      elapsedMs: Math.round(performance.now() - this.#startedMs),
      longestMatchSteps: this.#longest,
      wealthChecks: this.#checks,
      readings: this.#readings,
      coverage: coverageCounts(this.#coverage),
      found,
      mutants: [],
      excused: [...EXCUSED],
    };
  }
}
