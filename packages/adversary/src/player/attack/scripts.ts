/** Attacks of several steps, each of which is nothing alone: played in one move, as far as the signer lets them. */
import { NODE } from '../../subject.ts';
import type { Part } from '../book.ts';
import type { Channel } from '../channel.ts';
import { pick } from '../dice.ts';
import { publishPeers, withFundingWitness } from '../honest/closing.ts';
import { newHtlc, newPreimage, offer, someAmountMsat } from '../honest/payments.ts';
import { invoiceOf, PAYEE_SECRET, preapproveRequest, signInvoice } from '../invoices.ts';
import type { Move } from '../moves.ts';
import { peerRevokes, quiesce, revoke, signPeers, signPeersBuilt, validate } from '../protocol.ts';
import type { Htlc } from '../state.ts';
import type { World } from '../world.ts';
import { channelFor, LARGE_MSAT, payIn } from './large.ts';
import { send } from './proposals.ts';

/** A36: an HTLC comes in on one side's commitment only, and goes out elsewhere. */
export async function oneView(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const onward = otherChannel(world, channel, a);
  if (!channel.isUsable || onward === undefined) return;
  await quiesce(world, channel);
  const payment = world.book.begin(newPreimage(world), 'stray', someAmountMsat(world), 'settled');
  world.book.giveUp(payment);
  const htlc = newHtlc(channel, 'peer', payment, payment.amountMsat, world.height + 120);
  // Proposed by the wrong side, it gets into the peer's commitment first.
  channel.log.propose(b % 2 === 0 ? 'owner' : 'peer', { kind: 'add', htlc }, true);
  if (b % 2 === 0) {
    if (await signPeers(world, channel)) await peerRevokes(world, channel);
  } else if ((await validate(world, channel)) && b % 4 === 1) await revoke(world, channel);
  const out = newHtlc(onward, 'owner', payment, payment.amountMsat, world.height + 60);
  await send(world, onward, 'owner', [{ kind: 'add', htlc: out }], a);
  channel.log.withdrawBogus();
}

const otherChannel = (world: World, channel: Channel, by: number): Channel | undefined =>
  pick(
    world.channels.filter((one) => one !== channel && one.isUsable),
    by,
  );

/** A38: what comes in expires almost at once, and pays for what goes out. */
export async function lateCover(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const onward = otherChannel(world, channel, a);
  if (!channel.isUsable || onward === undefined) return;
  const payment = world.book.begin(newPreimage(world), 'forward', someAmountMsat(world), 'settled');
  const expiry = world.height + [24, 9, 7, 28, 12][b % 5]!;
  offer(world, channel, payment, newHtlc(channel, 'peer', payment, payment.amountMsat, expiry));
  if (!(await quiesce(world, channel))) return;
  const outExpiry = [expiry - 12, expiry, world.height + 3, world.height + 60][a % 4]!;
  const out = newHtlc(onward, 'owner', payment, payment.amountMsat, outExpiry);
  await send(world, onward, 'owner', [{ kind: 'add', htlc: out }], 1);
  if (b % 2 === 0) {
    world.isIdle = true;
    await world.chain.mine(Math.max(1, expiry - world.height - 1));
    world.isIdle = false;
  }
  await world.book.learn([payment.hash]);
  await send(world, onward, 'peer', [{ kind: 'remove', htlc: out, to: 'peer' }], 1);
}

const forwards = (world: World): readonly { readonly incoming: Part; readonly onward: Part }[] =>
  world.book.payments.flatMap(({ incoming }) =>
    incoming.flatMap((one) => (one.onward === null ? [] : [{ incoming: one, onward: one.onward }])),
  );

const gone = (world: World, { channel, htlc }: Part): boolean =>
  world.depthOf(channel.funding) === 0 || !channel.log.next('peer').htlcs.some(({ id }) => id === htlc.id);

/** A73: the outgoing channel closes without the HTLC; upstream it is failed; a reorg brings the commitment that has it. */
export async function failThenReorganize(
  world: World,
  _channel: Channel | undefined,
  { a, b }: Move,
): Promise<void> {
  const ready = forwards(world).filter(
    ({ onward, incoming }) => onward.channel.isUsable && incoming.channel.isUsable && !gone(world, onward),
  );
  const found = pick(ready, a);
  if (found === undefined) return;
  const { incoming, onward } = found;
  const { channel } = onward;
  const isIn = ({ htlcs }: { readonly htlcs: readonly Htlc[] }) =>
    htlcs.some(({ id }) => id === onward.htlc.id);
  if (channel.log.canSign('peer')) await signPeers(world, channel);
  const live = channel.livePeerCommitments;
  const without = live.find(({ built }) => !isIn(built.state));
  const withIt = live.findLast(({ built }) => isIn(built.state));
  if (without === undefined || withIt === undefined || !publishPeers(world, channel, without)) return;
  world.isIdle = true;
  await world.chain.mine(1 + (b % 2));
  await send(world, incoming.channel, 'owner', [{ kind: 'remove', htlc: incoming.htlc, to: 'peer' }], b);
  const depth = channel.ending?.depth ?? 0;
  const tx = withFundingWitness(channel, withIt.built.tx, withIt.signature);
  if (depth > 0 && depth < world.config.paymentDepthBlocks)
    await world.chain.reorganize(depth, [{ txs: [tx] }]);
  world.isIdle = false;
}

/** A74: a commitment is on its way into a block when the peer revokes it. */
export async function publishThenRevoke(world: World, channel: Channel, { a }: Move): Promise<void> {
  if (!channel.isUsable) return;
  if (!channel.log.canSign('peer') && channel.log.views.peer.pending === null) {
    const payment = world.book.begin(newPreimage(world), 'stray', someAmountMsat(world), 'failed');
    const htlc = newHtlc(channel, 'peer', payment, payment.amountMsat, world.height + 100);
    offer(world, channel, payment, htlc);
    if (!(await validate(world, channel)) || !(await revoke(world, channel))) return;
  }
  if (channel.log.canSign('peer')) await signPeers(world, channel);
  const current = channel.livePeerCommitments[0];
  if (current === undefined || channel.log.views.peer.pending === null) return;
  if (!publishPeers(world, channel, current)) return;
  if (a % 3 === 0) await world.chain.mine(1);
  await peerRevokes(world, channel);
  await world.chain.mine(1 + (a % 2));
}

/** A24, A27b: so little with each update that nothing shows, and with so many updates that it is much. */
export async function grind(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const toPeerMsat = [999n, 350_000n, 1n, 500n][b % 4]!;
  for (let round = 0; round < 10 + (a % 50); round++) {
    if (!channel.isUsable) return;
    const granted = world.grantedAttacks;
    await send(world, channel, 'peer', [{ kind: 'shift', toPeerMsat }], 1);
    if (world.grantedAttacks < granted + 2) return;
  }
}

/** A07: the same number of the peer's with another point; one of them is revoked. */
export async function twoPoints(world: World, channel: Channel, { a }: Move): Promise<void> {
  if (channel.log.canSign('peer')) await signPeers(world, channel);
  const { number } = channel.log.views.peer;
  const state = channel.log.views.peer.pending ?? channel.log.next('peer');
  const point = channel.peer.point(number + 2 + (a % 3));
  const built = channel.buildChanged('peer', number + 1, state, {}, point);
  if (built === undefined) return;
  if (await signPeersBuilt(world, channel, built, 'attack')) await peerRevokes(world, channel);
}

/** A35, A48: the outgoing HTLC is claimed on the chain; then the incoming one is failed off it. */
export async function claimThenFail(
  world: World,
  _channel: Channel | undefined,
  { a, b }: Move,
): Promise<void> {
  const ready = forwards(world).filter(
    ({ onward, incoming }) =>
      onward.state === 'standing' && onward.channel.isUsable && incoming.channel.isUsable,
  );
  const found = pick(ready, a);
  if (found === undefined) return;
  const { incoming, onward } = found;
  onward.payment.ending = 'settled';
  if (!publishPeers(world, onward.channel, onward.channel.livePeerCommitments.at(-1))) return;
  // The peer claims with the next block, and has it with the one after.
  await world.chain.mine(2 + (b % 3));
  if (b % 2 === 0) await world.chain.mine(6);
  await send(world, incoming.channel, 'owner', [{ kind: 'remove', htlc: incoming.htlc, to: 'peer' }], b);
}

/** A07, A34: what goes out is signed in one variant and not in the next; upstream it is failed, and the first one is there. */
export async function variantThenFail(
  world: World,
  _channel: Channel | undefined,
  { a, b }: Move,
): Promise<void> {
  const waiting = world.book.payments.flatMap(({ incoming }) =>
    incoming.filter((one) => one.state === 'standing' && one.onward === null && one.channel.isUsable),
  );
  const incoming = a % 3 === 0 ? pick(waiting, a) : await payInLarge(world);
  const wanted = { by: 'owner', amountMsat: LARGE_MSAT } as const;
  const onward = await channelFor(world, wanted, (one) => one === incoming?.channel);
  if (incoming === undefined || onward === undefined) return;
  await quiesce(world, onward);
  const { payment, htlc } = incoming;
  const amountMsat = (htlc.amountMsat * 98n) / 100n;
  const out = newHtlc(onward, 'owner', payment, amountMsat, Math.max(1, htlc.cltvExpiry - 34));
  const update = onward.log.propose('owner', { kind: 'add', htlc: out }, true);
  if (!(await signPeers(world, onward))) return;
  onward.log.withdrawBogus();
  onward.log.withdraw(update);
  // Another content for the number, with nothing in it.
  await signPeers(world, onward, onward.log.views.peer.current, 'attack');
  if (b % 2 === 0) await peerRevokes(world, onward);
  await send(world, incoming.channel, 'owner', [{ kind: 'remove', htlc, to: 'peer' }], 1);
}

async function payInLarge(world: World): Promise<Part | undefined> {
  const from = await channelFor(world, { by: 'peer', amountMsat: LARGE_MSAT });
  return from === undefined ? undefined : payIn(world, from, LARGE_MSAT);
}

/** A23: of two HTLCs of ours that are equal in everything, one is gone and nobody got it back. */
export async function twinsOfOurs(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  if (!channel.isUsable) return;
  const payment = world.book.begin(
    newPreimage(world),
    'stray',
    2n * (5_000_000n + BigInt(a) * 1000n),
    'failed',
  );
  world.book.giveUp(payment);
  await world.ask(NODE, preapproveRequest(signInvoice(invoiceOf(world, payment), PAYEE_SECRET)), 'attack');
  const expiry = world.height + 60;
  const twins = [0, 1].map(() => newHtlc(channel, 'owner', payment, payment.amountMsat / 2n, expiry));
  await send(
    world,
    channel,
    'owner',
    twins.map((htlc) => ({ kind: 'add', htlc }) as const),
    1,
  );
  if (!channel.log.views.peer.current.htlcs.includes(twins[1]!)) return;
  let gone = twins[0]!;
  for (let round = 0; round < 3; round++) {
    await send(world, channel, 'peer', [{ kind: 'remove', htlc: gone, to: 'peer' }], b | 1);
    if (channel.log.views.peer.current.htlcs.includes(gone)) return;
    // To whoever counts them as one, nothing has left yet.
    gone = newHtlc(channel, 'owner', payment, payment.amountMsat / 2n, expiry);
    await send(world, channel, 'owner', [{ kind: 'add', htlc: gone }], 1);
    if (!channel.log.views.peer.current.htlcs.includes(gone)) return;
  }
}

/** A32, A43: an invoice is paid to its end, and once more: with its approval, or with another one after some time. */
export async function payTwice(world: World, first: Channel, { a, b }: Move): Promise<void> {
  let channel = first;
  if (!channel.isUsable) return;
  const payment = world.book.begin(newPreimage(world), 'stray', 10_000_000n + BigInt(a) * 1000n, 'settled');
  world.book.giveUp(payment);
  const approve = () =>
    world.ask(NODE, preapproveRequest(signInvoice(invoiceOf(world, payment), PAYEE_SECRET)), 'attack');
  await approve();
  for (let round = 0; round < 3; round++) {
    const htlc = newHtlc(channel, 'owner', payment, payment.amountMsat, world.height + 60);
    await send(world, channel, 'owner', [{ kind: 'add', htlc }], 1);
    if (!channel.log.views.peer.current.htlcs.includes(htlc)) return;
    if (b % 4 === 3) {
      // While it stands, over another channel.
      channel = otherChannel(world, channel, a) ?? channel;
      continue;
    }
    await world.book.learn([payment.hash]);
    await send(world, channel, 'peer', [{ kind: 'remove', htlc, to: 'peer' }], 1);
    if (b % 3 !== 0) await world.chain.mine(1 + (b % 2));
    if (b % 2 === 0) await approve();
  }
}
