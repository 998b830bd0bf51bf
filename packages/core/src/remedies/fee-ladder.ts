/**
 * What a claim pays: the caller's rates within the policy's, the more the nearer its deadline is, at last all of it but
 * dust (rules, law 5: before a deadline a sweep pays better fees than the adversary). No rung is too near to replace.
 */
import { type Sat, sat, scriptDustLimitSat, smaller } from '@countersign/bitcoin';
import type { Limits } from '../policy/settings.ts';
import { SMALL_OUTPUT_MAX_SAT } from '../spending/sweep-rules.ts';
import type { Rung } from './remedy.ts';

/** Satoshis per 1000 weight, by the caller's estimator. */
export interface Feerates {
  readonly normalPerKw: number;
  readonly urgentPerKw: number;
}

/** When an output may be claimed, and when somebody else may take it. */
export interface Window {
  readonly fromHeightBlocks: number;
  readonly deadlineHeightBlocks: number;
}

/** Blocks left to the deadline, and how many times the urgent rate is paid from there on; less in a short window. */
const URGENT_FROM = [
  [72, 1],
  [12, 2],
  [8, 4],
  [5, 8],
  [3, 16],
] as const;
/** With so many blocks left the urgent rate itself is paid, and no multiple of it. */
export const URGENT_AT_MOST_BLOCKS = 13;
/** The last block before the deadline: only the policy's highest rate and the value itself bound the fee. */
const ALL_FROM_BLOCKS = 2;
/** The shortest window in which all of these count in full: half of it goes by at the normal rate. */
const WINDOW_BLOCKS = 144;
/** BIP 125 rule 4: a replacement pays for its own relay besides, at 1 sat per vbyte. */
const REPLACEMENT_STEP_PER_KW = 253;

const within = (limits: Limits, feeratePerKw: number): number =>
  Math.min(Math.max(Math.ceil(feeratePerKw), limits.onchainFeerateMinPerKw), limits.onchainFeerateMaxPerKw);

/** By rising height; the first counts from the beginning. Without a deadline there is only that one. */
export function feeLadder(limits: Limits, feerates: Feerates, window: Window | null): readonly Rung[] {
  const rungs: Rung[] = [{ fromHeightBlocks: 0, feeratePerKw: within(limits, feerates.normalPerKw) }];
  if (window === null) return rungs;
  const { fromHeightBlocks, deadlineHeightBlocks } = window;
  const urgentPerKw = Math.max(feerates.normalPerKw, feerates.urgentPerKw);
  const scale = Math.min(1, Math.max(0, deadlineHeightBlocks - fromHeightBlocks) / WINDOW_BLOCKS);
  const add = (blocks: number, feeratePerKw: number) => {
    if (feeratePerKw < rungs.at(-1)!.feeratePerKw + REPLACEMENT_STEP_PER_KW) return;
    const blocksLeft = Math.max(ALL_FROM_BLOCKS, Math.ceil(blocks * scale));
    rungs.push({ fromHeightBlocks: Math.max(0, deadlineHeightBlocks - blocksLeft), feeratePerKw });
  };
  for (const [blocks, times] of URGENT_FROM) add(blocks, within(limits, urgentPerKw * times));
  add(ALL_FROM_BLOCKS, limits.onchainFeerateMaxPerKw);
  return rungs;
}

/** The rate to pay at this height of the tip. */
export function rateAt(rungs: readonly Rung[], heightBlocks: number): number {
  return rungs.findLast(({ fromHeightBlocks }) => fromHeightBlocks <= heightBlocks)!.feeratePerKw;
}

export const feeAt = (feeratePerKw: number, weight: number): bigint =>
  (BigInt(feeratePerKw) * BigInt(weight) + 999n) / 1000n;

export interface FeeQuestion {
  readonly feeratePerKw: number;
  readonly weight: number;
  /** Of everything that is spent. */
  readonly valueSat: bigint;
  readonly destination: Uint8Array;
  /** Nobody else can take it: then only a share of it may go to fees, unless it is small. */
  readonly isUncontested: boolean;
}

/** The fee, or null: at the least rate nothing but dust would be left. */
export function claimFee(limits: Limits, question: FeeQuestion): Sat | null {
  const { feeratePerKw, weight, valueSat, destination, isUncontested } = question;
  const leastSat = feeAt(limits.onchainFeerateMinPerKw, weight);
  // Rates round up, limits round down.
  const cappedSat = (BigInt(limits.onchainFeerateMaxPerKw) * BigInt(weight)) / 1000n;
  let mostSat = smaller(
    smaller(cappedSat, limits.onchainFeeMaxSat),
    valueSat - scriptDustLimitSat(destination),
  );
  if (isUncontested) {
    const shareSat = (valueSat * BigInt(limits.sweepFeeMaxPercent)) / 100n;
    const usualSat = (BigInt(limits.feerateMaxPerKw) * BigInt(weight)) / 1000n;
    mostSat = smaller(mostSat, valueSat > SMALL_OUTPUT_MAX_SAT ? shareSat : usualSat);
  }
  return mostSat < leastSat ? null : sat(smaller(feeAt(feeratePerKw, weight), mostSat));
}
