/**
 * What a link has to say to the operator: events with a stable name, never a secret. A stranger must not fill the disk with
 * lines, so what strangers cause is counted beyond the first few of a minute.
 */
import type { Facts } from '@countersign/bitcoin';
import type { LinkClock } from './clock.ts';

export type LinkEventName =
  | 'link-listening'
  | 'link-up'
  | 'link-standby'
  | 'link-replaced'
  | 'link-taken'
  | 'link-down'
  | 'link-dial-failed'
  | 'link-refused'
  | 'link-refused-more'
  | 'link-greeting-failed'
  | 'link-mute'
  | 'link-limits'
  | 'link-promoted'
  | 'link-place-not-kept'
  | 'link-revoked'
  | 'link-key-announced'
  | 'link-key-changed'
  | 'link-closed'
  | 'pairing-done'
  | 'pairing-refused';

export interface LinkEvent {
  readonly level: 'info' | 'warn';
  readonly event: LinkEventName;
  readonly text: string;
  readonly facts: Facts;
}

export type LinkLog = (event: LinkEvent) => void;

/** Both sides take what the smaller limit allows; whoever set it on one side only should know. */
export function tellLimits(log: LinkLog, hereBytes: number, thereBytes: number, there: string): void {
  if (hereBytes === thereBytes) return;
  log({
    level: 'warn',
    event: 'link-limits',
    text: `the longest frame has ${hereBytes} bytes here and ${thereBytes} at ${there}: the smaller limit holds; give both sides the same message_bytes_max`,
    facts: { here_bytes: hereBytes, there_bytes: thereBytes },
  });
}

export const REFUSALS_PER_MINUTE_MAX = 10;
const MINUTE_MS = 60_000;

/** The log of what strangers cause: the first few of each minute, then a line with how many more there were. */
export class RefusalLog {
  readonly #log: LinkLog;
  readonly #clock: LinkClock;
  #windowStartMs = Number.NEGATIVE_INFINITY;
  #inWindow = 0;

  constructor(log: LinkLog, clock: LinkClock) {
    this.#log = log;
    this.#clock = clock;
  }

  refused(
    event: 'link-refused' | 'link-taken' | 'link-mute' | 'pairing-refused',
    text: string,
    facts: Facts,
  ): void {
    const now = this.#clock.monotonicMs();
    if (now - this.#windowStartMs >= MINUTE_MS) {
      this.flush();
      this.#windowStartMs = now;
    }
    this.#inWindow++;
    if (this.#inWindow <= REFUSALS_PER_MINUTE_MAX) this.#log({ level: 'warn', event, text, facts });
  }

  /** Tell what was only counted so far. */
  flush(): void {
    const more = this.#inWindow - REFUSALS_PER_MINUTE_MAX;
    this.#inWindow = 0;
    if (more <= 0) return;
    this.#log({
      level: 'warn',
      event: 'link-refused-more',
      text: `${more} more connections were refused within a minute`,
      facts: { refused: more },
    });
  }
}
