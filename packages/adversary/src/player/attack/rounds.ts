/**
 * Rounds of an opening that are only named: the node sets one up beside the funding that the channel lives on, and nothing is signed on it.
 * It is a gift of the peer's, or a coin of somebody's. It takes the place of a funding that is nowhere or already closed, or the wallet is
 * asked for a splice of it, which does not exclude the funding that the channel lives on.
 */

import { sign, toScriptSignature } from '../../bitcoin/keys.ts';
import { makeBitcoinTx, makePsbt, withWalletWitnesses } from '../../bitcoin/psbt.ts';
import { isP2tr } from '../../bitcoin/scripts.ts';
import { SIGHASH, sighashV0 } from '../../bitcoin/sighash.ts';
import { type Tx, txidOf, withWitnesses } from '../../bitcoin/transaction.ts';
import { derivePrivateKey } from '../../bolt3/keys.ts';
import { delayedWitness } from '../../bolt3/witness.ts';
import { NODE } from '../../subject.ts';
import { ATTACKER_SCRIPT } from '../chain-feed.ts';
import type { Channel, ChannelTerms } from '../channel.ts';
import { claimOf } from '../claims.ts';
import { coinInfo, type Draft, unsigned, wireUtxo } from '../coins.ts';
import type { Built } from '../commitments.ts';
import { withFundingWitness } from '../honest/closing.ts';
import { declare, fundBy, fundingOutputOf, negotiate, someTerms } from '../honest/opening.ts';
import { changeFee } from '../honest/payments.ts';
import { builtAt, candidateOf } from '../honest/splicing.ts';
import type { Move } from '../moves.ts';
import { quiesce, signPeersBuilt, validateBuilt } from '../protocol.ts';
import { setupRequest } from '../requests.ts';
import { applyChange, type Htlc } from '../state.ts';
import type { World } from '../world.ts';
import { channelFor, forwardOn, LARGE_MSAT, onwardOf, payIn, resolve } from './large.ts';

/** What the peer gives away for it. */
const GIFT_SAT = 20_000n;
/** As deep as the owner wants a funding for payments, and one more. */
const BURIED_BLOCKS = 4;

/** A channel that the peer alone pays for, with both first commitments signed; its funding is not published. */
async function drafted(
  world: World,
  by: number,
  changes: Partial<ChannelTerms> = {},
): Promise<Channel | undefined> {
  const terms = { isOwnerFunder: false, pushMsat: 0n, capacitySat: 1_000_000n, ...changes };
  const channel = await declare(world, someTerms(world, by, terms));
  const tx = channel === undefined ? undefined : world.chain.attackerPays([fundingOutputOf(channel)]);
  if (channel === undefined || tx === undefined) return undefined;
  fundBy(channel, tx, 0);
  if (!(await negotiate(world, channel))) return undefined;
  channel.isTainted = true;
  return channel;
}

/**
 * A46: of two rounds only a gift is in a block, and nothing was signed on it; what comes in on the other one, which is nowhere or was closed
 * by the peer, is forwarded.
 */
export async function giftRound(world: World, _channel: Channel | undefined, { a, b }: Move): Promise<void> {
  const to = await channelFor(world, { by: 'owner', amountMsat: LARGE_MSAT });
  const channel =
    to === undefined ? undefined : await drafted(world, a, { delayBlocks: { owner: 20, peer: 6 } });
  if (to === undefined || channel?.fundingTx == null) return;
  const isMined = b % 2 === 1;
  if (isMined) world.chain.broadcast(channel.fundingTx);
  const gift = world.chain.attackerPays([{ ...fundingOutputOf(channel), value: GIFT_SAT }]);
  if (gift === undefined) return;
  const round = candidateOf(channel, gift, GIFT_SAT);
  if ((await world.ask(channel.client, setupRequest(round), 'attack')) === null) return;
  world.chain.broadcast(gift);
  await world.chain.mine(BURIED_BLOCKS);
  if (isMined) await closeUnnoticed(world, channel);
  channel.phase = 'open';
  world.channels.push(channel);
  const incoming = await payIn(world, channel, LARGE_MSAT);
  const found = incoming === undefined ? undefined : await forwardOn(world, incoming, to);
  if (found !== undefined) await resolve(world, found.outgoing, 'settled');
}

/** By the peer's first commitment, all of which the peer has taken before any secret of it is out; the node goes on as if nothing were. */
async function closeUnnoticed(world: World, channel: Channel): Promise<void> {
  const first = channel.peerCommitments.at(-1);
  if (first === undefined) return;
  world.chain.broadcast(withFundingWitness(channel, first.built.tx, first.signature));
  await world.chain.mine(channel.terms.delayBlocks.peer + 1);
  const taken = takeDelayed(channel, first.built);
  if (taken !== undefined) world.chain.broadcast(taken);
  await world.chain.mine(1);
}

/** The peer's own output of its own commitment, after its delay. */
function takeDelayed(channel: Channel, { tx, outputs, point }: Built): Tx | undefined {
  const vout = outputs.findIndex(({ role }) => role === 'to_local');
  const spent = outputs[vout];
  const script = spent?.witnessScript;
  if (spent === undefined || script === undefined) return undefined;
  const claim = claimOf({
    outpoint: { txid: txidOf(tx), vout },
    spent,
    witnessScript: script,
    sequence: channel.terms.delayBlocks.peer,
    locktime: 0,
    destination: ATTACKER_SCRIPT,
    feeratePerKw: 1000,
  });
  if (claim === undefined) return undefined;
  const key = derivePrivateKey(channel.peer.secrets.delayedPayment, point);
  const digest = sighashV0(claim.tx, 0, script, spent.value, SIGHASH.ALL);
  return withWitnesses(claim.tx, [delayedWitness(toScriptSignature(sign(digest, key), SIGHASH.ALL), script)]);
}

/** What the wallet puts into a splice. */
const ADDED_SAT = 300_000n;
/** What the wallet pays for it, at a usual rate. */
const SPLICE_IN_FEE_SAT = 1500n;

interface SpliceIn {
  /** What it spends as a funding. */
  readonly round: Channel;
  /** The channel on what it makes. */
  readonly candidate: Channel;
  readonly draft: Draft;
}

/** Of what the node calls a round, with a coin of the wallet; on it the owner has what the wallet put in, and nothing else. */
function spliceInto(world: World, channel: Channel, round: Channel): SpliceIn | undefined {
  const coin = world.coins.all.find(({ output }) => !isP2tr(output.script) && output.value > 2n * ADDED_SAT);
  if (coin === undefined) return undefined;
  const capacitySat = round.terms.capacitySat + ADDED_SAT;
  const change = {
    value: coin.output.value - ADDED_SAT - SPLICE_IN_FEE_SAT,
    script: world.receivingScript(),
  };
  const outputs = [{ ...fundingOutputOf(channel), value: capacitySat }, change];
  const tx = unsigned([{ outpoint: round.funding }, coin], outputs);
  const candidate = candidateOf(channel, tx, capacitySat);
  for (const view of Object.values(candidate.log.views)) {
    const ownerMsat = ADDED_SAT * 1000n;
    view.current = { ...view.current, ownerMsat, peerMsat: round.terms.capacitySat * 1000n };
    view.standing = [view.current];
  }
  return { round, candidate, draft: { tx, coins: [coin] } };
}

/** The splice is set up, its first commitments are signed, and the wallet signs for its coin; null when something was refused. */
async function signSpliceIn(world: World, { round, candidate, draft }: SpliceIn): Promise<Tx | null> {
  if ((await world.ask(candidate.client, setupRequest(candidate), 'attack')) === null) return null;
  const { owner, peer } = candidate.log.views;
  const owners = builtAt(candidate, 'owner', 0, owner.current);
  const peers = builtAt(candidate, 'peer', 0, peer.current);
  if (owners === undefined || peers === undefined) return null;
  if (!(await validateBuilt(world, candidate, owners, 'attack'))) return null;
  if (!(await signPeersBuilt(world, candidate, peers, 'attack'))) return null;
  const [coin] = draft.coins;
  const psbt = makePsbt(draft.tx, [{ utxo: round.fundingOutput() }, coinInfo(coin!)]);
  const request = { name: 'hsmd_sign_withdrawal', inputs: [wireUtxo(coin!)], psbt } as const;
  const reply = await world.ask(NODE, request, 'attack');
  if (reply === null) return null;
  return withWalletWitnesses(draft.tx, reply.psbt, [round.fundingOutput(), coin!.output]);
}

/**
 * A63: the node calls a coin of the attacker's a round, and has the wallet sign a splice of it. The coin has no witness, so the splice comes
 * under another txid than the one on which our commitment rests.
 */
export async function spliceOfCoin(world: World, _channel: Channel | undefined, { a }: Move): Promise<void> {
  const channel = await drafted(world, a);
  if (channel?.fundingTx == null) return;
  world.chain.broadcast(channel.fundingTx);
  const paid = world.chain.attackerPaysLegacy(channel.terms.capacitySat);
  if (paid === undefined) return;
  world.chain.broadcast(paid);
  await world.chain.mine(BURIED_BLOCKS);
  const round = candidateOf(channel, paid, channel.terms.capacitySat);
  if ((await world.ask(channel.client, setupRequest(round), 'attack')) === null) return;
  if (!(await begin(world, channel))) return;
  const into = spliceInto(world, channel, round);
  const signed = into === undefined ? null : await signSpliceIn(world, into);
  if (signed === null) return;
  world.chain.broadcast(world.chain.signLegacy(signed, 0));
  await world.chain.mine(1);
}

/** Past its opening, so that what comes now is a splice. */
async function begin(world: World, channel: Channel): Promise<boolean> {
  channel.phase = 'open';
  world.channels.push(channel);
  await changeFee(world, channel);
  return quiesce(world, channel);
}

/**
 * A18: a round that the peer alone paid for is mined beside the funding that the channel lives on, with nothing signed on it, and the wallet
 * signs a splice of that one. An HTLC goes out on both, and is claimed on each.
 */
export async function spliceOfGift(world: World, _channel: Channel | undefined, { a }: Move): Promise<void> {
  const channel = await drafted(world, a, { pushMsat: 600_000_000n });
  const from =
    channel === undefined ? undefined : await channelFor(world, { by: 'peer', amountMsat: LARGE_MSAT });
  if (channel?.fundingTx == null || from === undefined) return;
  const gift = publishBoth(world, channel);
  if (gift === undefined) return;
  const round = candidateOf(channel, gift, channel.terms.capacitySat);
  if ((await world.ask(channel.client, setupRequest(round), 'attack')) === null) return;
  await world.chain.mine(BURIED_BLOCKS);
  if (!(await begin(world, channel))) return;
  const into = spliceInto(world, channel, round);
  const incoming = await payIn(world, from, LARGE_MSAT);
  const signed = into === undefined ? null : await signSpliceIn(world, into);
  if (into === undefined || signed === null || incoming === undefined) return;
  const shared = await signShared(world, into);
  if (shared === null) return;
  const htlc = onwardOf(channel, incoming);
  if (!(await offerOnBoth(world, channel, into.candidate, htlc))) return;
  const { witness } = withFundingWitness(round, signed, shared).inputs[0]!;
  world.chain.broadcast({
    ...signed,
    inputs: signed.inputs.map((one, i) => (i === 0 ? { ...one, witness } : one)),
  });
  await world.chain.mine(1);
}

/** The funding of the channel, and another with the same output: of other coins, since the first is on its way. */
function publishBoth(world: World, channel: Channel): Tx | undefined {
  world.chain.broadcast(channel.fundingTx!);
  const gift = world.chain.attackerPays([fundingOutputOf(channel)]);
  if (gift !== undefined) world.chain.broadcast(gift);
  return gift;
}

/** The channel's own signature of what the splice spends as a funding. */
async function signShared(world: World, { round, draft }: SpliceIn): Promise<Uint8Array | null> {
  const request = {
    name: 'hsmd_sign_splice_tx',
    tx: makeBitcoinTx(draft.tx, [{ utxo: round.fundingOutput() }, coinInfo(draft.coins[0]!)]),
    remoteFundingKey: round.peer.points.funding,
    inputIndex: 0,
  } as const;
  const reply = await world.ask(round.client, request, 'attack');
  return reply === null ? null : reply.sig.signature;
}

/** One number for both fundings, as a channel has it while a splice is not locked; the HTLC is the owner's on each. */
async function offerOnBoth(world: World, channel: Channel, candidate: Channel, htlc: Htlc): Promise<boolean> {
  for (const one of [channel, candidate]) {
    const built = builtAt(one, 'peer', 1, applyChange(one.log.views.peer.current, { kind: 'add', htlc }));
    if (built === undefined || !(await signPeersBuilt(world, one, built, 'attack'))) return false;
  }
  return true;
}
