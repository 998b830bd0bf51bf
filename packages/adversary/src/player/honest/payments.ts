/**
 * What an honest node does about payments, one small step a move: HTLCs come in, are forwarded, settled and failed;
 * invoices are paid, in parts and again; others pay ours. Amounts lie around the lines where HTLCs are trimmed.
 */
import { type Ending, endOf, isComplete, isEnding, type Part, type Payment } from '../book.ts';
import type { Channel } from '../channel.ts';
import { bytesFor, pick } from '../dice.ts';
import { approveInvoice, approveKeysend, signOwnInvoice } from '../invoices.ts';
import type { Htlc, Party } from '../state.ts';
import type { World } from '../world.ts';

export const HTLCS_MAX = 7;
/** What a side keeps beyond its HTLCs: fees of a full commitment at a high rate, and the reserve. */
const MARGIN_MSAT = 60_000_000n;
/** By which the incoming HTLC outlives the outgoing one; CLN's default. */
export const CLTV_DELTA = 34;
/** Blocks that a new payment has at least. */
const EXPIRY_BLOCKS = 60;
const ATTEMPTS_MAX = 3;

/** Dust and more, with odd millisatoshis; no two payments are worth the same. */
export function someAmountMsat(world: World): bigint {
  const { dice } = world;
  const sat = (dice.chance(15) ? 100 + dice.roll(1400) : 1500 + dice.roll(40_000)) + (world.labels % 89);
  return BigInt(sat) * 1000n + BigInt(dice.chance(33) ? dice.roll(1000) : 0);
}

export const newPreimage = (world: World): Uint8Array =>
  bytesFor(`preimage ${world.config.seed} ${world.nextLabel()}`);

export const htlcCount = ({ log }: Channel): number =>
  Math.max(log.next('owner').htlcs.length, log.next('peer').htlcs.length) +
  log.updates.filter(({ change }) => change.kind === 'add').length;

function lesser(a: bigint, b: bigint): bigint {
  if (a < b) return a;
  return b;
}

/** The most cautious view of what a side can still offer. */
export function spendableMsat({ log, terms }: Channel, by: Party): bigint {
  const ofView = (side: Party): bigint => {
    const { ownerMsat, peerMsat } = log.views[side].current;
    return by === 'owner' ? ownerMsat : peerMsat;
  };
  const least = lesser(ofView('owner'), ofView('peer'));
  const proposed = log.updates.reduce(
    (sum, { from, change }) => sum + (from === by && change.kind === 'add' ? change.htlc.amountMsat : 0n),
    0n,
  );
  return least - proposed - MARGIN_MSAT - terms.capacitySat * 10n;
}

export const canOffer = (channel: Channel, by: Party, amountMsat: bigint): boolean =>
  channel.isUsable &&
  !channel.isShuttingDown &&
  htlcCount(channel) < HTLCS_MAX &&
  spendableMsat(channel, by) >= amountMsat;

export function newHtlc(
  channel: Channel,
  offeredBy: Party,
  payment: Payment,
  amountMsat: bigint,
  cltvExpiry: number,
): Htlc {
  return { id: channel.nextHtlcId++, offeredBy, amountMsat, paymentHash: payment.hash, cltvExpiry };
}

export function offer(world: World, channel: Channel, payment: Payment, htlc: Htlc): Part {
  const part = world.book.addPart(payment, channel, htlc);
  channel.log.propose(htlc.offeredBy, { kind: 'add', htlc });
  return part;
}

/** The peer adds an HTLC: to be forwarded, for an invoice of ours, or nobody knows what for. */
export async function receive(world: World, channel: Channel, by: number): Promise<void> {
  const { dice } = world;
  const purpose = (['forward', 'forward', 'forward', 'invoice', 'stray'] as const)[by % 5]!;
  const twins = world.book.payments.filter((one) => one.purpose === 'forward' && !isEnding(one));
  const twin = purpose === 'forward' && dice.chance(15) ? dice.of(twins) : undefined;
  const twinMsat = twin?.incoming[0]?.htlc.amountMsat;
  const amountMsat = twinMsat ?? someAmountMsat(world);
  if (!canOffer(channel, 'peer', amountMsat)) return;
  const ending: Ending = purpose !== 'stray' && dice.chance(70) ? 'settled' : 'failed';
  const payment = twin ?? world.book.begin(newPreimage(world), purpose, amountMsat, ending);
  if (purpose === 'invoice') await signOwnInvoice(world, payment);
  const cltvExpiry = world.height + EXPIRY_BLOCKS + CLTV_DELTA + dice.roll(60);
  offer(world, channel, payment, newHtlc(channel, 'peer', payment, amountMsat, cltvExpiry));
}

/** The node does what is next about one HTLC that came in on this channel. */
export async function resolveIncoming(world: World, channel: Channel, by: number): Promise<void> {
  if (!channel.isUsable) return;
  const open = world.book.partsOn(channel, 'peer').filter(({ state }) => state === 'standing');
  const part = pick(open, by);
  if (part === undefined) return;
  const { payment } = part;
  if (part.decided !== null) await release(world, part, part.decided);
  else if (payment.purpose !== 'forward') await release(world, part, payment.ending);
  else if (part.onward !== null) await release(world, part, endOf(part.onward));
  else if (!channel.log.hasLooseVariants('peer')) await forward(world, part, by);
}

/** Lets an incoming HTLC go. Null: not yet. */
export async function release(world: World, part: Part, how: Ending | null): Promise<void> {
  if (how === null || part.state !== 'standing' || !part.channel.isUsable) return;
  if (how === 'settled') await world.book.learn([part.payment.hash]);
  part.state = 'removing';
  part.decided = how;
  part.channel.log.propose('owner', {
    kind: 'remove',
    htlc: part.htlc,
    to: how === 'settled' ? 'owner' : 'peer',
  });
}

async function forward(world: World, part: Part, by: number): Promise<void> {
  const { htlc, payment } = part;
  // An attacker does not wait.
  if (world.config.isHonest && world.depthOf(part.channel.funding) < world.config.paymentDepthBlocks) return;
  const amountMsat = htlc.amountMsat - htlc.amountMsat / 100n - 1000n;
  const channels = world.channels.filter(
    (one) => one !== part.channel && amountMsat > 0n && canOffer(one, 'owner', amountMsat),
  );
  const onward = pick(channels, by);
  const cltvExpiry = htlc.cltvExpiry - CLTV_DELTA - world.dice.roll(3);
  const isInTime = cltvExpiry > world.height + 20;
  if (onward === undefined || !isInTime || isEnding(payment) || world.dice.chance(10)) {
    await release(world, part, 'failed');
    return;
  }
  part.onward = offer(world, onward, payment, newHtlc(onward, 'owner', payment, amountMsat, cltvExpiry));
}

/** The peer fulfils or fails one of ours. */
export async function resolveOutgoing(world: World, channel: Channel, by: number): Promise<void> {
  if (!channel.isUsable) return;
  const open = world.book
    .partsOn(channel, 'owner')
    .filter(({ state, payment }) => state === 'standing' && isComplete(payment));
  const part = pick(open, by);
  if (part === undefined) return;
  part.state = 'removing';
  const to = part.payment.ending === 'settled' ? 'peer' : 'owner';
  channel.log.propose('peer', { kind: 'remove', htlc: part.htlc, to });
}

/** An invoice of the allowlisted payee is approved and paid over one or two channels; or one that failed is tried again. */
export async function pay(world: World, by: number, isKeysend = false): Promise<void> {
  const { dice } = world;
  const again = world.book.payments.find(
    ({ purpose, outgoing, attempts }) =>
      purpose === 'own' && attempts < ATTEMPTS_MAX && outgoing.every((one) => endOf(one) === 'failed'),
  );
  const payment = again ?? (await approve(world, isKeysend));
  const channels = world.channels.filter((one) => canOffer(one, 'owner', payment.amountMsat * 2n));
  if (!payment.isApproved || channels.length === 0) {
    if (payment.outgoing.length === 0) world.book.giveUp(payment);
    return;
  }
  payment.attempts += 1;
  payment.outgoing.length = 0;
  payment.ending = payment.attempts === ATTEMPTS_MAX || dice.chance(60) ? 'settled' : 'failed';
  if (payment.ending === 'settled') payment.attempts = ATTEMPTS_MAX;
  const partCount = dice.chance(40) && !isKeysend ? 2 : 1;
  const feeMsat = dice.chance(50) ? payment.amountMsat / 200n + 1000n : 0n;
  const partMsat = payment.amountMsat / BigInt(partCount);
  const cltvExpiry = world.height + EXPIRY_BLOCKS + dice.roll(40);
  const isSpread = dice.chance(60);
  for (let i = 0; i < partCount; i++) {
    const channel = pick(channels, isSpread ? by + i : by)!;
    const firstMsat = payment.amountMsat - partMsat * BigInt(partCount - 1) + feeMsat;
    const amountMsat = i === 0 ? firstMsat : partMsat;
    offer(world, channel, payment, newHtlc(channel, 'owner', payment, amountMsat, cltvExpiry));
  }
}

async function approve(world: World, isKeysend: boolean): Promise<Payment> {
  const payment = world.book.begin(newPreimage(world), 'own', someAmountMsat(world), 'settled');
  payment.isApproved = isKeysend
    ? await approveKeysend(world, payment)
    : await approveInvoice(world, payment);
  return payment;
}

/** What a lost link made the node forget is offered again, or given up once its number is revoked. */
export async function retryLost(world: World, by: number): Promise<void> {
  const lost = world.book.payments.flatMap(({ outgoing }) =>
    outgoing.filter(({ state }) => state === 'lost'),
  );
  const part = pick(lost, by);
  if (part === undefined) return;
  const { channel, payment } = part;
  const incoming = payment.incoming.find(({ onward }) => onward === part);
  // Nothing more is sent for what came in over a channel that is closing.
  const isOver =
    incoming !== undefined &&
    (incoming.decided !== null || incoming.state !== 'standing' || !incoming.channel.isUsable);
  const isRevoked = channel.log.views.peer.number > part.variantOf;
  if (isOver || !channel.isUsable || (isRevoked && world.dice.chance(50))) {
    if (isRevoked || isOver) world.book.end(part, 'failed');
  } else if (canOffer(channel, 'owner', part.htlc.amountMsat) && part.htlc.cltvExpiry > world.height + 20) {
    part.state = 'proposed';
    channel.log.propose('owner', { kind: 'add', htlc: part.htlc });
  }
}

/** Whoever pays for commitments changes the rate. */
export async function changeFee(world: World, channel: Channel): Promise<void> {
  if (!channel.isUsable || channel.isShuttingDown) return;
  if (channel.log.updates.some(({ change }) => change.kind === 'fee')) return;
  const feeratePerKw = 500 + world.dice.roll(2000);
  channel.log.propose(channel.terms.isOwnerFunder ? 'owner' : 'peer', { kind: 'fee', feeratePerKw });
}
