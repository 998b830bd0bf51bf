/**
 * The HTLC list of a request as the signer keeps it: sides named, nothing else changed.
 */
import type { HsmHtlc } from '@countersign/wire';
import type { HtlcRecord } from '../channel/record.ts';

/** hsm_htlc: `side` is the side that offered it, seen from the node the signer belongs to. */
export function htlcsFromWire(htlcs: readonly HsmHtlc[]): readonly HtlcRecord[] {
  return htlcs.map((htlc) => ({
    offeredBy: htlc.side === 'local' ? 'holder' : 'counterparty',
    amountMsat: htlc.amount,
    paymentHash: htlc.paymentHash,
    cltvExpiry: htlc.cltvExpiry,
  }));
}
