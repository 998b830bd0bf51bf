/**
 * More than one funding for a channel: rounds of an opening that do not exclude each other, splices that give away or never
 * confirm, and blocks that show a funding which is not in them.
 */
import type { Tx } from '../../bitcoin/transaction.ts';
import { ATTACKER_SCRIPT } from '../chain-feed.ts';
import type { Channel } from '../channel.ts';
import { signWithdrawal } from '../coins.ts';
import { withFundingWitness } from '../honest/closing.ts';
import { declare, fundBy, fundingOutputOf, negotiate, open, someTerms } from '../honest/opening.ts';
import { changeFee } from '../honest/payments.ts';
import { builtAt, candidateOf, lessBy, SPLICE_FEE_SAT, signSplice, spliceOf } from '../honest/splicing.ts';
import type { Move } from '../moves.ts';
import { peerRevokes, quiesce, revoke, signPeersBuilt, validateBuilt } from '../protocol.ts';
import { setupRequest } from '../requests.ts';
import type { World } from '../world.ts';
import { payThrough } from './through.ts';

/** A09: the peer's secrets are of no seed; they open its points, and do not fit together. */
export async function unchained(world: World, _channel: Channel | undefined, { a }: Move): Promise<void> {
  const channel = await open(world, a, { isOwnerFunder: a % 2 === 0, isUnchained: true }, 2);
  if (channel === undefined) return;
  channel.isTainted = true;
  await world.chain.mine(4);
  channel.phase = 'open';
  for (let round = 0; round < 3 && channel.isUsable; round++) await payThrough(world, channel, 1);
}

/** A18: another round of an opening, with other coins; both go to the chain. */
export async function secondRound(world: World, _channel: Channel | undefined, { a }: Move): Promise<void> {
  const waiting = world.channels.find(({ phase, terms }) => phase === 'opening' && terms.isOwnerFunder);
  const channel = waiting ?? (await open(world, a, { isOwnerFunder: true }, 2));
  if (channel === undefined || channel.fundingTx === null) return;
  const draft = world.coins.draft([fundingOutputOf(channel)], 1500);
  if (draft === undefined) return;
  const { fundingTx, funding } = channel;
  fundBy(channel, draft.tx, 0);
  const isSetUp = await negotiate(world, channel, 'attack');
  const signed = isSetUp ? await signWithdrawal(world, draft, 'attack') : null;
  if (signed !== null) world.chain.broadcast(signed);
  if (signed === null || a % 2 === 0) fundBy(channel, fundingTx, funding.vout);
  else fundBy(channel, signed, 0);
}

/**
 * A18: the peer alone pays for a round of an opening, with something for the owner in it, and for another; or the wallet pays for the
 * other one. Both go to the chain. In between the channel goes on on the first, if it may.
 */
export async function twoRounds(
  world: World,
  _channel: Channel | undefined,
  { a, b, c }: Move,
): Promise<void> {
  const isOwnerFunder = b % 2 === 1;
  const isLate = b % 4 > 1;
  const channel = await declare(world, someTerms(world, a, { isOwnerFunder }));
  if (channel === undefined) return;
  const output = fundingOutputOf(channel);
  const first = world.chain.attackerPays([output]);
  if (first === undefined) return;
  fundBy(channel, first, 0);
  if (!(await negotiate(world, channel, 'attack'))) return;
  world.chain.broadcast(first);
  // With other coins than that; and the wallet signs for no round when another one is mined.
  if (!isOwnerFunder) await world.chain.mine(1);
  const draft = isOwnerFunder ? world.coins.draft([output], 1500) : undefined;
  const unsigned = isOwnerFunder ? draft?.tx : world.chain.attackerPays([output]);
  if (unsigned === undefined) return;
  fundBy(channel, unsigned, 0);
  if (!(await negotiate(world, channel, 'attack'))) return;
  const second = draft === undefined ? unsigned : await signWithdrawal(world, draft, 'attack');
  if (second === null) return;
  fundBy(channel, first, 0);
  channel.isTainted = true;
  world.channels.push(channel);
  if (!isLate) world.chain.broadcast(second);
  await world.chain.mine(4);
  channel.phase = 'open';
  if (c % 3 !== 2) await lockFirst(world, channel);
  if (a % 3 !== 2) {
    await changeFee(world, channel);
    await quiesce(world, channel);
  }
  if (!isLate) return;
  world.chain.broadcast(second);
  await world.chain.mine(4);
}

async function lockFirst(world: World, { client, funding }: Channel): Promise<void> {
  const request = {
    name: 'hsmd_lock_outpoint',
    fundingTxid: funding.txid,
    fundingTxout: funding.vout,
  } as const;
  await world.ask(client, request, 'attack');
}

/** A17, A63: a splice, or what calls itself one, is set up and its first commitments signed; then it is made use of. */
export async function splice(world: World, channel: Channel, { a, b, c }: Move): Promise<void> {
  if (!channel.isUsable || channel.fundingTx === null) return;
  // Before its first update another funding is a round of the opening.
  if (channel.log.views.owner.number === 0) await changeFee(world, channel);
  if (!(await quiesce(world, channel)) || channel.log.hasLooseVariants('peer')) return;
  const { ownerMsat } = channel.log.views.owner.current;
  const takenSat = a % 3 === 0 ? 0n : ownerMsat / 2000n;
  const isSplice = b % 4 !== 0;
  const taken = takenSat === 0n ? [] : [{ value: takenSat, script: ATTACKER_SCRIPT }];
  const tx = isSplice ? spliceOf(channel, taken) : world.chain.attackerPays([fundingOutputOf(channel)]);
  if (tx === undefined || tx.outputs[0]!.value < 100_000n) return;
  const candidate = candidateOf(channel, tx, isSplice ? tx.outputs[0]!.value : channel.terms.capacitySat);
  const cost = isSplice ? (takenSat + SPLICE_FEE_SAT) * 1000n : 0n;
  if ((await world.ask(channel.client, setupRequest(candidate), 'attack')) === null) return;
  const owners = builtAt(candidate, 'owner', 0, lessBy(channel.log.views.owner.current, 'owner', cost));
  const peers = builtAt(candidate, 'peer', 0, lessBy(channel.log.views.peer.current, 'owner', cost));
  if (owners === undefined || peers === undefined) return;
  const isValidated = await validateBuilt(world, candidate, owners, 'attack');
  if (isValidated) await signPeersBuilt(world, candidate, peers, 'attack');
  if (isSplice) await signAndPublish(world, channel, tx, b);
  await useCandidate(world, channel, candidate, cost, Math.floor(c / 3));
}

/** It may stay where it is: to be published when it pleases the peer. */
async function signAndPublish(world: World, channel: Channel, tx: Tx, by: number): Promise<void> {
  const signature = await signSplice(world, channel, tx, 'attack');
  if (signature !== null && by % 2 === 0) world.chain.broadcast(withFundingWitness(channel, tx, signature));
}

/** The next number is validated on the candidate alone, and the current one revoked; or it is locked before it is mined. */
async function useCandidate(
  world: World,
  channel: Channel,
  candidate: Channel,
  cost: bigint,
  by: number,
): Promise<void> {
  const { txid: fundingTxid, vout: fundingTxout } = candidate.funding;
  if (by % 2 === 0)
    await world.ask(channel.client, { name: 'hsmd_lock_outpoint', fundingTxid, fundingTxout }, 'attack');
  const next = builtAt(candidate, 'owner', 1, lessBy(channel.log.views.owner.current, 'owner', cost));
  if (next === undefined || !(await validateBuilt(world, candidate, next, 'attack'))) return;
  if (by % 3 !== 0) await revoke(world, candidate);
  const peers = builtAt(candidate, 'peer', 1, lessBy(channel.log.views.peer.current, 'owner', cost));
  if (peers !== undefined && (await signPeersBuilt(world, candidate, peers, 'attack')))
    await peerRevokes(world, candidate);
  // Whatever came of it, the two lives of the channel no longer agree.
  channel.phase = 'closing';
}

/** A71: a block shows the funding of a channel, and has it not. */
export async function lyingBlock(world: World, _channel: Channel | undefined, { a }: Move): Promise<void> {
  const terms = someTerms(world, a, { isOwnerFunder: false, pushMsat: 0n });
  const channel = await declare(world, terms);
  const tx = channel === undefined ? undefined : world.chain.attackerPays([fundingOutputOf(channel)]);
  if (channel === undefined || tx === undefined) return;
  fundBy(channel, tx, 0);
  if (!(await negotiate(world, channel))) return;
  await world.chain.mineLying(tx);
  await world.chain.mine(3);
  channel.phase = 'open';
  channel.isTainted = true;
  world.channels.push(channel);
  await payThrough(world, channel, a);
}
