/** Channels end: by agreement, by the owner's commitment or by one of the peer's, which may be revoked. */
import { toScriptSignature } from '../../bitcoin/keys.ts';
import { p2wpkh } from '../../bitcoin/scripts.ts';
import { SIGHASH } from '../../bitcoin/sighash.ts';
import { type Tx, withWitnesses } from '../../bitcoin/transaction.ts';
import { buildLegacyClose } from '../../bolt3/closing.ts';
import { fundingWitness } from '../../bolt3/witness.ts';
import { NODE } from '../../subject.ts';
import type { Channel, OwnerCommitment, PeerCommitment } from '../channel.ts';
import { fundingScriptOf, fundingSighash } from '../commitments.ts';
import { pick } from '../dice.ts';
import { Ending } from '../ending.ts';
import { spendAnchor } from '../mingle.ts';
import { hasAnchors, mutualCloseRequest, signCommitmentRequest } from '../requests.ts';
import type { World } from '../world.ts';

/** More than any legacy close weighs. */
const CLOSE_WEIGHT = 730;

/** The funding's transaction with both signatures. */
export function withFundingWitness(channel: Channel, tx: Tx, ownerSignature: Uint8Array): Tx {
  const peerSignature = channel.peerSignature(fundingSighash(channel, tx));
  const witness = fundingWitness(
    { key: channel.ownerKeys!.funding, signature: toScriptSignature(ownerSignature, SIGHASH.ALL) },
    { key: channel.peer.points.funding, signature: toScriptSignature(peerSignature, SIGHASH.ALL) },
    fundingScriptOf(channel),
  );
  return withWitnesses(tx, [witness]);
}

export const peerScript = ({ peer }: Channel): Uint8Array => p2wpkh(peer.points.payment);

/** A legacy close of what both sides have. */
export function closeTx(channel: Channel, ownerScript: Uint8Array, feeSat: bigint): Tx {
  const { ownerMsat, peerMsat } = channel.log.views.owner.current;
  const owner = { amountMsat: ownerMsat, script: ownerScript };
  const peer = { amountMsat: peerMsat, script: peerScript(channel) };
  const { isOwnerFunder, dustLimitSat } = channel.terms;
  const [funder, other] = isOwnerFunder ? [owner, peer] : [peer, owner];
  return buildLegacyClose({
    funding: channel.funding,
    funder,
    other,
    feeSat,
    dustLimitSat: dustLimitSat.owner,
  });
}

export const isEmpty = ({ log }: Channel): boolean =>
  log.isQuiet && log.views.owner.current.htlcs.length === 0 && log.views.peer.current.htlcs.length === 0;

export function closeFeeSat(world: World): bigint {
  return BigInt(Math.ceil((CLOSE_WEIGHT * (300 + world.dice.roll(3000))) / 1000));
}

/** No new HTLCs; once the old ones are gone, fees are proposed until one is agreed. */
export async function close(world: World, channel: Channel): Promise<void> {
  if (!channel.isUsable) return;
  channel.isShuttingDown = true;
  if (!isEmpty(channel)) return;
  const script = world.receivingScript();
  let agreed: Tx | null = null;
  for (let round = 0; round <= world.dice.roll(3); round++) {
    const tx = closeTx(channel, script, closeFeeSat(world));
    if (tx.outputs.length === 0) return;
    const reply = await world.ask(channel.client, mutualCloseRequest(channel, tx));
    if (reply === null) continue;
    channel.phase = 'closing';
    agreed = withFundingWitness(channel, tx, reply.sig.signature);
  }
  if (agreed === null) return;
  // lightningd asks for the agreed one again before it broadcasts it.
  const number = BigInt(channel.log.views.owner.number);
  const { name: _, tx } = mutualCloseRequest(channel, agreed);
  const { peerId, dbid: channelDbid } = channel.terms;
  const remoteFundingKey = channel.peer.points.funding;
  await world.ask(NODE, {
    name: 'hsmd_sign_commitment_tx',
    peerId,
    channelDbid,
    tx,
    remoteFundingKey,
    commitNum: number,
  });
  if (world.chain.broadcast(agreed) === null) channel.ending = new Ending(world, channel, agreed, null);
}

/** lightningd goes to the chain with the newest commitment that the peer signed. */
export async function forceClose(world: World, channel: Channel): Promise<boolean> {
  if (channel.phase !== 'open' && channel.phase !== 'closing') return false;
  if (channel.ending !== null) return false;
  const newest = channel.ownerCommitments.at(-1);
  if (newest === undefined) return false;
  return forceCloseWith(world, channel, newest);
}

export async function forceCloseWith(world: World, channel: Channel, one: OwnerCommitment): Promise<boolean> {
  const reply = await world.ask(NODE, signCommitmentRequest(channel, one.built));
  if (reply === null) return false;
  one.ownerSignature = reply.sig.signature;
  channel.phase = 'closing';
  const signed = withFundingWitness(channel, one.built.tx, reply.sig.signature);
  if (world.chain.broadcast(signed) !== null) return false;
  channel.ending = new Ending(world, channel, signed, one.built);
  if (world.dice.chance(50)) await bump(world, channel);
  return true;
}

/** A commitment on its way gets a child that pays for it. */
export async function bump(world: World, channel: Channel): Promise<void> {
  const { ending } = channel;
  if (ending?.built == null || !hasAnchors(channel) || ending.depth > 0) return;
  const child = await spendAnchor(world, channel, ending.tx);
  if (child !== null) world.chain.broadcast(child);
}

/** The peer goes to the chain with a commitment that it has not revoked. */
export async function peerCloses(world: World, channel: Channel, by: number): Promise<void> {
  publishPeers(world, channel, pick(channel.livePeerCommitments, by));
}

/** The peer publishes what it has revoked: the owner takes all of it. */
export async function peerCheats(world: World, channel: Channel, by: number): Promise<void> {
  // What came in is taken back by the breach, and what it was forwarded for has only the penalty to cover it, which is no payment.
  if (world.config.isHonest && world.book.partsOn(channel, 'peer').length > 0) return;
  publishPeers(world, channel, pick(channel.revokedPeerCommitments, by));
}

export function publishPeers(world: World, channel: Channel, one: PeerCommitment | undefined): boolean {
  if (one === undefined || channel.ending !== null || channel.phase === 'closed') return false;
  const signed = withFundingWitness(channel, one.built.tx, one.signature);
  if (world.chain.broadcast(signed) !== null) return false;
  channel.phase = 'closing';
  channel.ending = new Ending(world, channel, signed, one.built);
  return true;
}
