/** Whether anything of a channel left the signer that would make a second life of the same secrets or keys dangerous. */
import type { ChannelRecord } from './record.ts';

/**
 * Nothing did. A commitment of ours that a new life would leave behind stays publishable, should its funding confirm,
 * unless the node has forgotten the channel.
 */
export function isUntouched(record: ChannelRecord): boolean {
  return (
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
