/**
 * The order in which tests meet a mutant: the one that noticed the mutant before, then those that most often notice
 * one of the same source file for the time they take. Of a test that met few, its whole file's record is the best guess.
 */
interface Tally {
  met: number;
  noticed: number;
}

/** Tests of a file that never met a mutant are thought to notice one in ten. */
const FIRST_GUESS = 0.1;
const FIRST_GUESS_WEIGHT = 10;
/** Below that, times are noise. */
const SHORTEST_MS = 0.5;

export class TestOrder {
  readonly #durationsMs: ReadonlyMap<string, number>;
  readonly #tallies = new Map<string, Tally>();
  readonly #last = new Map<string, string>();

  constructor(durationsMs: ReadonlyMap<string, number>) {
    this.#durationsMs = durationsMs;
  }

  durationMs(test: string): number {
    return this.#durationsMs.get(test) ?? 0;
  }

  /**
   * `tests` for a mutant of `file` until together they take `budgetMs`, at least one: the most promising for half of that,
   * then some of every file of tests, for what is noticed by none of the usual.
   */
  forMutant(file: string, tests: readonly string[], budgetMs: number): string[] {
    const last = this.#last.get(file);
    const ranked = tests
      .map((test) => ({ test, worth: test === last ? Number.POSITIVE_INFINITY : this.#worth(file, test) }))
      .sort((a, b) => b.worth - a.worth)
      .map(({ test }) => test);
    const { first, rest } = this.#split(ranked, budgetMs / 2);
    const { first: more } = this.#split(takingTurns(rest), budgetMs / 2);
    return first.length > 0 ? [...first, ...more] : ranked.slice(0, 1);
  }

  /** What fits, one after the other, and what does not. */
  #split(tests: readonly string[], budgetMs: number): { first: readonly string[]; rest: readonly string[] } {
    let leftMs = budgetMs;
    const fits = tests.map((test) => {
      if (this.durationMs(test) > leftMs) return false;
      leftMs -= this.durationMs(test);
      return true;
    });
    return { first: tests.filter((_, at) => fits[at]), rest: tests.filter((_, at) => !fits[at]) };
  }

  record(file: string, test: string, noticed: boolean): void {
    for (const tally of [this.#tally(file, test), this.#tally(file, fileOf(test))]) {
      tally.met += 1;
      if (noticed) tally.noticed += 1;
    }
    if (noticed) this.#last.set(file, test);
  }

  #worth(file: string, test: string): number {
    const ofFile = this.#tally(file, fileOf(test));
    const guess = (ofFile.noticed + FIRST_GUESS * FIRST_GUESS_WEIGHT) / (ofFile.met + FIRST_GUESS_WEIGHT);
    const { met, noticed } = this.#tally(file, test);
    return (noticed + guess) / (met + 1) / Math.max(this.durationMs(test), SHORTEST_MS);
  }

  #tally(file: string, name: string): Tally {
    const key = `${file} ${name}`;
    const known = this.#tallies.get(key);
    if (known !== undefined) return known;
    const tally = { met: 0, noticed: 0 };
    this.#tallies.set(key, tally);
    return tally;
  }
}

const fileOf = (test: string): string => test.split('#')[0]!;

/** The first of each file, then the second of each, and so on. */
function takingTurns(tests: readonly string[]): string[] {
  const counts = new Map<string, number>();
  const turns = tests.map((test) => {
    const turn = counts.get(fileOf(test)) ?? 0;
    counts.set(fileOf(test), turn + 1);
    return { test, turn };
  });
  return turns.sort((a, b) => a.turn - b.turn).map(({ test }) => test);
}
