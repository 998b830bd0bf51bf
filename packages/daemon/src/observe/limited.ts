/**
 * Lines that a node can cause at will, a few of them in each minute: the rest is counted and told in one line. What is refused is in
 * the audit log and in the metrics all the same.
 */
export const LINES_PER_MINUTE_MAX = 60;
const MINUTE_MS = 60_000;

export class LimitedLines {
  readonly #monotonicMs: () => number;
  #windowStartMs = Number.NEGATIVE_INFINITY;
  #inWindow = 0;

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  /** Writes it, or counts it. `tellMore` gets how many were only counted in the minute that is over. */
  line(write: () => void, tellMore: (count: number) => void): void {
    const now = this.#monotonicMs();
    if (now - this.#windowStartMs >= MINUTE_MS) {
      const more = this.#inWindow - LINES_PER_MINUTE_MAX;
      if (more > 0) tellMore(more);
      this.#windowStartMs = now;
      this.#inWindow = 0;
    }
    this.#inWindow += 1;
    if (this.#inWindow <= LINES_PER_MINUTE_MAX) write();
  }
}
