/**
 * What a new block sets off: closed channels are claimed from, channels whose HTLCs run out go to the chain, and where the
 * node is the attacker's, the owner's own watcher publishes what the signer gives it.
 */

import { equalBytes } from '../bitcoin/bytes.ts';
import { parseTx, type Tx, txidOf } from '../bitcoin/transaction.ts';
import type { Channel } from './channel.ts';
import type { Built } from './commitments.ts';
import { Ending } from './ending.ts';
import { forceClose, forceCloseWith, publishPeers } from './honest/closing.ts';
import { resolveExpiring } from './honest/expiry.ts';
import type { World } from './world.ts';

/** Closed channels stay on the list for an attacker to come back to; so many of them. */
const CLOSED_MAX = 4;

export async function tendChannels(world: World): Promise<void> {
  if (!world.config.isHonest && world.channels.some((one) => needsWatcher(world, one)))
    await publishRescues(world);
  for (const channel of [...world.channels]) {
    adoptEnding(world, channel);
    if (world.isIdle) continue;
    if (channel.phase === 'closing' && channel.ending === null) await endAbandoned(world, channel);
    if (channel.ending !== null && channel.phase !== 'closed') await channel.ending.tend();
    else if (channel.isUsable) await heedDeadlines(world, channel);
  }
  const closed = world.channels.filter(({ phase }) => phase === 'closed');
  const gone = closed.slice(0, Math.max(0, closed.length - CLOSED_MAX));
  world.channels = world.channels.filter((one) => !gone.includes(one));
}

/** Asking the signer what it would publish is dear; so only where something may be due. */
function needsWatcher({ height }: World, { ending, phase, log }: Channel): boolean {
  if (phase === 'closed') return false;
  const standing = [...log.unrevoked('owner'), ...log.unrevoked('peer')];
  const isStanding = (from: number) =>
    standing.some(({ htlcs }) =>
      htlcs.some(({ cltvExpiry }) => cltvExpiry >= from && cltvExpiry <= height + WATCH_BLOCKS),
    );
  if (ending === null) return isStanding(0);
  return ending.depth > 0 && (isStanding(height - WATCH_BLOCKS) || height % WATCH_EVERY_BLOCKS === 0);
}

async function publishRescues(world: World): Promise<void> {
  for (const { raw } of await world.subject.rescues()) world.chain.broadcast(parseTx(raw));
}

/** An attacker that got what it wanted of a channel goes to the chain with it, some day. */
async function endAbandoned(world: World, channel: Channel): Promise<void> {
  if (world.dice.chance(80)) return;
  const owners = channel.ownerCommitments.findLast(({ ownerSignature }) => ownerSignature !== null);
  if (owners !== undefined && world.dice.chance(50)) await forceCloseWith(world, channel, owners);
  else publishPeers(world, channel, channel.livePeerCommitments.at(-1));
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

const WATCH_BLOCKS = 8;
/** Shorter than any contest delay that the owner allows. */
const WATCH_EVERY_BLOCKS = 3;
/** Blocks before an expiry at which a node that behaves has seen to it. */
const HASTE_BLOCKS = 10;
const CLAIM_MARGIN_BLOCKS = 8;

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
