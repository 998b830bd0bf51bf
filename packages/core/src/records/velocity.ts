/**
 * The stored form of a velocity: how much flowed in each of the last 24 buckets of its window. It survives restarts;
 * a window that a restart empties is no limit.
 */
import { type Codec, list, struct, u64 } from '@countersign/wire';
import { signedMsat } from './codecs.ts';
import type { RecordKind } from './kind.ts';

export const VELOCITY_BUCKETS = 24;

export interface VelocityRecord {
  /** Number of the newest bucket: its begin in seconds since 1970, divided by the bucket's length. */
  readonly newestBucket: bigint;
  readonly bucketSeconds: bigint;
  /** Millisatoshi, newest first; may be negative where flows back are credited. At most `VELOCITY_BUCKETS`. */
  readonly amountsMsat: readonly bigint[];
}

const codec: Codec<VelocityRecord> = struct({
  newestBucket: u64,
  bucketSeconds: u64,
  amountsMsat: list(signedMsat, VELOCITY_BUCKETS),
});

/** Id: the name of the velocity, e.g. `fee`. */
export const velocityRecords: RecordKind<VelocityRecord> = {
  name: 'velocity',
  schemaVersion: 1,
  codec,
  migrations: {},
};
