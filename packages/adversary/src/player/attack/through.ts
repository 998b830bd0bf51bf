/** Money that comes in over a channel which is not what it seems, and goes out over one that is. */
import type { Channel } from '../channel.ts';
import { pick } from '../dice.ts';
import { newHtlc, newPreimage, spendableMsat } from '../honest/payments.ts';
import { peerRevokes, quiesce, revoke, signPeers, validate } from '../protocol.ts';
import type { World } from '../world.ts';
import { send } from './proposals.ts';

/** The peer pays in, and a friend is paid the same; then both are settled, as far as the signer lets them. */
export async function payThrough(world: World, channel: Channel, by: number): Promise<void> {
  const isRich = (one: Channel) => one !== channel && one.isUsable && one.ending === null;
  const onward = pick(
    world.channels.filter((one) => isRich(one) && spendableMsat(one, 'owner') > 60_000_000n),
    by,
  );
  if (onward === undefined) return;
  const payment = world.book.begin(newPreimage(world), 'stray', 50_000_000n, 'settled');
  world.book.giveUp(payment);
  const incoming = newHtlc(channel, 'peer', payment, payment.amountMsat, world.height + 120);
  channel.log.propose('peer', { kind: 'add', htlc: incoming }, true);
  await push(world, channel);
  const outgoing = newHtlc(onward, 'owner', payment, payment.amountMsat - 100_000n, world.height + 60);
  await send(world, onward, 'owner', [{ kind: 'add', htlc: outgoing }], 1);
  if (!onward.log.views.peer.current.htlcs.includes(outgoing)) return;
  if (by % 3 === 0) return;
  await world.book.learn([payment.hash]);
  await send(world, onward, 'peer', [{ kind: 'remove', htlc: outgoing, to: 'peer' }], 1);
  channel.log.propose('owner', { kind: 'remove', htlc: incoming, to: 'owner' }, true);
  await push(world, channel);
}

/** Through both commitments, also on a channel that nobody should use any more. */
async function push(world: World, channel: Channel): Promise<void> {
  if (channel.isUsable) {
    await quiesce(world, channel);
    return;
  }
  for (const step of [validate, revoke, signPeers, peerRevokes, validate, revoke])
    if (!(await step(world, channel))) return;
}
