/**
 * Where HTLC transactions pay fees, the fee rate decides which HTLCs have an output (BOLT 3 "Trimmed Outputs"), and the
 * node never tells of the others. An HTLC that a channel with anchors shows may so be covered by one that another channel
 * hides; how large that may be is the highest line of any commitment lately.
 */
import { type CommitmentFormat, hasAnchors, larger, sat } from '@countersign/bitcoin';
import type { OpenChannel } from '../channel/lookup.ts';
import type { Context } from '../context.ts';
import { trimLineRecords } from '../records/trim-line.ts';
import { mayBeTrimmedBelowSat } from './explain.ts';

const ID = 'line';
/** The longest that an HTLC stays (2,016 blocks): what was higher before hides none that still stands. */
const LINE_SECONDS = 14 * 24 * 3600;

/** A commitment at this fee rate is signed, or becomes current. */
export function noteTrimLine(ctx: Context, format: CommitmentFormat, feeratePerKw: number): void {
  if (hasAnchors(format)) return;
  const belowSat = mayBeTrimmedBelowSat(format, 'received', feeratePerKw);
  const known = ctx.draft.get(trimLineRecords, ID);
  const isOver = known !== null && ctx.nowSeconds - known.seenAtSeconds > LINE_SECONDS;
  if (known !== null && !isOver && known.belowSat >= belowSat) return;
  ctx.draft.put(trimLineRecords, ID, { belowSat: sat(belowSat), seenAtSeconds: ctx.nowSeconds });
}

/** The amount below which the cover of an HTLC that this channel shows may be invisible, in it or in another. */
export function hiddenBelowMsat(ctx: Context, { setup, record }: OpenChannel): bigint {
  const rates = record.candidates.flatMap(({ issued }) => issued.map(({ feeratePerKw }) => feeratePerKw));
  const own = mayBeTrimmedBelowSat(setup.format, 'received', Math.max(0, ...rates));
  return 1000n * larger(own, ctx.draft.get(trimLineRecords, ID)?.belowSat ?? 0n);
}
