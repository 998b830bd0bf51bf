/**
 * Wallet transactions that carry a signature of ours. A channel whose funding is among them is in use, whichever the
 * node told the signer of first: the signature or the channel.
 */
import { struct } from '@countersign/wire';
import type { RecordKind } from './kind.ts';

/** Id: the txid in display hex. The record says all by being there. */
export const signedTransactionRecords: RecordKind<Readonly<Record<never, never>>> = {
  name: 'signed-transaction',
  schemaVersion: 1,
  codec: struct({}),
  migrations: {},
};
