/** Which channel a move is played on: the one it names, or the next one on which there is something to do. */
import { equalBytes } from '../bitcoin/bytes.ts';
import type { Channel } from './channel.ts';
import type { Htlc, Party } from './state.ts';
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

/** Some side's HTLC stands in the owner's commitment; that makes more attacks possible. */
export const isRich = (channel: Channel): boolean => hasHtlc(channel, 'owner') || hasHtlc(channel, 'peer');

/** HTLCs that came in on the channel and pay for one that went out, or stands, elsewhere. */
export function covering(world: World, channel: Channel): readonly Htlc[] {
  const outgoing = world.channels.flatMap(({ log }) =>
    log.unrevoked('peer').flatMap(({ htlcs }) => htlcs.filter(({ offeredBy }) => offeredBy === 'owner')),
  );
  return channel.log.views.owner.current.htlcs.filter(
    ({ offeredBy, paymentHash }) =>
      offeredBy === 'peer' &&
      (world.book.find(paymentHash)?.isKnown === true ||
        outgoing.some((one) => equalBytes(one.paymentHash, paymentHash))),
  );
}
