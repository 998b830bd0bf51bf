/**
 * The stored form of the trim line: below which amount an HTLC may be invisible in some channel of this node. Channels
 * trim differently, so what one of them shows may have its cover in another that does not.
 */
import type { Sat } from '@countersign/bitcoin';
import { struct } from '@countersign/wire';
import { exactNumber, satoshis } from './codecs.ts';
import type { RecordKind } from './kind.ts';

export interface TrimLine {
  /** The highest that any commitment had. */
  readonly belowSat: Sat;
  readonly seenAtSeconds: number;
}

/** One record, id `line`; none while every channel trims by the dust limit alone. */
export const trimLineRecords: RecordKind<TrimLine> = {
  name: 'trim-line',
  schemaVersion: 1,
  codec: struct({ belowSat: satoshis, seenAtSeconds: exactNumber }),
  migrations: {},
};
