/**
 * What keeps a follower from getting on, told once and not with every attempt: again when it is another problem, when it
 * lasts, and when it is over.
 */
import type { ChainLog } from './log.ts';

/** A problem that lasts is told again after so long. */
export const REMIND_MS = 600_000;

export class Problems {
  readonly #monotonicMs: () => number;
  readonly #log: ChainLog;
  #current: { readonly text: string; readonly sinceMs: number; readonly toldMs: number } | null = null;

  constructor(monotonicMs: () => number, log: ChainLog) {
    this.#monotonicMs = monotonicMs;
    this.#log = log;
  }

  get current(): string | null {
    return this.#current?.text ?? null;
  }

  report(level: 'warn' | 'error', text: string): void {
    const nowMs = this.#monotonicMs();
    const before = this.#current;
    const sinceMs = before?.sinceMs ?? nowMs;
    if (before !== null && isSame(before.text, text) && nowMs - before.toldMs < REMIND_MS) return;
    const minutes = Math.floor((nowMs - sinceMs) / 60_000);
    this.#log(level, minutes === 0 ? text : `${text}; for ${minutes} min now`);
    this.#current = { text, sinceMs, toldMs: nowMs };
  }

  over(): void {
    if (this.#current === null) return;
    this.#current = null;
    this.#log('info', 'the chain is followed again');
  }
}

/** A height that rises meanwhile is no other problem. */
const isSame = (a: string, b: string): boolean => withoutNumbers(a) === withoutNumbers(b);
const withoutNumbers = (text: string): string => text.replace(/\d+/g, '#');
