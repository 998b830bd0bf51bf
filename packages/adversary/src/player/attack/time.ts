/** Attacks of silence: the chain goes on and the node does nothing, hides what it knows, or comes back to it too late. */
import type { Channel } from '../channel.ts';
import { pick } from '../dice.ts';
import { forceClose, peerCheats, peerCloses } from '../honest/closing.ts';
import type { Move } from '../moves.ts';
import type { World } from '../world.ts';
import { forwardLarge, resolve } from './large.ts';

/** A44, A48: blocks go by to about the expiry of some HTLC; the node neither settles, nor claims, nor tells. */
export async function sleep(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const expiries = channel.log.views.owner.current.htlcs.map(({ cltvExpiry }) => cltvExpiry);
  const until = (pick(expiries, a) ?? world.height) + [-3, -1, 0, 1, 3, 8][b % 6]!;
  const count = Math.min(Math.max(1, until - world.height), 150);
  world.isIdle = true;
  await world.chain.mine(count);
  world.isIdle = a % 3 === 0;
}

/** A74: a revoked commitment is published, and the node keeps quiet about it; or one that is not, by either side. */
export async function endBadly(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  world.isIdle = a % 2 === 0;
  if (b % 4 === 0) await peerCloses(world, channel, a);
  else if (b % 4 === 1) await forceClose(world, channel);
  else await peerCheats(world, channel, a);
  if (a % 3 === 0) await world.chain.mine(1 + (b % 4));
}

/** A73: a reorg in which transactions do not come back at once. */
export async function reorgOut(world: World, _channel: Channel | undefined, { a, b }: Move): Promise<void> {
  const depth = 1 + (a % 2);
  const blocks = Array.from({ length: depth + 1 }, () => ({ txs: [] }));
  await world.chain.reorganize(depth, b % 2 === 0 ? blocks : blocks.slice(0, 1));
}

/**
 * A73: what went out is settled, and the node sleeps until the owner has to claim what came in; then a reorg takes back his commitment,
 * or his claim, which has to wait for the commitment once more.
 */
export async function claimThenReorganize(
  world: World,
  _channel: Channel | undefined,
  { a, b, c }: Move,
): Promise<void> {
  const found = await forwardLarge(world);
  if (found === undefined || !(await resolve(world, found.outgoing, 'settled'))) return;
  world.isIdle = true;
  await world.chain.mine(found.incoming.htlc.cltvExpiry - (a % 10) - world.height);
  const depth = 1 + (b % 2);
  const blocks = Array.from({ length: depth + 1 }, () => (c % 2 === 0 ? {} : { txs: [] }));
  await world.chain.reorganize(depth, blocks);
  await world.chain.mine(12);
}

/** A43: the clock runs on, and records that were kept for a time may be gone. */
export async function jump(world: World, _channel: Channel | undefined, { a }: Move): Promise<void> {
  world.nowSeconds += 86_400 * (1 + (a % 10));
  await world.chain.mine(1 + (a % 3));
}
