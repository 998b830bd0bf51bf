/** What a campaign gathers of its matches, and what it makes of one that was lost. */
import {
  addCoverage,
  clientWords,
  coverageCounts,
  type EndgameResult,
  type Finding,
  type FoundRun,
  type Match,
  outcomeWords,
  type RunResult,
  type RunSetup,
  requestWords,
  type StoryStep,
  strategySteps,
  type WealthReading,
} from '@countersign/adversary';
import { EXCUSED } from './mutants/index.ts';

export interface Progress {
  readonly steps: number;
  readonly matches: number;
  readonly endgames: number;
  readonly elapsedMs: number;
  /** The deepest that W was below its highest in any match. */
  readonly deepestSat: number;
}

export class Gathering {
  /** Requests until the first loss. */
  stepsToLoss: number | null = null;
  /** Moves of the match that was lost first. */
  movesOfLoss = 0;
  endgames = 0;
  readonly #startedMs = performance.now();
  readonly #onProgress: ((progress: Progress) => void) | undefined;
  readonly #coverage = new Map<string, number>();
  #steps = 0;
  #matches = 0;
  #checks = 0;
  #longest = 0;
  #deepestSat = 0;
  #readings: readonly WealthReading[] = [];
  #last: Match | null = null;

  constructor(onProgress?: (progress: Progress) => void) {
    this.#onProgress = onProgress;
  }

  get steps(): number {
    return this.#steps;
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
      endgames: this.endgames,
      elapsedMs: performance.now() - this.#startedMs,
      deepestSat: this.#deepestSat,
    });
  }

  plot(match: Match): void {
    this.#readings = [...match.readings];
  }

  /** Whatever was thrown on the way is a bug of the signer's or of ours; the last match shows where. */
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
      endgames: this.endgames,
      readings: this.#readings,
      coverage: coverageCounts(this.#coverage),
      found,
      mutants: [],
      excused: [...EXCUSED],
    };
  }
}

/** Null: the match was not lost. */
export function foundRun(match: Match, movesPlayed: number): FoundRun | null {
  const finding = findingOf(match);
  if (finding === null) return null;
  const { seed } = match.world.config;
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

export function endgameFinding(result: EndgameResult): Finding {
  const { kind, expectedSat, reachedSat, blocks, chosen, refusedRescues } = result;
  const missingSat = expectedSat - reachedSat;
  return {
    kind: 'endgame',
    endgame: { played: kind, expectedSat, reachedSat, missingSat, blocks, chosen, refusedRescues },
  };
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
