/**
 * Medians and the like; all times in microseconds.
 */
import { quantile } from '@countersign/cli';

export interface Times {
  readonly count: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly meanUs: number;
}

export function summarize(timesUs: readonly number[]): Times {
  const sorted = [...timesUs].sort((a, b) => a - b);
  const sum = sorted.reduce((total, one) => total + one, 0);
  return {
    count: sorted.length,
    p50Us: quantile(sorted, 0.5),
    p99Us: quantile(sorted, 0.99),
    meanUs: sorted.length === 0 ? 0 : sum / sorted.length,
  };
}

export async function timeUs(action: () => Promise<void> | void): Promise<number> {
  const started = process.hrtime.bigint();
  await action();
  return Number(process.hrtime.bigint() - started) / 1000;
}

/** Two significant digits: more would pretend. Nothing against less than a microsecond. */
export function ratio(of: number, to: number): string {
  return to < 1 ? '–' : `${(of / to).toPrecision(2)}×`;
}

export function milliseconds(us: number): string {
  return `${(us / 1000).toFixed(us < 10_000 ? 2 : us < 100_000 ? 1 : 0)} ms`;
}

export function microseconds(us: number): string {
  return `${us.toFixed(us < 100 ? 1 : 0)} µs`;
}
