/**
 * Attacks of the catalogue that need a state which chance seldom brings about: each begins with what it needs, a large payment above
 * all, and takes the two or three steps that make it a theft where the signer lets them.
 */
import { NODE } from '../../subject.ts';
import type { Payment } from '../book.ts';
import type { Channel } from '../channel.ts';
import { unsigned } from '../coins.ts';
import { bytesFor, pick } from '../dice.ts';
import { forceClose, publishPeers, withFundingWitness } from '../honest/closing.ts';
import { newHtlc, newPreimage, offer } from '../honest/payments.ts';
import { invoiceOf, PAYEE_SECRET, preapproveRequest, signInvoice } from '../invoices.ts';
import type { Move } from '../moves.ts';
import { peerClaims } from '../peer-claims.ts';
import { peerRevokes, quiesce, revoke, signPeers, validate } from '../protocol.ts';
import { validateRevocationRequest } from '../requests.ts';
import type { State } from '../state.ts';
import type { World } from '../world.ts';
import {
  channelFor,
  type Forward,
  forwardLarge,
  forwardOn,
  LARGE_MSAT,
  onwardOf,
  payIn,
  resolve,
} from './large.ts';
import { send } from './proposals.ts';
import { spend } from './spends.ts';

type Anywhere = (world: World, channel: Channel | undefined, move: Move) => Promise<void>;

/** A44, A48, A74: a large payment is forwarded; it stands, comes back or is settled, and what was before is revoked. */
export const forwardMuch: Anywhere = async (world, _channel, { a, b }) => {
  // Of a channel that the owner funded the peer has nothing beside the HTLC, so nothing makes up for its loss.
  const found = await forwardLarge(world, b % 2 === 0 ? { to: { isOwnerFunder: true } } : {});
  if (found === undefined) return;
  const how = [null, 'failed', 'settled'] as const;
  const chosen = how[a % 3] ?? null;
  if (chosen === null || !(await resolve(world, found.outgoing, chosen))) return;
  await resolve(world, found.incoming, chosen);
};

/** A44: a forward stands when a side goes to the chain; neither the node nor the peer does anything more about it. */
export const leaveOnChain: Anywhere = async (world, _channel, { a, b }) => {
  const found = await forwardLarge(world);
  if (found === undefined) return;
  const { channel } = b % 3 === 0 ? found.incoming : found.outgoing;
  world.isIdle = true;
  if (a % 2 === 0) await forceClose(world, channel);
  else publishPeers(world, channel, channel.livePeerCommitments.at(-1));
  await world.chain.mine(1 + (a % 3));
};

/** A44: a forward stands, and the node sends nothing more, until the outgoing HTLC is long expired and the incoming one too. */
export const outlast: Anywhere = async (world, _channel, { a }) => {
  const found = await forwardLarge(world);
  if (found === undefined) return;
  const expiry = (a % 2 === 0 ? found.outgoing : found.incoming).htlc.cltvExpiry;
  world.isIdle = true;
  await world.chain.mine(expiry - world.height + 8);
};

/** A31: a little comes in, and much goes out under its hash. */
export const forwardMore: Anywhere = async (world, _channel, { a }) => {
  const from = await channelFor(world, { by: 'peer', amountMsat: LARGE_MSAT });
  const to = await channelFor(world, { by: 'owner', amountMsat: LARGE_MSAT }, (one) => one === from);
  const incoming = from === undefined ? undefined : await payIn(world, from, 2_000_000n);
  if (incoming === undefined || to === undefined) return;
  const { payment, htlc } = incoming;
  const amountMsat = LARGE_MSAT / BigInt(1 + (a % 4));
  const out = newHtlc(to, 'owner', payment, amountMsat, htlc.cltvExpiry - 40);
  await send(world, to, 'owner', [{ kind: 'add', htlc: out }], 1);
};

/** A09: what comes in is taken for certain though the commitment without it was revoked with a secret that opens nothing. */
export const revokeFalsely: Anywhere = async (world, _channel, { a }) => {
  const from = await channelFor(world, { by: 'peer', amountMsat: LARGE_MSAT });
  const to = await channelFor(world, { by: 'owner', amountMsat: LARGE_MSAT }, (one) => one === from);
  if (from === undefined || to === undefined || !(await quiesce(world, from))) return;
  // Every second secret has none before it that it must lead to.
  if (from.log.views.peer.number % 2 === 1) await payIn(world, from, 3_000_000n);
  const payment = world.book.begin(newPreimage(world), 'forward', LARGE_MSAT, 'settled');
  const htlc = newHtlc(from, 'peer', payment, LARGE_MSAT, world.height + 100);
  const incoming = world.book.addPart(payment, from, htlc);
  from.log.propose('peer', { kind: 'add', htlc });
  if (!(await validate(world, from)) || !(await revoke(world, from)) || !(await signPeers(world, from)))
    return;
  const { number } = from.log.views.peer;
  const wrong = a % 2 === 0 ? from.peer.secret(number + 1) : bytesFor(`wrong ${a}`);
  const request = validateRevocationRequest(number, wrong);
  if ((await world.ask(from.client, request, 'attack')) === null) return;
  world.book.settle(from, from.log.revoked('peer'));
  const found = await forwardOn(world, incoming, to);
  if (found !== undefined) await resolve(world, found.outgoing, 'settled');
};

/** A74: a commitment is on its way into a block when it is revoked; what came in since is forwarded before the block comes. */
export const publishThenForward: Anywhere = async (world, _channel, { a }) => {
  const from = await channelFor(world, { by: 'peer', amountMsat: LARGE_MSAT });
  const to = await channelFor(world, { by: 'owner', amountMsat: LARGE_MSAT }, (one) => one === from);
  if (from === undefined || to === undefined || !(await quiesce(world, from))) return;
  const before = from.livePeerCommitments.at(-1);
  const incoming = await payIn(world, from, LARGE_MSAT);
  const found = incoming === undefined ? undefined : await forwardOn(world, incoming, to);
  if (found === undefined || before === undefined) return;
  await resolve(world, found.outgoing, 'settled');
  world.isIdle = true;
  publishPeers(world, from, before);
  await world.chain.mine(1 + (a % 3));
};

/** A25: what is forwarded goes out where HTLC transactions pay fees; then the rate rises until none of it has an output. */
export const trimByFee: Anywhere = async (world) => {
  const to = { format: 'static_remotekey', isOwnerFunder: true } as const;
  let channel: Channel | undefined;
  for (let i = 0; i < TRIMMED_HTLCS; i++) {
    const found = await forwardLarge(world, { amountMsat: TRIMMED_MSAT, to });
    if (found === undefined) break;
    channel = found.outgoing.channel;
  }
  if (channel === undefined) return;
  await send(world, channel, 'owner', [{ kind: 'fee', feeratePerKw: FEERATE_MAX_PER_KW }], 1);
};

/** The most that the owner pays, and an amount that HTLC transactions at this rate eat up. */
const FEERATE_MAX_PER_KW = 25_000;
const TRIMMED_MSAT = 15_000_000n;
const TRIMMED_HTLCS = 5;

/** A68: the peer pays for commitments and raises the rate; what HTLC transactions of ours pay is ours. */
export const raiseFees: Anywhere = async (world, _channel, { a }) => {
  const terms = { format: 'static_remotekey', isOwnerFunder: false } as const;
  const amountMsat = 250_000_000n;
  const channel = await channelFor(world, { by: 'owner', amountMsat: amountMsat * 5n, terms });
  if (channel === undefined) return;
  await payApproved(world, channel, amountMsat);
  const feeratePerKw = pick([250_000, 200_000, 100_000], a)!;
  await send(world, channel, 'peer', [{ kind: 'fee', feeratePerKw }], 1);
};

/** Of the payee's, who is a friend of the attacker's; nothing honest comes back to it. */
function beginStray(world: World, amountMsat: bigint): Payment {
  const payment = world.book.begin(newPreimage(world), 'stray', amountMsat, 'settled');
  world.book.giveUp(payment);
  return payment;
}

const approve = (world: World, payment: Payment) =>
  world.ask(NODE, preapproveRequest(signInvoice(invoiceOf(world, payment), PAYEE_SECRET)), 'attack');

/** An HTLC of ours for an invoice of the payee's. */
async function payApproved(world: World, channel: Channel, amountMsat: bigint): Promise<void> {
  const payment = beginStray(world, amountMsat);
  await approve(world, payment);
  const htlc = newHtlc(channel, 'owner', payment, amountMsat, world.height + 60);
  await send(world, channel, 'owner', [{ kind: 'add', htlc }], 1);
}

/** A24: a satoshi of ours becomes fee, as rounding could do it, and with the next update the fee is the peer's; again and again. */
export const grindIntoFee: Anywhere = async (world, _channel, { a }) => {
  const channel = await channelFor(world, { by: 'peer', amountMsat: LARGE_MSAT });
  if (channel === undefined || !(await quiesce(world, channel))) return;
  for (let round = 0; round < GROUND_ROUNDS; round++) {
    const msat = 1000n - BigInt(a % 2);
    for (const gainMsat of [-msat, msat]) {
      const content = (state: State): State =>
        gainMsat < 0n
          ? { ...state, ownerMsat: state.ownerMsat + gainMsat }
          : { ...state, peerMsat: state.peerMsat + gainMsat };
      if (!(await goOnWith(world, channel, content))) return;
    }
  }
};

const GROUND_ROUNDS = 50;

/** Both sides' next commitments say something else than what they said. */
async function goOnWith(world: World, channel: Channel, content: (state: State) => State): Promise<boolean> {
  const { owner, peer } = channel.log.views;
  if (!(await validate(world, channel, content(owner.current), 'attack')) || !(await revoke(world, channel)))
    return false;
  return (await signPeers(world, channel, content(peer.current), 'attack')) && peerRevokes(world, channel);
}

/** A43: an invoice is paid to its end; once the channel has gone on, it is approved again, and paid again. */
export const payAgain: Anywhere = async (world, _channel, { a }) => {
  const channel = await channelFor(world, { by: 'owner', amountMsat: 3n * LARGE_MSAT });
  if (channel === undefined) return;
  const payment = beginStray(world, LARGE_MSAT);
  for (let round = 0; round < 2; round++) {
    await approve(world, payment);
    const htlc = newHtlc(channel, 'owner', payment, payment.amountMsat, world.height + 60);
    await send(world, channel, 'owner', [{ kind: 'add', htlc }], 1);
    if (!channel.log.views.peer.current.htlcs.includes(htlc)) return;
    await world.book.learn([payment.hash]);
    await send(world, channel, 'peer', [{ kind: 'remove', htlc, to: 'peer' }], 1);
    const funder = channel.terms.isOwnerFunder ? 'owner' : 'peer';
    await send(world, channel, funder, [{ kind: 'fee', feeratePerKw: 1000 + (a % 500) + round }], 1);
    if (a % 2 === 0) await world.chain.mine(1);
  }
};

/** A33: one approval, and an HTLC for all of it on each of two channels. */
export const payOverTwo: Anywhere = async (world) => {
  const wanted = { by: 'owner', amountMsat: LARGE_MSAT } as const;
  const one = await channelFor(world, wanted);
  const other = await channelFor(world, wanted, (channel) => channel === one);
  const payment = beginStray(world, LARGE_MSAT);
  await approve(world, payment);
  for (const channel of [one, other]) {
    if (channel === undefined) return;
    const htlc = newHtlc(channel, 'owner', payment, LARGE_MSAT, world.height + 60);
    await send(world, channel, 'owner', [{ kind: 'add', htlc }], 1);
  }
};

/** A41: one fee after the other, each of them usual; between them the signer may start again. */
export const burnSlowly: Anywhere = async (world, _channel, { a, b }) => {
  for (let i = 0; i < 4 + (b % 3); i++) {
    const coin = pick(world.coins.all, a + i);
    if (coin === undefined) return;
    const output = { value: coin.output.value - 19_000n, script: world.receivingScript() };
    if (!(await spend(world, unsigned([coin], [output]), [coin]))) return;
    await world.chain.mine(1);
    if (a % 2 === 0) await world.restart();
  }
};

/** A35, A48: the outgoing HTLC is claimed on the chain, which nobody tells the signer; then the incoming one is failed off it. */
export const claimMuchThenFail: Anywhere = async (world, _channel, { a, b }) => {
  const found = await forwardLarge(world);
  if (found === undefined) return;
  const { channel } = found.outgoing;
  world.isIdle = true;
  if (!publishPeers(world, channel, channel.livePeerCommitments.at(-1))) return;
  await world.chain.mine(1 + (b % 2));
  await peerClaims(channel.ending!);
  await world.chain.mine(a % 3 === 0 ? 1 : 7);
  await failUpstream(world, found);
};

const failUpstream = (world: World, { incoming: { htlc, channel } }: Forward): Promise<void> =>
  send(world, channel, 'owner', [{ kind: 'remove', htlc, to: 'peer' }], 1);

/** A74: the commitment with the outgoing HTLC is in a block when it is revoked; the one after has it no more; upstream it is failed. */
export const publishThenFail: Anywhere = async (world, _channel, { a }) => {
  const found = await forwardLarge(world, { to: { isOwnerFunder: true } });
  if (found === undefined) return;
  const { channel, htlc } = found.outgoing;
  channel.log.propose('peer', { kind: 'remove', htlc, to: 'owner' });
  const current = channel.livePeerCommitments.at(-1);
  for (const step of [validate, revoke, signPeers]) if (!(await step(world, channel))) return;
  world.isIdle = true;
  if (!publishPeers(world, channel, current)) return;
  await world.chain.mine(1);
  await peerRevokes(world, channel);
  if (a % 3 !== 0) await world.chain.mine(5);
  await failUpstream(world, found);
};

/** A38: what went out is paid for; then an HTLC that is about to expire takes the place of the one that covers it. */
export const coverTooLate: Anywhere = async (world, _channel, { a }) => {
  const found = await forwardLarge(world);
  if (found === undefined || !(await resolve(world, found.outgoing, 'settled'))) return;
  const { channel, payment, htlc } = found.incoming;
  const twin = newHtlc(channel, 'peer', payment, htlc.amountMsat, world.height + (a % 2));
  await send(world, channel, 'peer', [{ kind: 'add', htlc: twin }], 1);
  await failUpstream(world, found);
  world.isIdle = true;
  await world.chain.mine(1);
};

/** A73: the outgoing channel closes without the HTLC, upstream it is failed, and a reorg brings the commitment that has it. */
export const closeThenReorganize: Anywhere = async (world, _channel, { a }) => {
  const from = await channelFor(world, { by: 'peer', amountMsat: LARGE_MSAT });
  const to = await channelFor(world, { by: 'owner', amountMsat: LARGE_MSAT }, (one) => one === from);
  const incoming = from === undefined ? undefined : await payIn(world, from, LARGE_MSAT);
  if (incoming === undefined || to === undefined || !(await quiesce(world, to))) return;
  const without = to.livePeerCommitments.at(-1);
  const { payment, htlc } = incoming;
  const outgoing = offer(world, to, payment, onwardOf(to, incoming));
  if (!(await signPeers(world, to))) return;
  const withIt = to.livePeerCommitments.at(-1)!;
  world.isIdle = true;
  if (!publishPeers(world, to, without)) return;
  const depth = 1 + (a % 2);
  await world.chain.mine(depth);
  await failUpstream(world, { incoming, outgoing });
  if (incoming.channel.log.views.peer.current.htlcs.includes(htlc)) return;
  const tx = withFundingWitness(to, withIt.built.tx, withIt.signature);
  await world.chain.reorganize(depth, [{ txs: [tx] }]);
};
