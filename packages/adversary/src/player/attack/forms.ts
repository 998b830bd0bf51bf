/**
 * Commitments with something wrong about their form, of either side: a key of the attacker's, a delay, an output too many,
 * a list that says something else than the transaction. What is signed of the peer's can be published at once; what is
 * validated of the owner's is revoked next.
 */
import { publicKeyOf } from '../../bitcoin/keys.ts';
import type { Tx } from '../../bitcoin/transaction.ts';
import { ATTACKER_SCRIPT } from '../chain-feed.ts';
import type { Channel } from '../channel.ts';
import { type BuildChanges, type Built, withTx } from '../commitments.ts';
import { bytesFor, pick } from '../dice.ts';
import type { Move } from '../moves.ts';
import { knowPoint, peerRevokes, revoke, signPeersBuilt, validateBuilt } from '../protocol.ts';
import { peerSignatures, signRemoteRequest, validateRequest, wireMsat } from '../requests.ts';
import type { Party } from '../state.ts';
import type { World } from '../world.ts';

const FOREIGN_KEY = publicKeyOf(bytesFor('a key of the attacker'));

const CHANGES: readonly BuildChanges[] = [
  { keys: { revocation: FOREIGN_KEY } },
  { keys: { broadcasterDelayed: FOREIGN_KEY } },
  { keys: { broadcasterHtlc: FOREIGN_KEY } },
  { keys: { otherHtlc: FOREIGN_KEY } },
  { keys: { otherPayment: FOREIGN_KEY } },
  { keys: { broadcasterFunding: FOREIGN_KEY } },
  { keys: { otherFunding: FOREIGN_KEY } },
  { terms: { toSelfDelayBlocks: 1 } },
  { terms: { toSelfDelayBlocks: 60_000 } },
  { terms: { kind: 'static_remotekey' } },
  { terms: { kind: 'anchors_zero_fee_htlc' } },
  { terms: { dustLimitSat: 1n } },
  { terms: { dustLimitSat: 20_000n } },
  { terms: { funder: 'broadcaster' } },
  { terms: { funder: 'other' } },
  { terms: { feeratePerKw: 20_000 } },
  { terms: { funding: { txid: bytesFor('another funding'), vout: 0 } } },
];

const withOutputs = (tx: Tx, change: (outputs: Tx['outputs']) => Tx['outputs']): Tx => ({
  ...tx,
  outputs: change(tx.outputs),
});

const EDITS: readonly ((tx: Tx, by: number) => Tx)[] = [
  (tx) => ({ ...tx, version: 1 }),
  (tx) => ({ ...tx, locktime: 0 }),
  (tx) => ({ ...tx, locktime: tx.locktime ^ 1 }),
  (tx) => ({ ...tx, inputs: tx.inputs.map((input) => ({ ...input, sequence: 0xffff_fffe })) }),
  (tx) => ({ ...tx, inputs: [...tx.inputs, { ...tx.inputs[0]!, vout: 7 }] }),
  (tx) => withOutputs(tx, (outputs) => outputs.slice(0, -1)),
  (tx) => withOutputs(tx, (outputs) => outputs.slice(1)),
  (tx) => withOutputs(tx, (outputs) => [...outputs, { value: 1000n, script: ATTACKER_SCRIPT }]),
  (tx) => withOutputs(tx, (outputs) => outputs.toReversed()),
  (tx, by) =>
    withOutputs(tx, (outputs) =>
      outputs.map((one, i) => (i === by % outputs.length ? { ...one, script: ATTACKER_SCRIPT } : one)),
    ),
  (tx, by) =>
    withOutputs(tx, (outputs) =>
      outputs.map((one, i) => (i === by % outputs.length ? { ...one, value: one.value - 1n } : one)),
    ),
  (tx, by) =>
    withOutputs(tx, (outputs) =>
      outputs.map((one, i) => (i === by % outputs.length ? { ...one, value: one.value / 2n } : one)),
    ),
  (tx, by) =>
    withOutputs(tx, (outputs) =>
      outputs.map((one, i) => (i === by % outputs.length ? { ...one, value: 2n ** 63n - 1n } : one)),
    ),
];

/** A26: both views, one field each. */
export async function wrongForm(world: World, channel: Channel, { a, b, c }: Move): Promise<void> {
  const side: Party = b % 2 === 0 ? 'peer' : 'owner';
  const number = channel.log.views[side].number + 1;
  if (side === 'owner') await knowPoint(world, channel, number);
  const content = channel.log.next(side);
  const at = a % (CHANGES.length + EDITS.length);
  const plain = channel.build(side, number, content);
  const edit = EDITS[at - CHANGES.length];
  const built =
    edit === undefined || plain === undefined
      ? channel.buildChanged(side, number, content, CHANGES[at] ?? {})
      : withTx(plain, edit(plain.tx, c));
  if (built !== undefined) await give(world, channel, built);
}

/** The peer's is signed and the one before revoked by the peer; the owner's is validated and the one before revoked. */
async function give(world: World, channel: Channel, built: Built): Promise<void> {
  if (built.side === 'peer') {
    if (await signPeersBuilt(world, channel, built, 'attack')) await peerRevokes(world, channel);
  } else if (await validateBuilt(world, channel, built, 'attack')) await revoke(world, channel);
}

type List = ReturnType<typeof signRemoteRequest>['htlcs'];

const LISTS: readonly ((list: List) => List)[] = [
  (list) => list.slice(1),
  (list) => list.slice(0, -1),
  (list) => [...list, ...list],
  (list) =>
    list.map((one, i) => (i === 0 ? { ...one, side: one.side === 'local' ? 'remote' : 'local' } : one)),
  (list) => list.map((one, i) => (i === 0 ? { ...one, amount: wireMsat(one.amount + 999n) } : one)),
  (list) => list.map((one, i) => (i === 0 ? { ...one, amount: wireMsat(one.amount + 1_000_000n) } : one)),
  (list) => list.map((one, i) => (i === 0 ? { ...one, cltvExpiry: one.cltvExpiry + 1 } : one)),
  (list) => list.map((one, i) => (i === 0 ? { ...one, paymentHash: bytesFor('another hash') } : one)),
  (list) => list.toReversed(),
  (list) => list.map((one) => ({ ...one, amount: wireMsat(2_100_000_000_000_000_000n) })),
];

/** A27, A28: the list beside the transaction is not what it pays; or the rate is another. */
export async function lyingList(world: World, channel: Channel, { a, b, c }: Move): Promise<void> {
  const side: Party = b % 2 === 0 ? 'peer' : 'owner';
  const number = channel.log.views[side].number + 1;
  if (side === 'owner') await knowPoint(world, channel, number);
  const built = channel.build(side, number, channel.log.next(side));
  if (built === undefined) return;
  const lie = pick(LISTS, a)!;
  const rate = c % 4 === 0 ? { feerate: built.state.feeratePerKw + 1 + (c % 3000) } : {};
  if (side === 'peer') {
    const request = signRemoteRequest(channel, built);
    const reply = await world.ask(
      channel.client,
      { ...request, htlcs: lie(request.htlcs), ...rate },
      'attack',
    );
    if (reply === null) return;
    channel.addPeerCommitment({ built, signature: reply.sig.signature, htlcSignatures: [] });
    channel.log.signed('peer', built.state);
  } else {
    const signatures = peerSignatures(channel, built);
    const request = validateRequest(channel, built, signatures);
    const reply = await world.ask(
      channel.client,
      { ...request, htlcs: lie(request.htlcs), ...rate },
      'attack',
    );
    if (reply === null) return;
    channel.log.signed('owner', built.state);
    await revoke(world, channel);
  }
}
