/**
 * What a run found, as plain data: everything that the story, the replay file and the page are made of. No clock, no path, no
 * signer in it, so that the same run gives the same result.
 */

/** A move, as the player has it. */
export interface RunMove {
  readonly kind: string;
  readonly channel: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/** All that a run depends on, beside its moves. */
export interface RunSetup {
  readonly seed: number;
  readonly channels: number;
  readonly isHonest: boolean;
  /** The broken signer that was attacked; null for the one under test. */
  readonly mutant: string | null;
  /** In this process, or the real one. */
  readonly subject: 'memory' | 'process';
}

/** W at one moment, satoshi. */
export interface WealthReading {
  readonly step: number;
  /** What the owner is certain of, with what it agreed to give. */
  readonly wealthSat: number;
  /** The highest of that so far. */
  readonly highSat: number;
  /** Left with the owner's consent. */
  readonly agreedSat: number;
}

/** One thing the attacker does on the chain. */
export interface StrategyStep {
  /** A channel, or coins of the wallet. */
  readonly where: string;
  readonly what: string;
  /** What of it is the owner's for certain. */
  readonly ownerSat: number;
}

/** A request near the end, in words. */
export interface StoryStep {
  readonly index: number;
  readonly move: number;
  /** `unsure`: honest as far as the player can tell, and no failure if it is refused. */
  readonly intent: 'honest' | 'unsure' | 'attack';
  readonly client: string;
  readonly request: string;
  readonly outcome: string;
}

export interface TheftReport {
  readonly missingSat: number;
  readonly beforeSat: number;
  readonly afterSat: number;
  /** When it was found: requests and moves before it, and what happened then. */
  readonly step: number;
  readonly move: number;
  readonly cause: string;
  readonly strategy: readonly StrategyStep[];
}

export interface RefusalReport {
  readonly step: number;
  readonly move: number;
  readonly request: string;
  readonly tag: string;
  readonly message: string;
}

export interface EndgameReport {
  /** Which strategy was played. */
  readonly played: string;
  readonly expectedSat: number;
  readonly reachedSat: number;
  readonly missingSat: number;
  readonly blocks: number;
  /** How each place ended. */
  readonly chosen: readonly string[];
  /** Transactions of the owner's that the chain did not take, with its reason. */
  readonly refusedRescues: readonly string[];
}

/** What ended a run before its time. */
export type Finding =
  | { readonly kind: 'theft'; readonly theft: TheftReport }
  /** Somebody honest was refused. */
  | { readonly kind: 'refusal'; readonly refusal: RefusalReport }
  /** The strategy was played to its end, and the owner had less than it was certain of. */
  | { readonly kind: 'endgame'; readonly endgame: EndgameReport }
  /** The signer died, or its chain would not go on: neither may happen, whatever is asked. */
  | { readonly kind: 'crash'; readonly message: string };

export interface FoundRun {
  readonly finding: Finding;
  /** The world that it happened in. */
  readonly seed: number;
  /** As short as it could be made. */
  readonly moves: readonly RunMove[];
  /** Before it was made short. */
  readonly movesPlayed: number;
  readonly story: readonly StoryStep[];
}

export interface CoverageCount {
  readonly intent: StoryStep['intent'];
  readonly request: string;
  /** `ok`, or the tag of the refusal. */
  readonly outcome: string;
  readonly count: number;
}

export interface MutantRow {
  readonly id: string;
  readonly law: string;
  readonly attackIds: readonly string[];
  readonly description: string;
  readonly theft: string;
  readonly outcome: 'robbed' | 'survived' | 'failed';
  /** Requests until W fell, or all that there were. */
  readonly steps: number;
  readonly missingSat: number;
  /** How it was robbed in one line, or why it could not be tried. */
  readonly story: string;
}

export interface RunResult {
  readonly setup: RunSetup;
  readonly steps: number;
  readonly matches: number;
  readonly elapsedMs: number;
  /** Most requests in one life of a signer. */
  readonly longestMatchSteps: number;
  readonly wealthChecks: number;
  /** Strategies played to their end. */
  readonly endgames: number;
  /** Of the match that was lost, else of the longest. */
  readonly readings: readonly WealthReading[];
  readonly coverage: readonly CoverageCount[];
  readonly found: FoundRun | null;
  readonly mutants: readonly MutantRow[];
  /** Attacks that no mutant stands for, and why. */
  readonly excused: readonly (readonly [attackId: string, reason: string])[];
}
