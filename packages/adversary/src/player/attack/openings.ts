/**
 * Channels that begin wrongly: on fundings that are not there, or hold something else; with a first commitment that is not
 * fair; with money put in before it can be got back; under a number that was used before; with delays out of all bounds.
 */
import { p2wsh } from '../../bitcoin/scripts.ts';
import type { TxOutput } from '../../bitcoin/transaction.ts';
import { NODE } from '../../subject.ts';
import { ATTACKER_SCRIPT } from '../chain-feed.ts';
import { Channel, type ChannelTerms } from '../channel.ts';
import { signWithdrawal } from '../coins.ts';
import { pick } from '../dice.ts';
import {
  declare,
  fundBy,
  fundingOutputOf,
  negotiate,
  open,
  signFirst,
  someTerms,
  validateFirst,
} from '../honest/opening.ts';
import type { Move } from '../moves.ts';
import { revoke, signPeersBuilt, validate } from '../protocol.ts';
import { setupRequest } from '../requests.ts';
import type { World } from '../world.ts';
import { robbed } from './ratchet.ts';
import { payThrough } from './through.ts';

const hasRoom = (world: World): boolean =>
  world.channels.filter(({ phase }) => phase !== 'closed').length < world.config.channelsMax + 3;

/** A46: the peer funds something else than the setup says, and the channel is used as if it were real. */
export async function fakeFunding(
  world: World,
  _channel: Channel | undefined,
  { a, b }: Move,
): Promise<void> {
  if (!hasRoom(world)) return;
  const channel = await declare(world, someTerms(world, a, { isOwnerFunder: false, pushMsat: 0n }));
  if (channel === undefined) return;
  const real = fundingOutputOf(channel);
  const fakes: readonly TxOutput[] = [
    { ...real, value: 1000n },
    { ...real, value: real.value - 1n },
    { ...real, script: ATTACKER_SCRIPT },
    { ...real, script: p2wsh(Uint8Array.of(0x51)), value: 2000n },
  ];
  const tx = world.chain.attackerPays([pick(fakes, b)!]);
  if (tx === undefined) return;
  fundBy(channel, tx, 0);
  if (!(await negotiate(world, channel))) return;
  if (b % 5 !== 4) world.chain.broadcast(tx);
  channel.phase = 'open';
  channel.isTainted = true;
  world.channels.push(channel);
  if (a % 2 === 0) await world.chain.mine(4);
  await payThrough(world, channel, a);
}

/** A37, A47, A73: the peer's funding is used before it is deep enough, or mined at all; then it may be taken back. */
export async function zeroConf(world: World, _channel: Channel | undefined, { a, b }: Move): Promise<void> {
  if (!hasRoom(world)) return;
  const channel = await open(world, a, { isOwnerFunder: false }, 2);
  if (channel === undefined) return;
  channel.phase = 'open';
  const depth = b % 3;
  if (depth > 0) await world.chain.mine(depth);
  const isFirst = b % 2 === 0;
  if (isFirst) await payThrough(world, channel, a);
  await doubleSpend(world, channel);
  if (!isFirst) await payThrough(world, channel, a);
}

/** A37, A47: what funds a peer's channel is spent elsewhere, before it is mined or by a reorg after that. */
export async function doubleSpend(world: World, channel: Channel): Promise<void> {
  const { fundingTx, terms } = channel;
  if (fundingTx === null || terms.isOwnerFunder || channel.ending !== null) return;
  const rival = world.chain.rivalOf(fundingTx);
  const depth = world.depthOf(channel.funding);
  // What is deeper is beyond any attacker (rules: the configured confirmations).
  if (rival === undefined || depth >= world.config.paymentDepthBlocks) return;
  if (depth === 0) await world.chain.mineJust([rival]);
  else await world.chain.reorganize(depth, [{ txs: [rival] }]);
}

/** A29: the first commitments give the owner less than he put in. */
export async function unfairFirst(
  world: World,
  _channel: Channel | undefined,
  { a, b, c }: Move,
): Promise<void> {
  if (!hasRoom(world)) return;
  const terms = someTerms(
    world,
    a,
    b % 3 === 0 ? { isOwnerFunder: true, pushMsat: 100_000_000n } : { isOwnerFunder: true },
  );
  const channel = await declare(world, terms);
  const draft = channel === undefined ? undefined : world.coins.draft([fundingOutputOf(channel)], 1000);
  if (channel === undefined || draft === undefined) return;
  fundBy(channel, draft.tx, 0);
  if (c % 2 === 0) {
    channel.log.views.peer.current = robbed(channel.log.views.peer.current, a);
    if (c % 4 === 0) channel.log.views.owner.current = robbed(channel.log.views.owner.current, a);
  }
  if (!(await negotiate(world, channel, 'attack'))) return;
  const signed = await signWithdrawal(world, draft, 'attack');
  if (signed === null) return;
  fundBy(channel, signed, 0);
  world.chain.broadcast(signed);
  world.channels.push(channel);
  // The money is in; now for another division of it.
  const built = channel.build('peer', 0, robbed(channel.log.views.peer.current, a));
  if (built !== undefined) await signPeersBuilt(world, channel, built, 'attack');
}

/** A51, A52: the funding is signed before its refund is, or pays something else than the channel. */
export async function wrongFunding(
  world: World,
  _channel: Channel | undefined,
  { a, b }: Move,
): Promise<void> {
  if (!hasRoom(world)) return;
  const channel = await declare(world, someTerms(world, a, { isOwnerFunder: true }));
  if (channel === undefined) return;
  const real = fundingOutputOf(channel);
  const outputs: readonly TxOutput[] = [
    real,
    { ...real, value: real.value - 1n },
    { ...real, value: real.value + 50_000n },
    { ...real, script: ATTACKER_SCRIPT },
  ];
  const draft = world.coins.draft([pick(outputs, b)!], 1000);
  if (draft === undefined) return;
  fundBy(channel, draft.tx, 0);
  // How far the opening comes before the money is asked for.
  const far = b % 4 === 0 ? a % 4 : 3;
  if (far > 0) await world.ask(channel.client, setupRequest(channel), 'attack');
  if (far > 1) await signFirst(world, channel, 'attack');
  if (far > 2) await validateFirst(world, channel, 'attack');
  const signed = await signWithdrawal(world, draft, 'attack');
  if (signed !== null) world.chain.broadcast(signed);
}

const DELAYS = [0, 1, 3, 2017, 60_000, 65_535];

/** A50: delays that leave the owner no time, or lock his money up. */
export async function wrongDelays(
  world: World,
  _channel: Channel | undefined,
  { a, b }: Move,
): Promise<void> {
  if (!hasRoom(world)) return;
  const [owner, peer] = [pick(DELAYS, a)!, pick(DELAYS, b)!];
  const delayBlocks = { owner: b % 2 === 0 ? 20 : owner, peer: a % 2 === 0 ? 20 : peer };
  const channel = await openWith(world, a, { delayBlocks, pushMsat: 200_000_000n });
  if (channel === undefined) return;
  world.channels.push(channel);
  await world.chain.mine(4);
  channel.phase = 'open';
  await payThrough(world, channel, 1);
}

async function openWith(
  world: World,
  by: number,
  changes: Partial<ChannelTerms>,
): Promise<Channel | undefined> {
  const channel = await declare(
    world,
    someTerms(world, by, { isOwnerFunder: false, pushMsat: 0n, ...changes }),
  );
  const tx = channel === undefined ? undefined : world.chain.attackerPays([fundingOutputOf(channel)]);
  if (channel === undefined || tx === undefined) return undefined;
  fundBy(channel, tx, 0);
  if (!(await negotiate(world, channel, 'attack'))) return undefined;
  world.chain.broadcast(tx);
  return channel;
}

/** A11, A19: a channel that is used is forgotten, and begun again under its number, on another funding and with other terms. */
export async function beginAgain(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const { terms } = channel;
  const { peerId: id, dbid } = terms;
  if (a % 2 === 0) await world.ask(NODE, { name: 'hsmd_forget_channel', id, dbid }, 'attack');
  await world.ask(NODE, { name: 'hsmd_new_channel', id, dbid }, 'attack');
  const delayBlocks = { ...terms.delayBlocks, peer: terms.delayBlocks.peer + (b % 3) };
  const again = new Channel(
    channel.index,
    { ...terms, isOwnerFunder: false, pushMsat: 0n, delayBlocks },
    b % 2 === 0 ? `${channel.label} again` : channel.label,
  );
  again.ownerKeys = channel.ownerKeys;
  again.ownerPoints.set(0, channel.ownerPoints.get(0) ?? (await pointZero(world, channel)));
  const tx = world.chain.attackerPays([fundingOutputOf(again)]);
  if (tx === undefined) return;
  fundBy(again, tx, 0);
  if (!(await negotiate(world, again, 'attack'))) return;
  world.chain.broadcast(tx);
  await world.chain.mine(4);
  // Up to the number that the first life of the channel stands at, so that all its secrets are out.
  for (let n = 0; n <= channel.log.views.owner.number; n++) {
    if (!(await validate(world, again, again.log.views.owner.current, 'attack'))) return;
    if (!(await revoke(world, again))) return;
  }
}

/** A19: the node is done with a channel that lives. */
export async function forget(world: World, { terms }: Channel): Promise<void> {
  await world.ask(NODE, { name: 'hsmd_forget_channel', id: terms.peerId, dbid: terms.dbid }, 'attack');
}

async function pointZero(world: World, { client }: Channel): Promise<Uint8Array> {
  const reply = await world.ask(client, { name: 'hsmd_get_per_commitment_point', n: 0n }, 'attack');
  return reply?.perCommitmentPoint ?? new Uint8Array(33);
}
