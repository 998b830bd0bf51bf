/**
 * Posts alarms, in their order, and does not give up: the receiver may be down exactly when it matters. The waits between tries
 * double up to a minute. What waits is bounded; the oldest goes first, since the newest says how things are.
 */
import { HttpError } from './http.ts';

export const WAITING_MAX = 32;
const WAIT_MS_MIN = 1000;
const WAIT_MS_MAX = 60_000;

export interface WebhookOptions {
  /** Rejects with `HttpError` if it was not taken. */
  readonly post: (body: object) => Promise<void>;
  /** Rejects when the monitor ends. */
  readonly sleep: (ms: number) => Promise<void>;
  readonly onProblem: (text: string) => void;
  /** What ends the monitor, whatever it is. */
  readonly onBug: (error: unknown) => void;
}

export class Webhook {
  readonly #options: WebhookOptions;
  readonly #waiting: object[] = [];
  #sending: Promise<void> | null = null;

  constructor(options: WebhookOptions) {
    this.#options = options;
  }

  announce(body: object): void {
    this.#waiting.push(body);
    if (this.#waiting.length > WAITING_MAX) {
      this.#waiting.shift();
      this.#options.onProblem(`more than ${WAITING_MAX} alarms wait for the webhook: the oldest is dropped`);
    }
    this.#sending ??= this.#send().catch(this.#options.onBug);
  }

  async #send(): Promise<void> {
    for (let body = this.#waiting[0]; body !== undefined; body = this.#waiting[0]) {
      await deliver(body, Number.POSITIVE_INFINITY, this.#options);
      // It may have been dropped meanwhile.
      if (this.#waiting[0] === body) this.#waiting.shift();
    }
    this.#sending = null;
  }
}

/** False: not taken after so many tries. */
export async function deliver(
  body: object,
  triesMax: number,
  { post, sleep, onProblem }: Omit<WebhookOptions, 'onBug'>,
): Promise<boolean> {
  let waitMs = WAIT_MS_MIN;
  for (let tries = 1; ; tries++) {
    try {
      await post(body);
      return true;
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      onProblem(`the webhook did not take an alarm: ${error.message}`);
    }
    if (tries >= triesMax) return false;
    await sleep(waitMs);
    waitMs = Math.min(2 * waitMs, WAIT_MS_MAX);
  }
}
