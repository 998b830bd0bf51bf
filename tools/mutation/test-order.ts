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

  /** `tests` for a mutant of `file`, most promising first, until together they take `budgetMs`; at least one. */
  forMutant(file: string, tests: readonly string[], budgetMs: number): string[] {
    const last = this.#last.get(file);
    const ranked = tests
      .map((test) => ({ test, worth: test === last ? Number.POSITIVE_INFINITY : this.#worth(file, test) }))
      .sort((a, b) => b.worth - a.worth);
    let sumMs = 0;
    return ranked
      .map(({ test }) => test)
      .filter((test, index) => {
        if (index > 0 && sumMs + this.durationMs(test) > budgetMs) return false;
        sumMs += this.durationMs(test);
        return true;
      });
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
