/**
 * How far a catch-up is, how fast it goes and how long it will take, for a progress bar and for a log that is not
 * flooded.
 */

export type CatchUpPhase = 'headers' | 'blocks';

export interface Progress {
  readonly phase: CatchUpPhase;
  readonly heightBlocks: number;
  readonly targetHeightBlocks: number;
  /** Of this catch-up, 0 to 1. */
  readonly fraction: number;
  readonly perSecond: number;
  /** Null while the speed is not known. */
  readonly secondsLeft: number | null;
}

/** Between two lines of a log about one catch-up. */
export const PROGRESS_LOG_MS = 10_000;

export class ProgressMeter {
  readonly #monotonicMs: () => number;
  readonly #log: (text: string) => void;
  #begun: { phase: CatchUpPhase; heightBlocks: number; atMs: number } | null = null;
  #loggedAtMs: number | null = null;
  #hasLogged = false;
  #current: Progress | null = null;

  constructor(monotonicMs: () => number, log: (text: string) => void) {
    this.#monotonicMs = monotonicMs;
    this.#log = log;
  }

  /** Null while there is nothing to catch up with. */
  get current(): Progress | null {
    return this.#current;
  }

  advance(phase: CatchUpPhase, heightBlocks: number, targetHeightBlocks: number): void {
    const nowMs = this.#monotonicMs();
    if (this.#begun === null || this.#begun.phase !== phase) {
      this.#begun = { phase, heightBlocks, atMs: nowMs };
      this.#loggedAtMs ??= nowMs;
    }
    this.#current = progressOf(this.#begun, nowMs, heightBlocks, targetHeightBlocks);
    if (this.#loggedAtMs === null || nowMs - this.#loggedAtMs < PROGRESS_LOG_MS) return;
    this.#loggedAtMs = nowMs;
    this.#hasLogged = true;
    this.#log(progressText(this.#current));
  }

  /** Nothing more to catch up with. A catch-up that was long enough to be told of is told to be over. */
  finish(heightBlocks: number): void {
    if (this.#hasLogged) this.#log(`caught up at height ${heightBlocks}`);
    this.#begun = null;
    this.#current = null;
    this.#loggedAtMs = null;
    this.#hasLogged = false;
  }
}

interface Begun {
  readonly phase: CatchUpPhase;
  readonly heightBlocks: number;
  readonly atMs: number;
}

function progressOf(begun: Begun, nowMs: number, heightBlocks: number, targetHeightBlocks: number): Progress {
  const done = heightBlocks - begun.heightBlocks;
  const total = targetHeightBlocks - begun.heightBlocks;
  const seconds = (nowMs - begun.atMs) / 1000;
  const perSecond = seconds > 0 ? done / seconds : 0;
  return {
    phase: begun.phase,
    heightBlocks,
    targetHeightBlocks,
    fraction: total > 0 ? done / total : 1,
    perSecond,
    secondsLeft: perSecond > 0 ? (targetHeightBlocks - heightBlocks) / perSecond : null,
  };
}

export function progressText(progress: Progress): string {
  const { phase, heightBlocks, targetHeightBlocks, fraction, perSecond, secondsLeft } = progress;
  const percent = (Math.floor(fraction * 1000) / 10).toFixed(1);
  const speed = perSecond >= 10 ? perSecond.toFixed(0) : perSecond.toFixed(1);
  const left = secondsLeft === null ? '' : `, about ${durationText(secondsLeft)} left`;
  return `${phase}: ${heightBlocks} of ${targetHeightBlocks} (${percent} %), ${speed} a second${left}`;
}

export function durationText(seconds: number): string {
  if (seconds < 100) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 100 ? `${minutes} min` : `${Math.ceil(minutes / 60)} h`;
}
