/** Waiting that a signal ends. */
import { setTimeout as sleepOrReject } from 'node:timers/promises';

export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

/** Resolves early when the signal comes. */
export const sleep: Sleep = async (ms, signal) => {
  try {
    await sleepOrReject(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
};
