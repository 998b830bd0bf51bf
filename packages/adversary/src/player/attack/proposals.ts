/**
 * Updates that no honest party makes, sent through the protocol like any other: in both sides' commitments, as far as the
 * signer lets them. What was granted stays part of the channel, so that another move can go on from there.
 */
import { equalBytes } from '../../bitcoin/bytes.ts';
import { sha256 } from '../../bitcoin/hash.ts';
import { NODE } from '../../subject.ts';
import type { Payment } from '../book.ts';
import type { Channel } from '../channel.ts';
import { covering } from '../choose.ts';
import { bytesFor, pick } from '../dice.ts';
import { newHtlc, newPreimage, someAmountMsat } from '../honest/payments.ts';
import {
  approveInvoice,
  invoiceOf,
  PAYEE_SECRET,
  preapproveRequest,
  signInvoice,
  signOwnInvoice,
} from '../invoices.ts';
import type { Move } from '../moves.ts';
import { peerRevokes, quiesce, revoke, signPeers, validate } from '../protocol.ts';
import type { Change, Htlc, Party } from '../state.ts';
import type { World } from '../world.ts';

/** Sends it as far as it goes: peer's commitment first or owner's, one of them or both. */
export async function send(
  world: World,
  channel: Channel,
  from: Party,
  changes: readonly Change[],
  by: number,
): Promise<void> {
  if (!channel.isUsable || channel.ending !== null) return;
  if (by % 4 !== 3) await quiesce(world, channel);
  for (const change of changes) channel.log.propose(from, change, true);
  if (by % 3 === 0) await ownersFirst(world, channel);
  if (by % 5 !== 0) await quiesce(world, channel);
}

async function ownersFirst(world: World, channel: Channel): Promise<void> {
  if (channel.log.canSign('owner') && (await validate(world, channel))) await revoke(world, channel);
  if (channel.log.canSign('peer') && (await signPeers(world, channel))) await peerRevokes(world, channel);
}

const SHIFTS_MSAT = [1n, 999n, 1000n, 1001n, 500_000n, 353_000n, 1_000_000n, 50_000_000n];

/** A20, A24: value moves to the peer with nothing to explain it. */
export async function shift(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const { ownerMsat } = channel.log.views.owner.current;
  const size = SHIFTS_MSAT[a % (SHIFTS_MSAT.length + 1)] ?? ownerMsat / 2n;
  const toPeerMsat = size < ownerMsat ? size : ownerMsat;
  await send(world, channel, a % 2 === 0 ? 'owner' : 'peer', [{ kind: 'shift', toPeerMsat }], b);
}

/** The other way: what the signer may grant, and must book so that it cannot be taken out twice. */
export async function gift(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const toPeerMsat = -(SHIFTS_MSAT[a % SHIFTS_MSAT.length] ?? 1n);
  await send(world, channel, 'peer', [{ kind: 'shift', toPeerMsat }], b);
}

const standing = ({ log }: Channel, offeredBy: Party): readonly Htlc[] =>
  log.views.owner.current.htlcs.filter((one) => one.offeredBy === offeredBy);

/** A21: one of ours counts as paid, and nobody showed the preimage. */
export async function settleUnseen(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const htlc = pick(standing(channel, 'owner'), a);
  if (htlc !== undefined) await send(world, channel, 'peer', [{ kind: 'remove', htlc, to: 'peer' }], b);
}

/** A22, A34, A35: one that came in goes back, whatever has become of the payment. */
export async function failReceived(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const covers = covering(world, channel);
  const htlc = pick(a % 4 === 0 || covers.length === 0 ? standing(channel, 'peer') : covers, a >> 2);
  if (htlc !== undefined) await send(world, channel, 'owner', [{ kind: 'remove', htlc, to: 'peer' }], b);
}

/** One that came in is credited, before anybody knows the preimage: in our favour, and then spent again. */
export async function creditReceived(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const htlc = pick(standing(channel, 'peer'), a);
  if (htlc !== undefined) await send(world, channel, 'owner', [{ kind: 'remove', htlc, to: 'owner' }], b);
}

const ALTERATIONS: readonly ((htlc: Htlc) => Htlc)[] = [
  (htlc) => ({ ...htlc, amountMsat: htlc.amountMsat + 1n }),
  (htlc) => ({ ...htlc, amountMsat: htlc.amountMsat + 10_000_000n }),
  (htlc) => ({ ...htlc, amountMsat: htlc.amountMsat / 2n }),
  (htlc) => ({ ...htlc, paymentHash: htlc.paymentHash.with(31, htlc.paymentHash[31]! ^ 1) }),
  (htlc) => ({ ...htlc, paymentHash: sha256(bytesFor('a preimage of the attacker')) }),
  (htlc) => ({ ...htlc, cltvExpiry: htlc.cltvExpiry + 100 }),
  (htlc) => ({ ...htlc, cltvExpiry: Math.max(1, htlc.cltvExpiry - 50) }),
];

/** A27, A38, A39: an HTLC that stands becomes another. */
export async function alter(world: World, channel: Channel, { a, b, c }: Move): Promise<void> {
  const htlc = pick(channel.log.views.owner.current.htlcs, a);
  const into = htlc === undefined ? undefined : ALTERATIONS[c % ALTERATIONS.length]?.(htlc);
  if (htlc === undefined || into === undefined) return;
  await send(world, channel, htlc.offeredBy, [{ kind: 'alter', htlc, into }], b);
}

/** A27: one of the peer's becomes one of ours, with the same content. */
export async function flipSide(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const htlc = pick(standing(channel, 'peer'), a);
  if (htlc === undefined) return;
  const flipped: Htlc = { ...htlc, id: channel.nextHtlcId++, offeredBy: 'owner' };
  const changes: Change[] = [
    { kind: 'remove', htlc, to: 'peer' },
    { kind: 'add', htlc: flipped },
  ];
  await send(world, channel, 'owner', changes, b);
}

/** A23: two equal in everything; one is settled as if it were both. */
export async function twinAndDrop(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const htlc = pick(standing(channel, 'peer'), a);
  if (htlc === undefined) return;
  const twin: Htlc = { ...htlc, id: channel.nextHtlcId++ };
  await send(world, channel, 'peer', [{ kind: 'add', htlc: twin }], 1);
  const changes: Change[] = [
    { kind: 'remove', htlc, to: 'owner' },
    { kind: 'remove', htlc: twin, to: 'peer' },
  ];
  await send(world, channel, 'owner', changes, b);
}

/** Another invoice of the payee's with a hash that had one. */
async function approveAgain(world: World, payment: Payment): Promise<void> {
  if (payment.purpose === 'own') await world.chain.mine(1);
  await world.ask(NODE, preapproveRequest(signInvoice(invoiceOf(world, payment), PAYEE_SECRET)), 'attack');
}

/** Hashes that an attacker would like to pay out under. */
async function tempting(world: World, by: number): Promise<Payment> {
  const { book } = world;
  const old = pick([...book.ended, ...book.payments], by >> 2);
  if (by % 4 !== 0 && old !== undefined) {
    if (by % 3 === 0) await approveAgain(world, old);
    return old;
  }
  const payment = book.begin(newPreimage(world), 'stray', someAmountMsat(world), 'settled');
  book.giveUp(payment);
  if (by % 8 === 0) await approveInvoice(world, payment, 'attack');
  if (by % 16 === 4) await signOwnInvoice(world, payment);
  return payment;
}

const FACTORS = [1n, 1n, 1n, 2n, 50n];

/** A30, A32, A33, A45, A49: an HTLC goes out under a hash that nothing covers, any more or at all. */
export async function payOut(world: World, channel: Channel, { a, b, c }: Move): Promise<void> {
  const payment = await tempting(world, a);
  const factor = FACTORS[c % FACTORS.length]!;
  const amountMsat = payment.amountMsat * factor + BigInt(c % 7) * 17_000n;
  const expiry = world.height + [60, 60, 60, 3, 0, 2500][b % 6]!;
  const htlc = newHtlc(channel, 'owner', payment, amountMsat, expiry);
  await send(world, channel, 'owner', [{ kind: 'add', htlc }], b);
}

/** A31, A36, A38, A39: a forward of what has come in, or is only on its way, with something wrong about it. */
export async function forwardWrongly(world: World, channel: Channel, { a, b, c }: Move): Promise<void> {
  const incoming = world.book.payments.flatMap((one) =>
    one.incoming.filter((part) => part.channel !== channel),
  );
  const arrived = incoming.filter(({ state }) => state === 'standing');
  const part = pick(a % 4 === 0 || arrived.length === 0 ? incoming : arrived, a >> 2);
  if (part === undefined) return;
  const { amountMsat, cltvExpiry } = part.htlc;
  const amounts = [amountMsat, amountMsat + 1n, amountMsat * 3n, amountMsat + 60_000n, amountMsat - 1000n];
  const expiries = [cltvExpiry - 34, cltvExpiry, cltvExpiry - 1, cltvExpiry + 40, cltvExpiry - 5];
  const htlc: Htlc = {
    ...newHtlc(channel, 'owner', part.payment, amounts[b % amounts.length]!, 0),
    cltvExpiry: Math.max(1, expiries[c % expiries.length]!),
  };
  await send(world, channel, 'owner', [{ kind: 'add', htlc }], a);
}

const FEERATES = [
  0, 252, 253, 25_000, 25_001, 30_000, 45_000, 100_000, 250_000, 333_333, 1_000_000, 0xffff_ffff,
];

/** A25, A68: the rate goes to an extreme, whoever pays. */
export async function extremeFee(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const feeratePerKw = FEERATES[a % FEERATES.length]!;
  const funder = channel.terms.isOwnerFunder ? 'owner' : 'peer';
  await send(world, channel, funder, [{ kind: 'fee', feeratePerKw }], b);
}

/** A25, A27b: value leaves in HTLCs too small to be seen, which vanish. */
export async function dustStorm(world: World, channel: Channel, { a, b, c }: Move): Promise<void> {
  const count = 1 + (a % 12);
  const amountMsat = BigInt(300 + (c % 700)) * 1000n + BigInt(c % 1000);
  for (let i = 0; i < count; i++) {
    const payment = world.book.begin(newPreimage(world), 'stray', amountMsat, 'settled');
    world.book.giveUp(payment);
    const htlc = newHtlc(channel, 'owner', payment, amountMsat, world.height + 60);
    channel.log.propose('owner', { kind: 'add', htlc }, true);
  }
  await quiesce(world, channel);
  if (b % 3 === 0) return;
  const dust = standing(channel, 'owner').filter((one) => one.amountMsat === amountMsat);
  await send(
    world,
    channel,
    'peer',
    dust.map((htlc) => ({ kind: 'remove', htlc, to: 'peer' }) as const),
    b,
  );
}

/** A22, A35: a forward was paid downstream; upstream it is failed, in one view or both. */
export async function failPaidForward(world: World, _channel: Channel, { a, b }: Move): Promise<void> {
  const paid = [...world.book.payments, ...world.book.ended].flatMap(({ incoming, isKnown }) =>
    incoming.filter(
      ({ channel, htlc }) => isKnown && standing(channel, 'peer').some(({ id }) => id === htlc.id),
    ),
  );
  const part = pick(paid, a);
  if (part === undefined) return;
  await send(world, part.channel, 'owner', [{ kind: 'remove', htlc: part.htlc, to: 'peer' }], b);
}

/** Whether the attacker has a preimage for it: always, where it invented the payment. */
export const knows = (world: World, { paymentHash }: Htlc): Uint8Array | undefined => {
  const payment = world.book.find(paymentHash);
  return payment !== undefined && equalBytes(payment.hash, paymentHash) ? payment.preimage : undefined;
};
