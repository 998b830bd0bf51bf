/** Lost links and crashed nodes: what BOLT 2 lets both sides forget, and what they send again. */
import { equalBytes } from '../../bitcoin/bytes.ts';
import type { Channel } from '../channel.ts';
import { signRemoteHtlcRequests, signRemoteRequest, validateRequest } from '../requests.ts';
import type { World } from '../world.ts';

const VARIANTS_MAX = 8;

/** Of either side, what the other has not acknowledged is forgotten; other content may take the number. */
export async function forgetUnsent(world: World, channel: Channel): Promise<void> {
  if (!channel.isUsable) return;
  const { variants } = channel.log.views.peer;
  const keeps = { owner: false, peer: variants.length >= VARIANTS_MAX };
  world.book.lose(channel, channel.log.forget(keeps));
}

/** The newest commitments are asked for again, with the same content: the same answer. */
export async function repeat(world: World, channel: Channel): Promise<void> {
  if (!channel.isUsable) return;
  const { views } = channel.log;
  const ofPeer = channel.peerCommitments.at(-1);
  if (views.peer.pending !== null && ofPeer?.built.number === views.peer.number + 1) {
    const reply = await world.ask(channel.client, signRemoteRequest(channel, ofPeer.built));
    if (reply !== null && !equalBytes(reply.sig.signature, ofPeer.signature))
      world.problems.push('a signature that was asked for again is another one');
    for (const request of signRemoteHtlcRequests(channel, ofPeer.built))
      await world.ask(channel.client, request);
  }
  const ofOwner = channel.ownerCommitments.at(-1);
  if (views.owner.pending === null || ofOwner?.built.number !== views.owner.number + 1) return;
  const { built, peerSignature, peerHtlcSignatures } = ofOwner;
  const signatures = { signature: peerSignature, htlcSignatures: peerHtlcSignatures };
  await world.ask(channel.client, validateRequest(channel, built, signatures));
}
