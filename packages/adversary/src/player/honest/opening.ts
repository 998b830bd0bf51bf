/**
 * Channels open: by the owner, who funds them, and by peers. In the order of CLN's openingd: the funder signs the peer's
 * first commitment before its own is validated, the other way round where the peer funds.
 */
import { p2wsh } from '../../bitcoin/scripts.ts';
import { type Tx, type TxOutput, txidOf } from '../../bitcoin/transaction.ts';
import { NODE } from '../../subject.ts';
import { Channel, type ChannelTerms } from '../channel.ts';
import { signWithdrawal } from '../coins.ts';
import { fundingScriptOf } from '../commitments.ts';
import { nodeIdOf } from '../peer.ts';
import { peerSignatures, setupRequest, signRemoteRequest, validateRequest } from '../requests.ts';
import type { Intent } from '../step-log.ts';
import type { World } from '../world.ts';

export const PEERS = 4;

/** Terms within what the owner allows, the rest as it comes. */
export function someTerms(world: World, by: number, changes: Partial<ChannelTerms> = {}): ChannelTerms {
  const { dice } = world;
  const peer = by % PEERS;
  const isOwnerFunder = changes.isOwnerFunder ?? dice.chance(50);
  const capacitySat = 500_000n + BigInt(dice.roll(1_500_000));
  const delay = () => 6 + dice.roll(140);
  return {
    peer,
    peerId: nodeIdOf(peer),
    dbid: BigInt(world.channelCount + 1),
    isOwnerFunder,
    format: dice.chance(70) ? 'anchors_zero_fee_htlc' : 'static_remotekey',
    capacitySat,
    // The owner approves no push of his own money.
    pushMsat: isOwnerFunder ? 0n : capacitySat * BigInt(200 + dice.roll(500)) + BigInt(dice.roll(1000)),
    feeratePerKw: 500 + dice.roll(1500),
    dustLimitSat: { owner: 546n, peer: dice.chance(50) ? 354n : 546n },
    delayBlocks: { owner: delay(), peer: delay() },
    isUnchained: false,
    ...changes,
  };
}

/** A new channel that the signer has named its keys of; undefined when it was refused. */
export async function declare(world: World, terms: ChannelTerms): Promise<Channel | undefined> {
  const index = world.channelCount++;
  const channel = new Channel(index, terms, `channel ${world.config.seed} ${index}`);
  const { peerId, dbid } = terms;
  if ((await world.ask(NODE, { name: 'hsmd_new_channel', id: peerId, dbid })) === null) return undefined;
  const keys = await world.ask(NODE, { name: 'hsmd_get_channel_basepoints', peerid: peerId, dbid });
  const point = await world.ask(channel.client, { name: 'hsmd_get_per_commitment_point', n: 0n });
  if (keys === null || point === null) return undefined;
  channel.ownerKeys = { ...keys.basepoints, funding: keys.fundingPubkey };
  channel.ownerPoints.set(0, point.perCommitmentPoint);
  return channel;
}

export const fundingOutputOf = (channel: Channel): TxOutput => ({
  value: channel.terms.capacitySat,
  script: p2wsh(fundingScriptOf(channel)),
});

/** The channel's funding is this output of the transaction, which has the same id once it is signed. */
export function fundBy(channel: Channel, tx: Tx, vout: number): void {
  channel.fundingTx = tx;
  channel.funding = { txid: txidOf(tx), vout };
}

/** Setup and commitment 0 of both sides. */
export async function negotiate(world: World, channel: Channel, intent: Intent = 'honest'): Promise<boolean> {
  if ((await world.ask(channel.client, setupRequest(channel), intent)) === null) return false;
  const steps = channel.terms.isOwnerFunder ? [signFirst, validateFirst] : [validateFirst, signFirst];
  for (const step of steps) if (!(await step(world, channel, intent))) return false;
  return true;
}

export async function signFirst(world: World, channel: Channel, intent: Intent): Promise<boolean> {
  const built = channel.build('peer', 0, channel.log.views.peer.current);
  if (built === undefined) return false;
  const reply = await world.ask(channel.client, signRemoteRequest(channel, built), intent);
  if (reply === null) return false;
  channel.addPeerCommitment({ built, signature: reply.sig.signature, htlcSignatures: [] });
  return true;
}

export async function validateFirst(world: World, channel: Channel, intent: Intent): Promise<boolean> {
  const built = channel.build('owner', 0, channel.log.views.owner.current);
  if (built === undefined) return false;
  const signatures = peerSignatures(channel, built);
  const reply = await world.ask(channel.client, validateRequest(channel, built, signatures), intent);
  if (reply === null) return false;
  channel.ownerPoints.set(1, reply.nextPerCommitmentPoint);
  channel.addOwnerCommitment({
    built,
    peerSignature: signatures.signature,
    peerHtlcSignatures: [],
    ownerSignature: null,
  });
  return true;
}

/** A channel from nothing to a funding on its way into a block. */
export async function open(
  world: World,
  by: number,
  changes: Partial<ChannelTerms> = {},
  moreThanMax = 0,
): Promise<Channel | undefined> {
  if (
    world.channels.filter(({ phase }) => phase !== 'closed').length >=
    world.config.channelsMax + moreThanMax
  )
    return undefined;
  const terms = someTerms(world, by, changes);
  if (terms.isOwnerFunder && world.coins.totalSat < terms.capacitySat + 1_000_000n) return undefined;
  const channel = await declare(world, terms);
  if (channel === undefined) return undefined;
  const isOpened = terms.isOwnerFunder
    ? await openAsFunder(world, channel)
    : await openByPeer(world, channel);
  if (!isOpened) return undefined;
  world.channels.push(channel);
  return channel;
}

async function openAsFunder(world: World, channel: Channel): Promise<boolean> {
  const draft = world.coins.draft([fundingOutputOf(channel)], 500 + world.dice.roll(1000));
  if (draft === undefined) return false;
  fundBy(channel, draft.tx, 0);
  if (!(await negotiate(world, channel))) return false;
  const signed = await signWithdrawal(world, draft);
  if (signed === null) return false;
  fundBy(channel, signed, 0);
  world.chain.broadcast(signed);
  return true;
}

async function openByPeer(world: World, channel: Channel): Promise<boolean> {
  const tx = world.chain.attackerPays([fundingOutputOf(channel)]);
  if (tx === undefined) return false;
  fundBy(channel, tx, 0);
  if (!(await negotiate(world, channel))) return false;
  world.chain.broadcast(tx);
  return true;
}

/** Channels whose funding is deep enough begin to work. */
export function begunChannels(world: World): void {
  for (const channel of world.channels)
    if (channel.phase === 'opening' && world.depthOf(channel.funding) >= 1 + (channel.index % 3))
      channel.phase = 'open';
}
