/**
 * Whether the signer is there, as the operator hears of it and as requests feel it: lines in the log that say what is waited
 * for and what to do, and an end to waiting where the operator wants one.
 */
import type { LinkState, SignerLink } from './protocol.ts';

/** As lightningd names its levels. */
export type PresenceLogLevel = 'debug' | 'info' | 'unusual' | 'broken';

export interface PresenceOptions {
  readonly link: Pick<SignerLink, 'state' | 'onState'>;
  /** Where the signer is waited for, and how it gets there: one line each. */
  readonly advice: () => readonly string[];
  readonly log: (level: PresenceLogLevel, text: string) => void;
  /** lightningd reads its log's socket only after INIT: until then the terminal or the journal is all there is. */
  readonly tellTerminal: (text: string) => void;
  readonly startPatienceMs: number | null;
  readonly linkPatienceMs: number | null;
  readonly monotonicMs: () => number;
}

/** While nobody comes, the wait is told again after so long, then always after the last of them. */
const REMINDER_MS = [10_000, 20_000, 30_000, 60_000];
/** A link that is back sooner was never away for lightningd; it is worth no line of its own. */
export const BLINK_MS = 1_000;

const isAwaited = (state: LinkState): boolean => state === 'waiting' || state === 'down';

export class Presence {
  readonly #options: PresenceOptions;
  readonly #endListening: () => void;
  /** Of `settled`: those who wait for a change. */
  #wakers: (() => void)[] = [];
  #lostAtMs: number | null = null;
  #isTold = false;
  #isGivenUp = false;
  #timers: NodeJS.Timeout[] = [];

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#endListening = options.link.onState((state) => this.#changed(state));
  }

  /** The operator's patience with a lost link is over, until it is back. */
  get isGivenUp(): boolean {
    return this.#isGivenUp;
  }

  /** Until the first signer is there. False when the operator's patience ended first, or the link is closed. */
  async first(): Promise<boolean> {
    const { link, advice, startPatienceMs, monotonicMs } = this.#options;
    if (isAwaited(link.state)) for (const line of advice()) this.#say('unusual', line);
    const beganMs = monotonicMs();
    const endMs = startPatienceMs === null ? Number.POSITIVE_INFINITY : beganMs + startPatienceMs;
    for (let told = 0; isAwaited(link.state); told++) {
      if (monotonicMs() >= endMs) return false;
      const reminderMs = REMINDER_MS[Math.min(told, REMINDER_MS.length - 1)]!;
      await this.#awaited(Math.min(monotonicMs() + reminderMs, endMs));
      if (!isAwaited(link.state) || monotonicMs() >= endMs) continue;
      const [line = ''] = advice();
      this.#say('unusual', `still ${line} (${Math.round((monotonicMs() - beganMs) / 1000)} s)`);
    }
    return link.state === 'up';
  }

  /** Until somebody came, or the link is closed, or it is so late. */
  async #awaited(untilMs: number): Promise<void> {
    const { link, monotonicMs } = this.#options;
    for (let leftMs = 1; leftMs > 0 && isAwaited(link.state); leftMs = untilMs - monotonicMs()) {
      await this.#change(Math.max(0, untilMs - monotonicMs()));
    }
  }

  /** The answer, or null when the operator's patience with a lost link ends first. */
  async patiently<T>(answer: Promise<T>): Promise<T | null> {
    if (this.#options.linkPatienceMs === null) return answer;
    let wake: () => void = () => {};
    const givenUp = new Promise<null>((resolve) => {
      wake = () => {
        if (this.#isGivenUp) resolve(null);
      };
      this.#wakers.push(wake);
      wake();
    });
    try {
      return await Promise.race([answer, givenUp]);
    } finally {
      this.#wakers = this.#wakers.filter((one) => one !== wake);
    }
  }

  close(): void {
    this.#endListening();
    this.#clearTimers();
    this.#wake();
  }

  #changed(state: LinkState): void {
    this.#clearTimers();
    if (state === 'down') this.#lost();
    if (state === 'up') this.#back();
    this.#wake();
  }

  #lost(): void {
    this.#lostAtMs ??= this.#options.monotonicMs();
    const { linkPatienceMs } = this.#options;
    this.#later(BLINK_MS, () => {
      this.#isTold = true;
      const end = linkPatienceMs === null ? '' : `, for at most ${linkPatienceMs / 1000} s`;
      this.#say('unusual', `the link to the signer is lost: requests wait for it${end}`);
    });
    if (linkPatienceMs === null) return;
    this.#later(linkPatienceMs, () => {
      this.#isGivenUp = true;
      this.#isTold = true;
      this.#say('broken', 'the signer did not come back: requests are refused until it does');
      this.#wake();
    });
  }

  #back(): void {
    const { log, monotonicMs } = this.#options;
    const awayMs = this.#lostAtMs === null ? null : Math.round(monotonicMs() - this.#lostAtMs);
    if (awayMs === null) log('info', 'countersign: the signer is there');
    else if (this.#isTold) this.#say('unusual', `the signer is back after ${(awayMs / 1000).toFixed(1)} s`);
    else log('debug', `countersign: the link to the signer blinked for ${awayMs} ms`);
    this.#lostAtMs = null;
    this.#isTold = false;
    this.#isGivenUp = false;
  }

  #say(level: PresenceLogLevel, text: string): void {
    this.#options.log(level, `countersign: ${text}`);
    this.#options.tellTerminal(`countersign: ${text}`);
  }

  /** Until the state changes, or so long. */
  #change(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#wakers = this.#wakers.filter((one) => one !== done);
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      this.#wakers.push(done);
    });
  }

  #wake(): void {
    for (const wake of [...this.#wakers]) wake();
  }

  #later(delayMs: number, action: () => void): void {
    this.#timers.push(setTimeout(action, delayMs).unref());
  }

  #clearTimers(): void {
    for (const timer of this.#timers.splice(0)) clearTimeout(timer);
  }
}
