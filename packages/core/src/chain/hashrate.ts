/**
 * Notices blocks that stay away: whoever feeds the signer may withhold them, or show a chain that a small part of the miners
 * extends. An alarm for people; nothing is refused by it.
 */
import type { Warning } from '../context.ts';
import type { Limits } from '../policy/settings.ts';
import { CHAIN_ID, chainRecords, headerRecords, heightId } from '../records/chain.ts';
import { timedOf } from './headers.ts';
import type { ChainPlace } from './input.ts';
import { FUTURE_SECONDS_MAX, SPACING_SECONDS } from './params.ts';
import { chainHashrate } from './rules.ts';

const HOUR = 3600;
const WINDOWS_HOURS = [6, 24] as const;
/** Once in a million windows by chance. */
const CHANCE_MIN = 1e-6;

/** How likely at most `count` blocks are where `expected` are expected: blocks come as a Poisson process. */
export function chanceOfSoFew(count: number, expected: number): number {
  let term = Math.exp(-expected);
  let sum = term;
  for (let i = 1; i <= count; i++) {
    term *= expected / i;
    sum += term;
  }
  return sum;
}

/**
 * `timesSeconds` of the headers up to the tip, in any order; a window that reaches back beyond the oldest is not judged.
 */
export function slowdown(
  timesSeconds: readonly number[],
  nowSeconds: number,
  { chainSilenceSecondsMax }: Pick<Limits, 'chainSilenceSecondsMax'>,
): Warning | null {
  const { tag } = chainHashrate;
  const newest = timesSeconds.reduce((a, b) => Math.max(a, b));
  const silenceSeconds = nowSeconds - newest;
  if (silenceSeconds > chainSilenceSecondsMax) {
    const facts = { silence_seconds: silenceSeconds, silence_seconds_max: chainSilenceSecondsMax };
    return { tag, message: 'no block for too long', facts };
  }
  const oldest = timesSeconds.reduce((a, b) => Math.min(a, b));
  for (const hours of WINDOWS_HOURS) {
    const sinceSeconds = nowSeconds - hours * HOUR;
    if (oldest > sinceSeconds) return null;
    const blocks = timesSeconds.filter((time) => time > sinceSeconds).length;
    const expectedBlocks = (hours * HOUR) / SPACING_SECONDS;
    if (chanceOfSoFew(blocks, expectedBlocks) >= CHANCE_MIN) continue;
    const facts = { window_hours: hours, blocks, expected_blocks: expectedBlocks };
    return { tag, message: 'fewer blocks than plausible', facts };
  }
  return null;
}

/** The alarm about the chain on record as of now; null when blocks come as they should, and on regtest. */
export function hashrateAlarm({
  draft,
  policy,
  nowSeconds,
}: Pick<ChainPlace, 'draft' | 'policy' | 'nowSeconds'>): Warning | null {
  const chain = draft.get(chainRecords, CHAIN_ID);
  if (chain === null || policy.network.name === 'regtest') return null;
  const enoughSeconds = nowSeconds - Math.max(...WINDOWS_HOURS) * HOUR - FUTURE_SECONDS_MAX;
  const times: number[] = [];
  for (let height = chain.tipHeightBlocks; height >= chain.baseHeightBlocks; height--) {
    const { timeSeconds } = timedOf(draft.get(headerRecords, heightId(height))!);
    times.push(timeSeconds);
    if (timeSeconds < enoughSeconds) break;
  }
  return slowdown(times, nowSeconds, policy.limits);
}
