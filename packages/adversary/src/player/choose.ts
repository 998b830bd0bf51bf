/** Which channel a move is played on: the one it names, or the next one on which there is something to do. */
import type { Channel } from './channel.ts';
import type { Party } from './state.ts';
import type { World } from './world.ts';

/** In the order of the list, from a channel on. */
export function nextWith(
  world: World,
  from: Channel,
  isIt: (channel: Channel) => boolean,
): Channel | undefined {
  const at = Math.max(0, world.channels.indexOf(from));
  return [...world.channels.slice(at), ...world.channels.slice(0, at)].find(isIt);
}

/** The node knows of an HTLC there that stands in both commitments, and nothing was done about it yet. */
export const hasStandingPart = (world: World, channel: Channel, offeredBy: Party): boolean =>
  channel.isUsable && world.book.partsOn(channel, offeredBy).some(({ state }) => state === 'standing');

/** Its current commitment has an HTLC, whoever knows of it. */
export const hasHtlc = ({ isUsable, ending, log }: Channel, offeredBy: Party): boolean =>
  isUsable && ending === null && log.views.owner.current.htlcs.some((one) => one.offeredBy === offeredBy);
