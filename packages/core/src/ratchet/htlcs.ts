/**
 * The HTLC list of a request as the signer keeps it: sides named, nothing else changed.
 */
import type { HsmHtlc } from '@countersign/wire';
import type { CommitmentContent, HtlcRecord } from '../channel/record.ts';
import { sharingHtlcs } from '../ledger/htlc-set.ts';

/**
 * hsm_htlc: `side` is the side that offered it, seen from the node the signer belongs to. `before`: the newest commitment
 * of the same view, whose HTLCs mostly stand in this one too.
 */
export function htlcsFromWire(
  htlcs: readonly HsmHtlc[],
  before: CommitmentContent | undefined,
): readonly HtlcRecord[] {
  const records = htlcs.map(
    (htlc): HtlcRecord => ({
      offeredBy: htlc.side === 'local' ? 'holder' : 'counterparty',
      amountMsat: htlc.amount,
      paymentHash: htlc.paymentHash,
      cltvExpiry: htlc.cltvExpiry,
    }),
  );
  return sharingHtlcs(records, before?.htlcs ?? []);
}
