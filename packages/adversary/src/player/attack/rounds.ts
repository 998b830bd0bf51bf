/**
 * Rounds of an opening that are only named: the node sets one up beside the funding that the channel lives on, has it mined as a gift, and
 * signs no commitment on it. What rests on the other funding, which is nowhere or already closed, is then used as if it were there.
 */

import type { Channel, ChannelTerms } from '../channel.ts';
import { withFundingWitness } from '../honest/closing.ts';
import { declare, fundBy, fundingOutputOf, negotiate, someTerms } from '../honest/opening.ts';
import { candidateOf } from '../honest/splicing.ts';
import type { Move } from '../moves.ts';
import { setupRequest } from '../requests.ts';
import type { World } from '../world.ts';
import { channelFor, forwardOn, LARGE_MSAT, payIn, resolve } from './large.ts';

/** What the peer gives away for it. */
const GIFT_SAT = 20_000n;
/** As deep as the owner wants a funding for payments, and one more. */
const BURIED_BLOCKS = 4;

/** A channel that the peer alone pays for, with both first commitments signed; its funding is not published. */
async function drafted(
  world: World,
  by: number,
  changes: Partial<ChannelTerms> = {},
): Promise<Channel | undefined> {
  const terms = { isOwnerFunder: false, pushMsat: 0n, capacitySat: 1_000_000n, ...changes };
  const channel = await declare(world, someTerms(world, by, terms));
  const tx = channel === undefined ? undefined : world.chain.attackerPays([fundingOutputOf(channel)]);
  if (channel === undefined || tx === undefined) return undefined;
  fundBy(channel, tx, 0);
  if (!(await negotiate(world, channel))) return undefined;
  channel.isTainted = true;
  return channel;
}

/**
 * A46: of two rounds only a gift is in a block, and nothing was signed on it; what comes in on the other one, which is nowhere or was closed
 * by the peer, is forwarded.
 */
export async function giftRound(world: World, _channel: Channel | undefined, { a, b }: Move): Promise<void> {
  const to = await channelFor(world, { by: 'owner', amountMsat: LARGE_MSAT });
  const channel = to === undefined ? undefined : await drafted(world, a);
  if (to === undefined || channel?.fundingTx == null) return;
  const isMined = b % 2 === 1;
  if (isMined) world.chain.broadcast(channel.fundingTx);
  const gift = world.chain.attackerPays([{ ...fundingOutputOf(channel), value: GIFT_SAT }]);
  if (gift === undefined) return;
  const round = candidateOf(channel, gift, GIFT_SAT);
  if ((await world.ask(channel.client, setupRequest(round), 'attack')) === null) return;
  world.chain.broadcast(gift);
  await world.chain.mine(BURIED_BLOCKS);
  if (isMined) await closeUnnoticed(world, channel);
  channel.phase = 'open';
  world.channels.push(channel);
  const incoming = await payIn(world, channel, LARGE_MSAT);
  const found = incoming === undefined ? undefined : await forwardOn(world, incoming, to);
  if (found !== undefined) await resolve(world, found.outgoing, 'settled');
}

/** By the peer's first commitment, which has nothing of the owner's; the node goes on as if it were not there. */
async function closeUnnoticed(world: World, channel: Channel): Promise<void> {
  const first = channel.peerCommitments.at(-1);
  if (first === undefined) return;
  world.chain.broadcast(withFundingWitness(channel, first.built.tx, first.signature));
  await world.chain.mine(1);
}
