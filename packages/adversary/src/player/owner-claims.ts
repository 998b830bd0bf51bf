/** What an honest node claims of a closed channel, as CLN's onchaind does: each request as soon as its claim is valid. */
import { toScriptSignature } from '../bitcoin/keys.ts';
import { type Tx, txidOf, withWitnesses } from '../bitcoin/transaction.ts';
import {
  delayedPenaltyWitness,
  delayedWitness,
  expiryWitness,
  htlcPenaltyWitness,
  htlcTransactionWitness,
  preimageWitness,
  type Witness,
} from '../bolt3/witness.ts';
import { NODE } from '../subject.ts';
import {
  type Claim,
  delayedClaim,
  delayedRequest,
  localHtlcRequest,
  penaltyClaim,
  penaltyRequest,
  remoteHtlcClaim,
  remoteHtlcRequest,
  secondLevelClaim,
} from './claims.ts';
import type { BuiltHtlc } from './commitments.ts';
import type { Ending, Leftover } from './ending.ts';
import { mingle } from './mingle.ts';
import { sweepToRemote } from './to-remote.ts';

const CLAIM_FEERATE = 1000;

const options = (ending: Ending) => ({
  destination: ending.world.receivingScript(),
  feeratePerKw: CLAIM_FEERATE + ending.world.dice.roll(500),
});

export async function ownerClaims(ending: Ending): Promise<void> {
  const { built } = ending;
  if (built === null) return;
  for (const leftover of [...ending.leftovers]) {
    // A claim that a reorg took off the chain is made again.
    if (ending.world.chain.isSpent(leftover.outpoint)) continue;
    const claimed = await claim(ending, leftover);
    if (claimed === null) continue;
    leftover.isClaimed = ending.world.chain.broadcast(claimed) === null;
    if (leftover.isClaimed && leftover.kind === 'htlc' && built.side === 'owner')
      ending.replaceSecondLevel(secondLevelOf(claimed, leftover.one!));
  }
}

/** The signed transaction; null where nothing can be done yet, or it was refused. */
async function claim(ending: Ending, leftover: Leftover): Promise<Tx | null> {
  const { built } = ending;
  if (built === null) return null;
  if (built.side === 'owner') {
    if (leftover.kind === 'to_local') return claimDelayed(ending);
    if (leftover.kind === 'htlc') return claimByHtlcTx(ending, leftover.one!);
    return leftover.kind === 'second-level' ? claimSecondLevel(ending, leftover) : null;
  }
  if (leftover.kind === 'to_remote') return sweepToRemote(ending, leftover);
  if (ending.isRevoked) return claimByPenalty(ending, leftover);
  return leftover.kind === 'htlc' ? claimRemoteHtlc(ending, leftover.one!) : null;
}

const secondLevelOf = (tx: Tx, one: BuiltHtlc): Leftover => ({
  kind: 'second-level',
  outpoint: { txid: txidOf(tx), vout: 0 },
  vout: 0,
  one,
  tx,
  isClaimed: false,
});

const signed = ({ tx }: Claim, witness: Witness): Tx => withWitnesses(tx, [witness]);

async function claimDelayed(ending: Ending): Promise<Tx | null> {
  const { world, channel, built } = ending;
  if (ending.depth < channel.terms.delayBlocks.owner) return null;
  const found = delayedClaim(channel, built!, options(ending));
  if (found === undefined) return null;
  const reply = await world.ask(NODE, delayedRequest(channel, built!.number, found));
  if (reply === null) return null;
  const { signature, sighash } = reply.sig;
  return signed(found, delayedWitness(toScriptSignature(signature, sighash), found.witnessScript));
}

async function claimSecondLevel(ending: Ending, { tx, one }: Leftover): Promise<Tx | null> {
  const { world, channel, built } = ending;
  if (world.chain.depthOf(txidOf(tx)) < channel.terms.delayBlocks.owner) return null;
  const found = secondLevelClaim(channel, tx, one!.second.outputScript, options(ending));
  if (found === undefined) return null;
  const reply = await world.ask(NODE, delayedRequest(channel, built!.number, found));
  if (reply === null) return null;
  const { signature, sighash } = reply.sig;
  return signed(found, delayedWitness(toScriptSignature(signature, sighash), found.witnessScript));
}

/** The preimage where it is known and wanted; undefined where the HTLC can't be taken now. */
function reason(ending: Ending, { htlc }: BuiltHtlc): Uint8Array | null | undefined {
  const { world } = ending;
  if (htlc.offeredBy === 'owner') return world.height >= htlc.cltvExpiry ? null : undefined;
  const payment = world.book.find(htlc.paymentHash);
  return payment?.isKnown === true ? payment.preimage : undefined;
}

async function claimByHtlcTx(ending: Ending, one: BuiltHtlc): Promise<Tx | null> {
  const { world, channel, built } = ending;
  const preimage = reason(ending, one);
  const index = built!.htlcs.indexOf(one);
  const commitment = channel.ownerCommitments.findLast((other) => other.built === built);
  const peerSignature = commitment?.peerHtlcSignatures[index];
  if (preimage === undefined || peerSignature === undefined) return null;
  const reply = await world.ask(NODE, localHtlcRequest(channel, built!, one));
  if (reply === null) return null;
  const { signature, sighash } = reply.sig;
  const witness = htlcTransactionWitness(
    toScriptSignature(peerSignature, one.second.otherSighashType),
    toScriptSignature(signature, sighash),
    preimage,
    one.witnessScript,
  );
  return mingle(ending, one, withWitnesses(one.tx, [witness]));
}

async function claimRemoteHtlc(ending: Ending, one: BuiltHtlc): Promise<Tx | null> {
  const { world, channel, built } = ending;
  const preimage = reason(ending, one);
  const found = preimage === undefined ? undefined : remoteHtlcClaim(channel, built!, one, options(ending));
  if (found === undefined || preimage === undefined) return null;
  const reply = await world.ask(NODE, remoteHtlcRequest(channel, built!, found));
  if (reply === null) return null;
  const signature = toScriptSignature(reply.sig.signature, reply.sig.sighash);
  const { witnessScript } = found;
  return signed(
    found,
    preimage === null
      ? expiryWitness(signature, witnessScript)
      : preimageWitness(signature, preimage, witnessScript),
  );
}

async function claimByPenalty(ending: Ending, { vout, kind }: Leftover): Promise<Tx | null> {
  const { world, channel, built } = ending;
  const found = penaltyClaim(built!, vout, options(ending));
  if (found === undefined) return null;
  const reply = await world.ask(NODE, penaltyRequest(channel, built!.number, found));
  if (reply === null) return null;
  const signature = toScriptSignature(reply.sig.signature, reply.sig.sighash);
  const { witnessScript } = found;
  return signed(
    found,
    kind === 'to_local'
      ? delayedPenaltyWitness(signature, witnessScript)
      : htlcPenaltyWitness(signature, built!.keys.revocation, witnessScript),
  );
}
