/**
 * Payments that are large against what rounding, dust and fees may take, on channels made for them: what attacks of several steps begin
 * with, so that what they steal shows.
 */
import type { Part } from '../book.ts';
import type { Channel, ChannelTerms } from '../channel.ts';
import { open } from '../honest/opening.ts';
import { newHtlc, newPreimage, offer, spendableMsat } from '../honest/payments.ts';
import { quiesce } from '../protocol.ts';
import type { Htlc, Party } from '../state.ts';
import type { World } from '../world.ts';

export const LARGE_MSAT = 150_000_000n;
/** By which what comes in outlives what goes out. */
const DELTA_BLOCKS = 40;
const EXPIRY_BLOCKS = 60;
/** Blocks that bury a funding as deep as the owner wants it. */
const BURIED_BLOCKS = 4;

export interface Wanted {
  /** Who is to have so much to offer. */
  readonly by: Party;
  readonly amountMsat: bigint;
  readonly terms?: Partial<ChannelTerms>;
}

const fits = (channel: Channel, { by, amountMsat, terms = {} }: Wanted): boolean =>
  channel.isUsable &&
  channel.ending === null &&
  !channel.isShuttingDown &&
  !channel.isTainted &&
  spendableMsat(channel, by) >= amountMsat &&
  Object.entries(terms).every(([name, value]) => Reflect.get(channel.terms, name) === value);

/** A channel that is as it is wanted, opened if there is none; undefined when it can't be had. */
export async function channelFor(
  world: World,
  wanted: Wanted,
  isTaken: (channel: Channel) => boolean = () => false,
): Promise<Channel | undefined> {
  const found = world.channels.find((one) => !isTaken(one) && fits(one, wanted));
  if (found !== undefined) return found;
  const capacitySat = (wanted.amountMsat / 1000n) * 3n + 400_000n;
  const isOwnerFunder = wanted.terms?.isOwnerFunder ?? wanted.by === 'owner';
  const pushMsat = isOwnerFunder || wanted.by === 'peer' ? 0n : capacitySat * 600n;
  const terms = { capacitySat, isOwnerFunder, pushMsat, ...wanted.terms };
  const channel = await open(world, world.channelCount, terms, 4);
  if (channel === undefined) return undefined;
  await world.chain.mine(BURIED_BLOCKS);
  channel.phase = 'open';
  return channel;
}

/** An incoming HTLC and the one that it pays for, both of which stand for good. */
export interface Forward {
  readonly incoming: Part;
  readonly outgoing: Part;
}

export interface ForwardTerms {
  readonly amountMsat?: bigint;
  readonly from?: Partial<ChannelTerms>;
  readonly to?: Partial<ChannelTerms>;
}

/** Comes in over one channel and goes out over another; undefined when the signer, or a channel, did not have it. */
export async function forwardLarge(world: World, asked: ForwardTerms = {}): Promise<Forward | undefined> {
  const { amountMsat = LARGE_MSAT, from: fromTerms = {}, to: toTerms = {} } = asked;
  const from = await channelFor(world, { by: 'peer', amountMsat, terms: fromTerms });
  const to = await channelFor(world, { by: 'owner', amountMsat, terms: toTerms }, (one) => one === from);
  if (from === undefined || to === undefined) return undefined;
  const incoming = await payIn(world, from, amountMsat);
  return incoming === undefined ? undefined : forwardOn(world, incoming, to);
}

/** The peer offers an HTLC, and both sides have it for good. */
export async function payIn(world: World, from: Channel, amountMsat: bigint): Promise<Part | undefined> {
  const payment = world.book.begin(newPreimage(world), 'forward', amountMsat, 'settled');
  const expiry = world.height + EXPIRY_BLOCKS + DELTA_BLOCKS;
  const part = offer(world, from, payment, newHtlc(from, 'peer', payment, amountMsat, expiry));
  return (await quiesce(world, from)) ? part : undefined;
}

/** What it may be forwarded for. */
export function onwardOf(to: Channel, { payment, htlc }: Part): Htlc {
  const amountMsat = htlc.amountMsat - htlc.amountMsat / 100n;
  return newHtlc(to, 'owner', payment, amountMsat, htlc.cltvExpiry - DELTA_BLOCKS);
}

export async function forwardOn(world: World, incoming: Part, to: Channel): Promise<Forward | undefined> {
  const outgoing = offer(world, to, incoming.payment, onwardOf(to, incoming));
  incoming.onward = outgoing;
  if (!(await quiesce(world, to)) || outgoing.state !== 'standing') return undefined;
  return { incoming, outgoing };
}

/** The other side of its offerer lets it go: fulfilled, or failed. True once neither side has it. */
export async function resolve(world: World, part: Part, how: 'settled' | 'failed'): Promise<boolean> {
  const { channel, htlc, payment } = part;
  if (!channel.isUsable) return false;
  if (how === 'settled') await world.book.learn([payment.hash]);
  const by: Party = htlc.offeredBy === 'owner' ? 'peer' : 'owner';
  part.state = 'removing';
  part.decided = how;
  channel.log.propose(by, { kind: 'remove', htlc, to: how === 'settled' ? by : htlc.offeredBy });
  await quiesce(world, channel);
  return !isIn(channel, htlc);
}

const isIn = ({ log }: Channel, htlc: Htlc): boolean =>
  log.views.peer.current.htlcs.some(({ id }) => id === htlc.id);
