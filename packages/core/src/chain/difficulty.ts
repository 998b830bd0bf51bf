/**
 * The target that the next header must have, computed as Bitcoin Core does (pow.cpp, GetNextWorkRequired and
 * CalculateNextWorkRequired, BIP 94): never bounded or taken from the header itself.
 */
import { compactOfTarget, targetOfCompact } from '@countersign/bitcoin';
import {
  type ChainParams,
  MIN_DIFFICULTY_AFTER_SECONDS,
  RETARGET_BLOCKS,
  RETARGET_SECONDS,
} from './params.ts';

/** What a header contributes to the difficulty of later ones. */
export interface Timed {
  readonly timeSeconds: number;
  readonly bits: number;
}

/** Headers already judged, by height; null below what is known. */
export type HeaderAt = (heightBlocks: number) => Timed | null;

/** After a whole period: `first` and `last` are its outer headers. */
export function retargetedBits(
  params: Pick<ChainParams, 'limitBits' | 'enforcesBip94'>,
  first: Timed,
  last: Timed,
): number {
  const seconds = Math.min(
    Math.max(last.timeSeconds - first.timeSeconds, RETARGET_SECONDS / 4),
    RETARGET_SECONDS * 4,
  );
  // BIP 94: the first block keeps the true difficulty, it is never one of the exceptions.
  const before = targetOf(params.enforcesBip94 ? first.bits : last.bits);
  const target = (before * BigInt(seconds)) / BigInt(RETARGET_SECONDS);
  const limit = targetOf(params.limitBits);
  return compactOfTarget(target > limit ? limit : target);
}

/** Of bits that were judged before: those of a header on record. */
const targetOf = (bits: number): bigint => targetOfCompact(bits)!;

/**
 * Bits of a header at `heightBlocks` with that time; null when headers that the rule needs are not known. `heightBlocks`
 * is at least 1 and its parent known.
 */
export function expectedBits(
  params: ChainParams,
  headerAt: HeaderAt,
  heightBlocks: number,
  timeSeconds: number,
): number | null {
  const parent = headerAt(heightBlocks - 1);
  if (parent === null) return null;
  // Regtest: every header has the limit, the exceptions included.
  if (params.isFixed) return parent.bits;
  if (heightBlocks % RETARGET_BLOCKS === 0) {
    const first = headerAt(heightBlocks - RETARGET_BLOCKS);
    return first === null ? null : retargetedBits(params, first, parent);
  }
  if (!params.allowsMinDifficulty) return parent.bits;
  if (timeSeconds > parent.timeSeconds + MIN_DIFFICULTY_AFTER_SECONDS) return params.limitBits;
  return lastOrdinaryBits(params, headerAt, heightBlocks - 1);
}

/** The last bits in this period that no exception set. */
function lastOrdinaryBits(params: ChainParams, headerAt: HeaderAt, fromHeightBlocks: number): number | null {
  for (let height = fromHeightBlocks; ; height--) {
    const header = headerAt(height);
    if (header === null) return null;
    if (height % RETARGET_BLOCKS === 0 || header.bits !== params.limitBits) return header.bits;
  }
}
