/**
 * Splices: one side takes some of its balance out of the channel, which lives on with a new funding. In the order of CLN's channeld:
 * setup, both first commitments under the current number, the signature of the old funding, and the lock once the new one is deep.
 */
import { EMPTY } from '../../bitcoin/bytes.ts';
import { makeBitcoinTx } from '../../bitcoin/psbt.ts';
import type { Tx, TxOutput } from '../../bitcoin/transaction.ts';
import { Channel } from '../channel.ts';
import type { Built } from '../commitments.ts';
import type { Move } from '../moves.ts';
import { quiesce, signPeersBuilt, validateBuilt } from '../protocol.ts';
import { setupRequest } from '../requests.ts';
import type { Party, State } from '../state.ts';
import type { Intent } from '../step-log.ts';
import type { World } from '../world.ts';
import { peerScript, withFundingWitness } from './closing.ts';
import { fundBy, fundingOutputOf } from './opening.ts';

/** Four times what a splice of one input and two outputs weighs, at the least rate. */
export const SPLICE_FEE_SAT = 1000n;
/** What a side keeps, for its reserve and for what stands. */
const LEFT_SAT = 150_000n;
/** As deep as the owner wants a splice before it counts. */
const DEEP_BLOCKS = 3;

/** From the funding to a new one, with what is taken out. */
export function spliceOf(channel: Channel, taken: readonly TxOutput[]): Tx {
  const real = fundingOutputOf(channel);
  const takenSat = taken.reduce((sum, { value }) => sum + value, 0n);
  return {
    version: 2,
    inputs: [{ ...channel.funding, scriptSig: EMPTY, sequence: 0xffff_fffd, witness: [] }],
    outputs: [{ ...real, value: real.value - takenSat - SPLICE_FEE_SAT }, ...taken],
    locktime: 0,
  };
}

/** The channel as it would be on another funding: the same keys, numbers and state. */
export function candidateOf(channel: Channel, tx: Tx, capacitySat: bigint): Channel {
  const candidate = new Channel(channel.index, { ...channel.terms, capacitySat }, channel.label);
  candidate.ownerKeys = channel.ownerKeys;
  for (const [number, point] of channel.ownerPoints) candidate.ownerPoints.set(number, point);
  candidate.log.restore(channel.log.snapshot());
  fundBy(candidate, tx, 0);
  return candidate;
}

/** The state after `side` has paid for what was taken out, and for the fee. */
export const lessBy = (state: State, side: Party, msat: bigint): State =>
  side === 'owner'
    ? { ...state, ownerMsat: state.ownerMsat - msat }
    : { ...state, peerMsat: state.peerMsat - msat };

export const builtAt = (channel: Channel, side: Party, ahead: number, state: State): Built | undefined =>
  channel.build(side, channel.log.views[side].number + ahead, state);

/** The signer's signature of the old funding; null when it was refused. */
export async function signSplice(
  world: World,
  channel: Channel,
  tx: Tx,
  intent: Intent,
): Promise<Uint8Array | null> {
  const request = {
    name: 'hsmd_sign_splice_tx',
    tx: makeBitcoinTx(tx, [{ utxo: channel.fundingOutput() }]),
    remoteFundingKey: channel.peer.points.funding,
    inputIndex: 0,
  } as const;
  const reply = await world.ask(channel.client, request, intent);
  return reply === null ? null : reply.sig.signature;
}

/** What a lost link has made it forget, and what it has written down: it sends that again before anything else. */
const hasUnsent = ({ book }: World, channel: Channel): boolean =>
  book.partsOn(channel, 'peer').some(({ state, decided }) => state === 'standing' && decided !== null);

/** Takes some of one side's balance out, and goes on with the rest. HTLCs stand as they do. */
export async function spliceOut(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const { log } = channel;
  if (!channel.isUsable || channel.isShuttingDown || channel.isTainted) return;
  // Before its first update another funding is a round of the opening.
  if (log.views.owner.number === 0 || log.views.peer.number === 0) return;
  if (!(await quiesce(world, channel)) || hasUnsent(world, channel)) return;
  // Variants of the current number differ after a crash alone: real nodes repeat word for word.
  if (log.views.peer.number === log.views.peer.variedNumber) return;
  const by: Party = a % 2 === 0 ? 'owner' : 'peer';
  const { ownerMsat, peerMsat } = log.views.owner.current;
  const spareSat = (by === 'owner' ? ownerMsat : peerMsat) / 1000n - LEFT_SAT;
  if (spareSat < 20_000n) return;
  const value = 10_000n + (spareSat * BigInt(1 + (b % 8))) / 16n;
  const script = by === 'owner' ? world.receivingScript() : peerScript(channel);
  const tx = spliceOf(channel, [{ value, script }]);
  const candidate = candidateOf(channel, tx, tx.outputs[0]!.value);
  const costMsat = (value + SPLICE_FEE_SAT) * 1000n;
  for (const view of Object.values(candidate.log.views)) view.current = lessBy(view.current, by, costMsat);
  if ((await world.ask(channel.client, setupRequest(candidate))) === null) return;
  if (!(await signBoth(world, candidate))) return;
  const signature = await signSplice(world, channel, tx, 'honest');
  if (signature === null) return;
  const signed = withFundingWitness(channel, tx, signature);
  if (world.chain.broadcast(signed) !== null) return;
  moveOver(channel, candidate, signed);
  await world.chain.mine(DEEP_BLOCKS + 1);
  await lock(world, channel);
}

async function signBoth(world: World, candidate: Channel): Promise<boolean> {
  const { owner, peer } = candidate.log.views;
  const owners = builtAt(candidate, 'owner', 0, owner.current);
  const peers = builtAt(candidate, 'peer', 0, peer.current);
  if (owners === undefined || peers === undefined) return false;
  return (await validateBuilt(world, candidate, owners)) && (await signPeersBuilt(world, candidate, peers));
}

/** What the candidate is, the channel is from now on; it waits for its funding as at an opening. */
function moveOver(channel: Channel, candidate: Channel, tx: Tx): void {
  channel.terms = candidate.terms;
  fundBy(channel, tx, 0);
  for (const side of ['owner', 'peer'] as const) {
    const view = channel.log.views[side];
    view.current = candidate.log.views[side].current;
    view.standing = [view.current];
  }
  for (const one of candidate.ownerCommitments) channel.addOwnerCommitment(one);
  for (const one of candidate.peerCommitments) channel.addPeerCommitment(one);
  // What was on the old funding is no state to come back to.
  channel.snapshots.length = 0;
  channel.phase = 'opening';
}

async function lock(world: World, channel: Channel): Promise<void> {
  if (channel.phase !== 'opening' || world.depthOf(channel.funding) < DEEP_BLOCKS) return;
  const { txid: fundingTxid, vout: fundingTxout } = channel.funding;
  const request = { name: 'hsmd_lock_outpoint', fundingTxid, fundingTxout } as const;
  if ((await world.ask(channel.client, request)) === null) world.stuck(channel);
  else channel.phase = 'open';
}
