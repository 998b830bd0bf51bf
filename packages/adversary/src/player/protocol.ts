/**
 * The steps of a channel's protocol, each with the requests that CLN's channeld makes for it. A refusal leaves the channel
 * where it was; what the signer granted is written down as it was granted, whatever it said.
 */
import type { Channel } from './channel.ts';
import { watchtowerRequest } from './claims.ts';
import type { Built } from './commitments.ts';
import {
  peerSignatures,
  revokeRequest,
  signRemoteHtlcRequests,
  signRemoteRequest,
  validateRequest,
  validateRevocationRequest,
} from './requests.ts';
import type { Party, State } from './state.ts';
import type { Intent } from './step-log.ts';
import type { World } from './world.ts';

export const BOTH_SIDES = ['owner', 'peer'] as const;

/** The signer signs the peer's next commitment. `asked`: not what BOLT 2 says it holds. */
export async function signPeers(
  world: World,
  channel: Channel,
  asked?: State,
  intent: Intent = intentOf(channel, 'peer'),
): Promise<boolean> {
  if (world.config.isHonest && isOrphaned(world, channel)) world.book.lose(channel, channel.log.forget());
  const content = asked ?? channel.log.next('peer');
  const built = channel.build('peer', channel.log.views.peer.number + 1, content);
  return built !== undefined && (await signPeersBuilt(world, channel, built, intent));
}

/**
 * It is to offer what came in over a channel that is on the chain by now. The signer refuses that for good, CLN's channeld ends
 * with it and forgets the offer.
 */
const isOrphaned = ({ book }: World, channel: Channel): boolean =>
  book
    .partsOn(channel, 'owner')
    .some(
      (part) =>
        part.state === 'proposed' &&
        part.payment.incoming.some((one) => one.onward === part && (one.channel.ending?.depth ?? 0) > 0),
    );

const intentOf = ({ log }: Channel, side: Party): Intent => (log.hasBogus(side) ? 'attack' : 'honest');

export async function signPeersBuilt(
  world: World,
  channel: Channel,
  built: Built,
  intent: Intent = 'honest',
): Promise<boolean> {
  const reply = await world.ask(channel.client, signRemoteRequest(channel, built), intent);
  if (reply?.name !== 'hsmd_sign_tx_reply') {
    if (world.wasRefusedForGood) world.stuck(channel);
    else world.waits(channel);
    return false;
  }
  channel.waitCount = 0;
  const given = { built, signature: reply.sig.signature, htlcSignatures: [] as (Uint8Array | undefined)[] };
  channel.addPeerCommitment(given);
  if (built.number === channel.log.views.peer.number + 1) channel.log.signed('peer', built.state);
  for (const request of signRemoteHtlcRequests(channel, built)) {
    const signed = await world.ask(channel.client, request, intent);
    given.htlcSignatures.push(signed?.name === 'hsmd_sign_tx_reply' ? signed.sig.signature : undefined);
  }
  return true;
}

/** The peer revokes its current commitment. */
export async function peerRevokes(world: World, channel: Channel): Promise<boolean> {
  const { number } = channel.log.views.peer;
  const request = validateRevocationRequest(number, channel.peer.secret(number));
  if ((await world.ask(channel.client, request)) === null) {
    if (world.wasRefusedForGood) world.stuck(channel);
    return false;
  }
  const revoked = channel.peerCommitments.findLast(({ built }) => built.number === number);
  world.book.settle(channel, channel.log.revoked('peer'));
  if (revoked === undefined || !world.config.isWatched) return true;
  const penalty = watchtowerRequest(world, channel, revoked.built);
  if (penalty !== undefined) await world.ask(channel.client, penalty);
  return true;
}

/** The peer signs the owner's next commitment, and the signer checks it. */
export async function validate(
  world: World,
  channel: Channel,
  content: State = channel.log.next('owner'),
  intent: Intent = intentOf(channel, 'owner'),
): Promise<boolean> {
  const number = channel.log.views.owner.number + 1;
  await knowPoint(world, channel, number);
  const built = channel.build('owner', number, content);
  return built !== undefined && (await validateBuilt(world, channel, built, intent));
}

export async function validateBuilt(
  world: World,
  channel: Channel,
  built: Built,
  intent: Intent = 'honest',
): Promise<boolean> {
  const { number } = built;
  const signatures = peerSignatures(channel, built);
  const reply = await world.ask(channel.client, validateRequest(channel, built, signatures), intent);
  if (reply?.name !== 'hsmd_validate_commitment_tx_reply') {
    if (world.wasRefusedForGood) world.stuck(channel);
    return false;
  }
  channel.ownerPoints.set(number + 1, reply.nextPerCommitmentPoint);
  channel.addOwnerCommitment({
    built,
    peerSignature: signatures.signature,
    peerHtlcSignatures: signatures.htlcSignatures,
    ownerSignature: null,
  });
  if (number === channel.log.views.owner.number + 1) channel.log.signed('owner', built.state);
  // CLN writes preimages to its database between the peer's signature and the revocation.
  const fulfilled = channel.log.updates.flatMap(({ from, change, isBogus, in: stages }) =>
    from === 'peer' &&
    !isBogus &&
    change.kind === 'remove' &&
    change.to === 'peer' &&
    stages.owner === 'signed'
      ? [change.htlc.paymentHash]
      : [],
  );
  if (fulfilled.length > 0) await world.book.learn(fulfilled);
  return true;
}

/** The signer gives away the secret of the owner's current commitment. */
export async function revoke(world: World, channel: Channel): Promise<boolean> {
  const { number } = channel.log.views.owner;
  const reply = await world.ask(channel.client, revokeRequest(number), intentOf(channel, 'owner'));
  if (reply?.name !== 'hsmd_revoke_commitment_tx_reply') {
    if (world.wasRefusedForGood) world.stuck(channel);
    return false;
  }
  channel.refusalCount = 0;
  channel.ownerSecrets.set(number, reply.oldCommitmentSecret);
  channel.ownerPoints.set(number + 2, reply.nextPerCommitmentPoint);
  world.book.settle(channel, channel.log.revoked('owner'));
  return true;
}

/** CLN's channeld asks for the next point when it starts. */
export async function knowPoint(world: World, channel: Channel, number: number): Promise<void> {
  if (channel.ownerPoints.has(number)) return;
  const reply = await world.ask(channel.client, {
    name: 'hsmd_get_per_commitment_point',
    n: BigInt(number),
  });
  if (reply?.name === 'hsmd_get_per_commitment_point_reply')
    channel.ownerPoints.set(number, reply.perCommitmentPoint);
}

/** One of the protocol's steps that are possible now, chosen by `by`. False when none was, or it was refused. */
export async function advance(world: World, channel: Channel, by: number): Promise<boolean> {
  const steps = possibleSteps(channel);
  const step = steps[by % Math.max(steps.length, 1)];
  return step !== undefined && (await step(world, channel));
}

type ProtocolStep = (world: World, channel: Channel) => Promise<boolean>;

export function possibleSteps({ log, phase }: Channel): readonly ProtocolStep[] {
  if (phase !== 'open') return [];
  const steps: ProtocolStep[] = [];
  if (log.views.peer.pending !== null) steps.push(peerRevokes);
  if (log.views.owner.pending !== null) steps.push(revoke);
  if (log.canSign('peer')) steps.push(signPeers);
  if (log.canSign('owner')) steps.push(validate);
  return steps;
}

/** Until nothing is under way, or a step is refused. */
export async function quiesce(world: World, channel: Channel): Promise<boolean> {
  for (let round = 0; round < 24; round++) {
    const [step] = possibleSteps(channel);
    if (step === undefined) return channel.log.isQuiet;
    if (!(await step(world, channel))) return false;
  }
  return false;
}
