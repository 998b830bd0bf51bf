/**
 * Attacks on the ratchet: numbers skipped, repeated and gone back to, secrets asked for early, commitments used after the
 * channel is closed. Each sends what CLN would send, at the wrong time or for the wrong number.
 */

import { NODE } from '../../subject.ts';
import type { Channel } from '../channel.ts';
import { covering, nextWith } from '../choose.ts';
import { localHtlcRequest } from '../claims.ts';
import { bytesFor, pick } from '../dice.ts';
import { closeFeeSat, closeTx, forceCloseWith, isEmpty, withFundingWitness } from '../honest/closing.ts';
import type { Move } from '../moves.ts';
import { knowPoint, peerRevokes, quiesce, revoke, signPeers, signPeersBuilt, validate } from '../protocol.ts';
import {
  mutualCloseRequest,
  peerSignatures,
  revokeRequest,
  signCommitmentRequest,
  validateRequest,
  validateRevocationRequest,
} from '../requests.ts';
import { applyChange, type State } from '../state.ts';
import type { World } from '../world.ts';
import { payThrough } from './through.ts';

/** Moves money to the peer; never below zero. */
export function robbed(state: State, by: number): State {
  const [part, whole] = [state.ownerMsat / BigInt(2 + (by % 50)), state.ownerMsat];
  const msat = by % 3 === 0 ? whole : part;
  return { ...state, ownerMsat: state.ownerMsat - msat, peerMsat: state.peerMsat + msat };
}

/** Without an HTLC that stands; its value goes to the peer. */
export function without(state: State, by: number): State {
  const htlc = pick(state.htlcs, by);
  if (htlc === undefined) return robbed(state, by);
  const htlcs = state.htlcs.filter((one) => one !== htlc);
  return { ...state, htlcs, peerMsat: state.peerMsat + htlc.amountMsat };
}

const bad = (state: State, by: number): State => (by % 2 === 0 ? robbed(state, by) : without(state, by >> 1));

/** A06, A07, A07b: one more content for a number of the peer's that has one already. */
export async function variant(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const { views } = channel.log;
  if (channel.log.canSign('peer')) await signPeers(world, channel);
  const contents: State[] = [
    views.peer.current,
    channel.log.next('peer'),
    without(channel.log.next('peer'), b),
    robbed(views.peer.current, b),
    ...channel.log.unrevoked('peer'),
  ];
  await signPeers(world, channel, pick(contents, a)!, 'attack');
}

/** A06: the owner's next number validated again, with other content; then, perhaps, the one before is revoked. */
export async function variantOfOwners(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  if (channel.log.canSign('owner')) await validate(world, channel);
  const content = bad(channel.log.next('owner'), a);
  if ((await validate(world, channel, content, 'attack')) && b % 2 === 0) await revoke(world, channel);
}

/** A08: the peer's number after the next, while one that is not revoked stands before it. */
export async function skipAhead(world: World, channel: Channel, { a }: Move): Promise<void> {
  const number = channel.log.views.peer.number + 2 + (a % 2);
  const built = channel.build('peer', number, bad(channel.log.next('peer'), a));
  if (built !== undefined) await signPeersBuilt(world, channel, built, 'attack');
}

/** A number of the peer's that it has revoked already, with a content that suits it. */
export async function signPeersAgain(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const number = Math.max(0, channel.log.views.peer.number - (a % 4));
  const old = channel.peerCommitments.findLast(({ built }) => built.number === number);
  const state = b % 2 === 0 && old !== undefined ? old.built.state : bad(channel.log.views.peer.current, b);
  const built = channel.build('peer', number, state);
  if (built !== undefined) await signPeersBuilt(world, channel, built, 'attack');
}

/** A01, A16: an own commitment signed for broadcast that is revoked, or not yet the newest, or not as it was validated. */
export async function signOld(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const { number } = channel.log.views.owner;
  const revoked = channel.ownerCommitments.filter(({ built }) => built.number < number);
  // One that is not revoked is the end of the channel.
  const one = pick(a % 8 === 0 ? channel.ownerCommitments : revoked, a >> 3);
  if (one === undefined) return;
  const isAltered = b % 3 === 0;
  const built = isAltered ? channel.build('owner', one.built.number, bad(one.built.state, b)) : one.built;
  if (built === undefined) return;
  const reply = await world.ask(NODE, signCommitmentRequest(channel, built), 'attack');
  if (reply === null) return;
  if (!isAltered) one.ownerSignature = reply.sig.signature;
  if (one.built.number >= number) channel.phase = 'closing';
}

/** A16: what gives money away is validated, and published without revoking anything. */
export async function publishUnjudged(world: World, channel: Channel, { a }: Move): Promise<void> {
  const found = nextWith(world, channel, (one) => one.isUsable && covering(world, one).length > 0);
  if (found === undefined) return;
  const htlc = pick(covering(world, found), a)!;
  const content = applyChange(found.log.next('owner'), { kind: 'remove', htlc, to: 'peer' });
  await publish(world, found, content, a);
}

async function publish(world: World, channel: Channel, content: State, a: number): Promise<void> {
  if (!(await validate(world, channel, content, 'attack'))) return;
  const one = channel.ownerCommitments.at(-1)!;
  if (a % 2 === 0) await forceCloseWith(world, channel, one);
  else await world.ask(NODE, signCommitmentRequest(channel, one.built), 'attack');
}

/** A04: a secret before its successor is validated. */
export async function revokeEarly(world: World, channel: Channel, { a }: Move): Promise<void> {
  const { number } = channel.log.views.owner;
  const numbers = [number, number + 1, number + 2, number - 1, 2 ** 48 - 1];
  const wanted = Math.max(0, pick(numbers, a)!);
  const reply = await world.ask(channel.client, revokeRequest(wanted), 'attack');
  if (reply !== null) channel.ownerSecrets.set(wanted, reply.oldCommitmentSecret);
  const n = BigInt(Math.max(0, pick([number + 3, number + 2, number + 50, number - 1], a >> 3)!));
  await world.ask(channel.client, { name: 'hsmd_get_per_commitment_point', n }, 'attack');
}

/** A02, A03: the own commitment is signed for broadcast; then everything goes on as if it were not. */
export async function goOnAfterSigning(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  if (a % 3 === 0) await quiesce(world, channel);
  if (channel.log.views.owner.pending === null && a % 3 !== 2) await validate(world, channel);
  const newest = channel.ownerCommitments.at(-1);
  const earlier = channel.ownerCommitment(channel.log.views.owner.number);
  const one = b % 2 === 0 ? earlier : newest;
  if (one === undefined) return;
  const reply = await world.ask(NODE, signCommitmentRequest(channel, one.built), 'attack');
  if (reply === null) return;
  one.ownerSignature = reply.sig.signature;
  await stealAfterClose(world, channel, a);
  channel.phase = 'closing';
}

/** A10: a mutual close is signed; then the money moves in new commitments, and the old ones are revoked. */
export async function goOnAfterClose(world: World, named: Channel, { a }: Move): Promise<void> {
  await quiesce(world, named);
  const channel = nextWith(world, named, (one) => one.isUsable && isEmpty(one)) ?? named;
  const tx = closeTx(channel, world.receivingScript(), closeFeeSat(world));
  if (!isEmpty(channel) || tx.outputs.length === 0) return;
  const reply = await world.ask(channel.client, mutualCloseRequest(channel, tx), 'attack');
  if (reply === null) return;
  if (a % 2 === 0) await stealAfterClose(world, channel, a);
  // The close is in hand; the channel earns what is spent elsewhere, and then it is closed as it was.
  else await payThrough(world, channel, a);
  channel.phase = 'closing';
  if (a % 4 !== 2) world.chain.broadcast(withFundingWitness(channel, tx, reply.sig.signature));
}

async function stealAfterClose(world: World, channel: Channel, by: number): Promise<void> {
  const stolen = robbed(channel.log.views.peer.current, 0);
  await signPeers(world, channel, stolen, 'attack');
  await validate(world, channel, by % 2 === 0 ? stolen : channel.log.views.owner.current, 'attack');
  await revoke(world, channel);
  await peerRevokes(world, channel);
}

/** A09: a secret that is wrong, of another number, or does not fit those before. */
export async function wrongSecret(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  // Without anything new to sign, the same state under the next number.
  if (channel.log.views.peer.pending === null) await signPeers(world, channel);
  const { number } = channel.log.views.peer;
  const secrets = [channel.peer.secret(number + 1), channel.peer.secret(number + 2), bytesFor(`wrong ${a}`)];
  const numbers = [number, number + 1, Math.max(0, number - 1)];
  const request = validateRevocationRequest(pick(numbers, b)!, pick(secrets, a)!);
  if ((await world.ask(channel.client, request, 'attack')) === null) return;
  // Whatever the signer took for a revocation is one.
  if (channel.log.views.peer.pending === null) {
    await skippedTo(world, channel, number + 2);
    return;
  }
  world.book.settle(channel, channel.log.revoked('peer'));
  // What was revoked with nothing can be published, whatever came in since.
  await payThrough(world, channel, 1);
}

async function skippedTo(world: World, channel: Channel, number: number): Promise<boolean> {
  const built = channel.build('peer', number, robbed(channel.log.next('peer'), 0));
  return built !== undefined && (await signPeersBuilt(world, channel, built, 'attack'));
}

/** A05: one signature of the peer's on the owner's next commitment is wrong; then the one before is revoked. */
export async function wrongSignature(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const number = channel.log.views.owner.number + 1;
  await knowPoint(world, channel, number);
  const content = channel.log.next('owner');
  const built = channel.build('owner', number, content);
  if (built === undefined) return;
  const right = peerSignatures(channel, built);
  const spoilt = (one: Uint8Array): Uint8Array => one.with(40, one[40]! ^ 1);
  const at = built.htlcs.length === 0 ? -1 : a % (built.htlcs.length + 1);
  const signatures = {
    signature: at < 0 || at === built.htlcs.length ? spoilt(right.signature) : right.signature,
    htlcSignatures: right.htlcSignatures.map((one, i) => (i === at ? spoilt(one) : one)),
  };
  const cut = b % 4 === 0 ? signatures.htlcSignatures.slice(0, -1) : signatures.htlcSignatures;
  const request = validateRequest(channel, built, { ...signatures, htlcSignatures: cut });
  const reply = await world.ask(channel.client, request, 'attack');
  if (reply !== null) channel.log.signed('owner', content);
  const revoked = await world.ask(channel.client, revokeRequest(number - 1), 'attack');
  if (revoked !== null && reply !== null) world.book.settle(channel, channel.log.revoked('owner'));
  else if (reply !== null) world.stuck(channel);
}

/** A15: second-level transactions of own commitments, revoked ones first of all. */
export async function secondLevelOfOld(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const withHtlcs = channel.ownerCommitments.filter(({ built }) => built.htlcs.length > 0);
  const one = pick(withHtlcs, a);
  const htlc = pick(one?.built.htlcs ?? [], b);
  if (one === undefined || htlc === undefined) return;
  const request = localHtlcRequest(channel, one.built, htlc);
  await world.ask(NODE, request, 'attack');
  const isLocktime = b % 2 === 0;
  const tx = { ...htlc.tx, locktime: isLocktime ? 0 : htlc.tx.locktime, version: isLocktime ? 2 : 3 };
  await world.ask(NODE, localHtlcRequest(channel, one.built, { ...htlc, tx }), 'attack');
}

/** The node claims that the peer knows secrets of the future: right ones, where the signer gave them out. */
export async function futureSecret(world: World, channel: Channel, { a }: Move): Promise<void> {
  const known = [...channel.ownerSecrets.entries()];
  const [n, secret] = pick(known, a) ?? [0, bytesFor('no secret')];
  const commitmentSecret = a % 4 === 0 ? bytesFor(`future ${a}`) : secret;
  await world.ask(
    channel.client,
    { name: 'hsmd_check_future_secret', n: BigInt(n + (a % 3)), commitmentSecret },
    'attack',
  );
}

/** A12 of the node, not of the signer: it comes back with a state that it had earlier, and goes on from there. */
export async function rollBack(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const older = pick(channel.snapshots, a);
  if (older === undefined) {
    channel.snapshots.push(channel.log.snapshot());
    return;
  }
  if (b % 3 === 0) channel.snapshots.splice(a % channel.snapshots.length, 1, channel.log.snapshot());
  const now = channel.log.snapshot();
  channel.log.restore(older);
  await signPeers(world, channel, undefined, 'attack');
  await validate(world, channel, undefined, 'attack');
  await revoke(world, channel);
  await peerRevokes(world, channel);
  if (b % 2 === 0) channel.log.restore(now);
}
