/** Where either end of the gRPC link says what happens to it; texts hold no secret and no bytes of a request. */
import type { LinkClock } from '../link/clock.ts';
import { LinkError } from '../link/error.ts';

export type GrpcLogLevel = 'debug' | 'info' | 'unusual' | 'broken';
export type GrpcLog = (level: GrpcLogLevel, text: string) => void;

/** Of each level: whoever reaches the port may come and go as often as it likes. */
export const LINES_PER_MINUTE_MAX = 20;
const MINUTE_MS = 60_000;

/** The first lines of each minute and level; with the next one after it, how many more there were. */
export function limitedLog(log: GrpcLog, clock: LinkClock): GrpcLog {
  const minutes = new Map<GrpcLogLevel, { readonly sinceMs: number; lines: number }>();
  return (level, text) => {
    const now = clock.monotonicMs();
    let minute = minutes.get(level);
    if (minute === undefined || now - minute.sinceMs >= MINUTE_MS) {
      const more = (minute?.lines ?? 0) - LINES_PER_MINUTE_MAX;
      if (more > 0) log(level, `${more} more such lines within a minute`);
      minute = { sinceMs: now, lines: 0 };
      minutes.set(level, minute);
    }
    minute.lines += 1;
    if (minute.lines <= LINES_PER_MINUTE_MAX) log(level, text);
  };
}

/** What the other side wrote, for a log or an error: one line of ASCII, no longer than `charactersMax`. */
export function foreignText(text: string, charactersMax = 512): string {
  const line = text.slice(0, charactersMax).replace(/[^\x20-\x7e]/g, '?');
  return text.length > charactersMax ? `${line}…` : line;
}

/** With the key that a stranger has: who is none after all can be pinned by it. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return foreignText(String(error));
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
  const pin = error instanceof LinkError && error.facts.pin !== undefined ? ` (${error.facts.pin})` : '';
  return foreignText(error.message + pin + cause);
}
