/**
 * Signs a remedy: one signature per input, into the place that the plan keeps for it. Whoever calls it holds a plan of
 * `remedies/`, whose changes, if it has any, are durable.
 */
import {
  encodeScriptSignature,
  invariant,
  segwitV0Midstate,
  segwitV0Sighash,
  serializeTransaction,
} from '@countersign/bitcoin';
import type { ChannelRef } from '../context.ts';
import type { Remedy, RemedyKey } from '../remedies/remedy.ts';
import type { KeyRing } from './keyring.ts';
import { signDelayed, signFunding, signHtlc, signRevocation, signToRemote } from './sign.ts';

/** The raw transaction. */
export function signRemedy(ring: KeyRing, remedy: Remedy): Uint8Array {
  const { transaction, inputs, ref } = remedy;
  invariant(remedy.isReleased, 'a commitment is signed only when the record says that the channel ends', {
    kind: remedy.kind,
  });
  const midstate = segwitV0Midstate(transaction);
  const signed = transaction.inputs.map((input, i) => {
    const { scriptCode, spent, sighashType, key, witness } = inputs[i]!;
    const sighash = segwitV0Sighash(midstate, i, scriptCode, spent.value, sighashType);
    const signature = encodeScriptSignature(signWith(ring, ref, key, sighash), sighashType);
    return { ...input, witness: witness.map((item) => item ?? signature) };
  });
  return serializeTransaction({ ...transaction, inputs: signed });
}

function signWith(ring: KeyRing, channel: ChannelRef, key: RemedyKey, sighash: Uint8Array): Uint8Array {
  switch (key.kind) {
    case 'funding':
      return signFunding(ring, channel, sighash);
    case 'to-remote':
      return signToRemote(ring, channel, sighash);
    case 'htlc':
      return signHtlc(ring, channel, key.perCommitmentPoint, sighash);
    case 'delayed':
      return signDelayed(ring, channel, key.perCommitmentPoint, sighash);
    case 'revocation':
      return signRevocation(ring, channel, key.perCommitmentSecret, sighash);
  }
}
