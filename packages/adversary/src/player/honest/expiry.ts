/** Payments that come near their expiry are brought to their end, as their receivers would have done long before. */
import { endOf, isComplete } from '../book.ts';
import type { Channel } from '../channel.ts';
import { quiesce } from '../protocol.ts';
import type { World } from '../world.ts';
import { release } from './payments.ts';

/** What stands on the channel and expires within so many blocks. */
export async function resolveExpiring(world: World, channel: Channel, blocks: number): Promise<void> {
  const isNear = ({ cltvExpiry }: { readonly cltvExpiry: number }) => cltvExpiry - world.height <= blocks;
  await quiesce(world, channel);
  for (const part of world.book.partsOn(channel, 'owner')) {
    if (part.state !== 'standing' || !isNear(part.htlc)) continue;
    // Parts that never come make the receiver fail the others.
    if (!isComplete(part.payment) && !part.payment.isKnown) part.payment.ending = 'failed';
    part.state = 'removing';
    const to = part.payment.ending === 'settled' ? 'peer' : 'owner';
    channel.log.propose('peer', { kind: 'remove', htlc: part.htlc, to });
  }
  await quiesce(world, channel);
  for (const part of world.book.partsOn(channel, 'peer')) {
    if (part.state !== 'standing' || !isNear(part.htlc)) continue;
    const { payment, onward, decided } = part;
    const how =
      onward === null
        ? (decided ?? (payment.purpose === 'invoice' ? payment.ending : 'failed'))
        : endOf(onward);
    await release(world, part, how);
  }
  await quiesce(world, channel);
}
