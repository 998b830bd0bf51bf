/** What the signer is told of a commitment of LDK's: its values, as the signer sees the two sides. */
import type { Msat, Sat } from '@countersign/bitcoin';
import { type HsmHtlc, type MessageOf, SIGHASH_ALL } from '@countersign/wire';
import type { FirstCommitment } from './channel-book.ts';
import type { LdkCommitment, LdkHolderCommitment } from './commitment-content.ts';

export const firstOf = (number: bigint, toLocalSat: bigint, toRemoteSat: bigint): FirstCommitment => ({
  number,
  toLocalSat,
  toRemoteSat,
});

/** `broadcaster`: which side may publish the commitment, as the signer sees it. */
function htlcsOf({ htlcs }: LdkCommitment, broadcaster: 'local' | 'remote'): HsmHtlc[] {
  const other = broadcaster === 'local' ? 'remote' : 'local';
  return htlcs.map(({ isOfferedByBroadcaster, amountMsat, paymentHash, cltvExpiryBlocks }) => ({
    side: isOfferedByBroadcaster ? broadcaster : other,
    amount: amountMsat as Msat,
    paymentHash,
    cltvExpiry: cltvExpiryBlocks,
  }));
}

/** The peer's commitment. */
export function signingOf(commitment: LdkCommitment): MessageOf<'vls_sign_remote_commitment_tx2'> {
  return {
    name: 'vls_sign_remote_commitment_tx2',
    remotePerCommit: commitment.perCommitmentPoint,
    commitNum: commitment.number,
    feerate: commitment.feeratePerKw,
    toLocalValue: commitment.toCountersignatorySat as Sat,
    toRemoteValue: commitment.toBroadcasterSat as Sat,
    htlcs: htlcsOf(commitment, 'remote'),
  };
}

/** Our own commitment with the peer's signatures on it. The bytes of their types follow from the channel; these are not read. */
export function validationOf(commitment: LdkHolderCommitment): MessageOf<'vls_validate_commitment_tx2'> {
  const signed = (signature: Uint8Array) => ({ signature, sighash: SIGHASH_ALL });
  return {
    name: 'vls_validate_commitment_tx2',
    commitNum: commitment.number,
    feerate: commitment.feeratePerKw,
    toLocalValue: commitment.toBroadcasterSat as Sat,
    toRemoteValue: commitment.toCountersignatorySat as Sat,
    htlcs: htlcsOf(commitment, 'local'),
    sig: signed(commitment.counterpartySignature),
    htlcSigs: commitment.counterpartyHtlcSignatures.map(signed),
  };
}
