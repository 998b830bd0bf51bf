/**
 * What a new block sets off: closed channels are claimed from, channels whose HTLCs run out go to the chain, and where the
 * node is the attacker's, the owner's own watcher publishes what the signer gives it.
 */

import { equalBytes } from '../bitcoin/bytes.ts';
import { parseTx, type Tx, txidOf } from '../bitcoin/transaction.ts';
import type { Channel } from './channel.ts';
import type { Built } from './commitments.ts';
import { Ending } from './ending.ts';
import { forceClose } from './honest/closing.ts';
import { resolveExpiring } from './honest/expiry.ts';
import type { World } from './world.ts';

/** Closed channels stay on the list for an attacker to come back to; so many of them. */
const CLOSED_MAX = 4;

export async function tendChannels(world: World): Promise<void> {
  if (!world.config.isHonest) await publishRescues(world);
  for (const channel of [...world.channels]) {
    adoptEnding(world, channel);
    if (channel.ending !== null && channel.phase !== 'closed') await channel.ending.tend();
    else if (channel.isUsable) await heedDeadlines(world, channel);
  }
  const closed = world.channels.filter(({ phase }) => phase === 'closed');
  const gone = closed.slice(0, Math.max(0, closed.length - CLOSED_MAX));
  world.channels = world.channels.filter((one) => !gone.includes(one));
}

async function publishRescues(world: World): Promise<void> {
  for (const { raw } of await world.subject.rescues()) world.chain.broadcast(parseTx(raw));
}

/** The funding is spent by something: whatever the node thought, that is how the channel ends. */
function adoptEnding(world: World, channel: Channel): void {
  if (channel.fundingTx === null || channel.phase === 'closed') return;
  const tx = world.chain.spenderOf(channel.funding);
  if (tx === undefined || (channel.ending !== null && equalBytes(txidOf(channel.ending.tx), txidOf(tx))))
    return;
  channel.phase = 'closing';
  channel.ending = new Ending(world, channel, tx, builtOf(channel, tx));
}

function builtOf(channel: Channel, tx: Tx): Built | null {
  const id = txidOf(tx);
  const all = [...channel.ownerCommitments, ...channel.peerCommitments];
  return all.find(({ built }) => equalBytes(txidOf(built.tx), id))?.built ?? null;
}

/** Blocks before an expiry at which a node that behaves has seen to it. */
const HASTE_BLOCKS = 8;
const CLAIM_MARGIN_BLOCKS = 4;

async function heedDeadlines(world: World, channel: Channel): Promise<void> {
  const parts = [...world.book.partsOn(channel, 'owner'), ...world.book.partsOn(channel, 'peer')];
  const isNear = parts.some(({ htlc }) => htlc.cltvExpiry - world.height <= HASTE_BLOCKS);
  if (!isNear) return;
  await resolveExpiring(world, channel, HASTE_BLOCKS);
  const standing = [...channel.log.views.owner.current.htlcs, ...channel.log.views.peer.current.htlcs];
  const isDue = standing.some(({ offeredBy, cltvExpiry, paymentHash }) =>
    offeredBy === 'owner'
      ? world.height >= cltvExpiry
      : world.book.find(paymentHash)?.isKnown === true && world.height >= cltvExpiry - CLAIM_MARGIN_BLOCKS,
  );
  if (isDue && channel.isUsable) await forceClose(world, channel);
}
