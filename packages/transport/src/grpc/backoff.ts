/** How long to wait after failures: twice as long each time up to a limit, and by chance up to half of it less. */
import { fraction, type RandomBytes } from '../link/clock.ts';

export interface BackoffBounds {
  readonly firstMs: number;
  readonly longestMs: number;
}

/** `failures` before this one. */
export function delayAfter(
  failures: number,
  { firstMs, longestMs }: BackoffBounds,
  random: RandomBytes,
): number {
  const ms = Math.min(firstMs * 2 ** Math.min(failures, 30), longestMs);
  return Math.round(ms * (1 - fraction(random) / 2));
}
