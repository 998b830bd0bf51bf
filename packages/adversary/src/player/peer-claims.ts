/**
 * What the peer takes of a closed channel: HTLCs offered to it, with the preimage, if that is how its payment ends; HTLCs
 * that it offered, after their expiry. What is its own beyond doubt may lie there: nothing depends on it.
 */
import { sign, toScriptSignature } from '../bitcoin/keys.ts';
import { SIGHASH, sighashV0 } from '../bitcoin/sighash.ts';
import { type Tx, withWitnesses } from '../bitcoin/transaction.ts';
import { htlcDigestOfBroadcaster } from '../bolt3/htlc.ts';
import { derivePrivateKey } from '../bolt3/keys.ts';
import { expiryWitness, htlcTransactionWitness, preimageWitness } from '../bolt3/witness.ts';
import { isComplete, type Payment } from './book.ts';
import { claimOf, SEQUENCE_RBF } from './claims.ts';
import type { BuiltHtlc } from './commitments.ts';
import type { Ending, Leftover } from './ending.ts';
import { peerScript } from './honest/closing.ts';
import { hasAnchors } from './requests.ts';

export async function peerClaims(ending: Ending): Promise<void> {
  const { built, world } = ending;
  if (built === null || ending.isRevoked) return;
  for (const leftover of ending.leftovers) {
    if (leftover.kind !== 'htlc' || world.chain.isSpent(leftover.outpoint)) continue;
    const payment = world.book.find(leftover.one!.htlc.paymentHash);
    const tx = payment === undefined ? null : peerClaim(ending, leftover, payment);
    if (tx !== null && world.chain.broadcast(tx) === null) leftover.isClaimed = true;
  }
}

function wants({ world }: Ending, { htlc }: BuiltHtlc, payment: Payment): Uint8Array | null | undefined {
  if (htlc.offeredBy === 'peer') return world.height >= htlc.cltvExpiry ? null : undefined;
  const isWanted = payment.ending === 'settled' && isComplete(payment) && world.height < htlc.cltvExpiry;
  return isWanted || payment.isKnown ? payment.preimage : undefined;
}

/** Null where the peer can't or won't. */
export function peerClaim(ending: Ending, { one, outpoint }: Leftover, payment: Payment): Tx | null {
  const preimage = one === null ? undefined : wants(ending, one, payment);
  if (one === null || preimage === undefined) return null;
  return ending.built!.side === 'peer'
    ? byHtlcTransaction(ending, one, preimage)
    : byItself(ending, one, outpoint, preimage);
}

/** From the owner's commitment. */
function byItself(
  { channel, built }: Ending,
  one: BuiltHtlc,
  outpoint: Leftover['outpoint'],
  preimage: Uint8Array | null,
): Tx | null {
  const claim = claimOf({
    outpoint,
    spent: one.output,
    witnessScript: one.witnessScript,
    sequence: hasAnchors(channel) ? 1 : SEQUENCE_RBF,
    locktime: preimage === null ? one.htlc.cltvExpiry : 0,
    destination: peerScript(channel),
    feeratePerKw: 1000,
  });
  if (claim === undefined) return null;
  const key = derivePrivateKey(channel.peer.secrets.htlc, built!.point);
  const digest = sighashV0(claim.tx, 0, one.witnessScript, one.output.value, SIGHASH.ALL);
  const signature = toScriptSignature(sign(digest, key), SIGHASH.ALL);
  const witness =
    preimage === null
      ? expiryWitness(signature, one.witnessScript)
      : preimageWitness(signature, preimage, one.witnessScript);
  return withWitnesses(claim.tx, [witness]);
}

/** From its own commitment, with the owner's signature on the HTLC transaction. */
function byHtlcTransaction(
  { channel, built, world }: Ending,
  one: BuiltHtlc,
  preimage: Uint8Array | null,
): Tx | null {
  const given = channel.peerCommitments.findLast((other) => other.built === built);
  const ownerSignature = given?.htlcSignatures[built!.htlcs.indexOf(one)];
  if (ownerSignature === undefined) return null;
  const key = derivePrivateKey(channel.peer.secrets.htlc, built!.point);
  const { tx, second, witnessScript } = one;
  // Without a fee of its own it brings a coin.
  const full = hasAnchors(channel) ? world.chain.withAttackerFee(tx) : tx;
  if (full === undefined) return null;
  const digest = htlcDigestOfBroadcaster(second, full);
  const witness = htlcTransactionWitness(
    toScriptSignature(ownerSignature, second.otherSighashType),
    toScriptSignature(sign(digest, key), SIGHASH.ALL),
    preimage,
    witnessScript,
  );
  return { ...full, inputs: full.inputs.map((input, i) => (i === 0 ? { ...input, witness } : input)) };
}
