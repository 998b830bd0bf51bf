/** Whether anything of a channel left the signer that would make a second life of the same secrets or keys dangerous. */
import type { ChainView } from '../chain/view.ts';
import type { ChannelRecord } from './record.ts';

/** The chain has, or had, a funding of it: what the peer pushed to us may lie there, whatever the node forgets. */
export function isFundingSeen({ candidates }: ChannelRecord, chain: ChainView | null): boolean {
  return chain !== null && candidates.some(({ outpoint }) => chain.outpoint(outpoint).kind !== 'unknown');
}

/**
 * Nothing did. A commitment of ours that a new life would leave behind stays publishable, should its funding confirm,
 * unless the node has forgotten the channel.
 */
export function isUntouched(record: ChannelRecord, chain: ChainView | null): boolean {
  return (
    !isFundingSeen(record, chain) &&
    record.holderNextRevoke === 0 &&
    record.counterpartyNextSign <= 1 &&
    record.holderSigned === null &&
    !record.mutualCloseSigned &&
    record.locked === null &&
    !record.frozen &&
    !record.stopped &&
    record.splicesSigned.length === 0 &&
    record.candidates.every((c) => !c.fundingSigned && (record.forgotten || c.validated.length === 0))
  );
}
