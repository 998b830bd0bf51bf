/** Closes that take from the owner: to scripts that are not his, with less than is his, or while payments are under way. */
import type { Tx, TxOutput } from '../../bitcoin/transaction.ts';
import { NODE } from '../../subject.ts';
import { ATTACKER_SCRIPT } from '../chain-feed.ts';
import type { Channel } from '../channel.ts';
import { pick } from '../dice.ts';
import { closeFeeSat, closeTx, withFundingWitness } from '../honest/closing.ts';
import { strangerScript } from '../honest/spending.ts';
import type { Move } from '../moves.ts';
import { mutualCloseRequest } from '../requests.ts';
import type { World } from '../world.ts';

type Twist = (world: World, tx: Tx, ownerScript: Uint8Array, by: number) => Tx;

const isTo = ({ script }: TxOutput, other: Uint8Array): boolean =>
  script.every((byte, i) => byte === other[i]);

const changed = (tx: Tx, change: (one: TxOutput) => TxOutput): Tx => ({
  ...tx,
  outputs: tx.outputs.map(change),
});

const onOwners = (tx: Tx, script: Uint8Array, change: (one: TxOutput) => TxOutput): Tx =>
  changed(tx, (one) => (isTo(one, script) ? change(one) : one));

const SHORT_SAT = [1n, 500n, 5_000n, 50_000n];

const TWISTS: readonly Twist[] = [
  (_world, tx) => tx,
  (_world, tx, own) => onOwners(tx, own, (one) => ({ ...one, script: ATTACKER_SCRIPT })),
  (world, tx, own) => onOwners(tx, own, (one) => ({ ...one, script: strangerScript(world.labels) })),
  (_world, tx, own, by) => onOwners(tx, own, (one) => ({ ...one, value: one.value - SHORT_SAT[by % 4]! })),
  (_world, tx, own) => onOwners(tx, own, (one) => ({ ...one, value: one.value / 2n })),
  (_world, tx, own) => ({ ...tx, outputs: tx.outputs.filter((one) => !isTo(one, own)) }),
  (_world, tx, own) => ({
    ...onOwners(tx, own, (one) => ({ ...one, value: one.value - 10_000n })),
    outputs: [
      ...onOwners(tx, own, (one) => ({ ...one, value: one.value - 10_000n })).outputs,
      { value: 9_000n, script: ATTACKER_SCRIPT },
    ],
  }),
  (world, tx, own) =>
    onOwners(tx, own, (one) => ({ ...one, script: world.wallet.key(1_999_999_999).scripts.p2wpkh })),
  (_world, tx) => ({ ...tx, locktime: 700_000 }),
  (_world, tx) => ({ ...tx, inputs: [...tx.inputs, { ...tx.inputs[0]!, vout: tx.inputs[0]!.vout + 1 }] }),
];

/** A57, A58: by the message for closes, or by the one for commitments, which signs closes too. */
export async function wrongClose(world: World, channel: Channel, { a, b, c }: Move): Promise<void> {
  if (channel.phase === 'opening' || channel.phase === 'closed') return;
  const own = world.receivingScript();
  const plain = closeTx(channel, own, b % 5 === 0 ? 150_000n : closeFeeSat(world));
  const tx = pick(TWISTS, a)!(world, plain, own, b);
  if (tx.outputs.length === 0 || tx.outputs.some(({ value }) => value < 0n)) return;
  const request = mutualCloseRequest(channel, tx);
  const { peerId, dbid: channelDbid } = channel.terms;
  const reply =
    c % 3 === 0
      ? await world.ask(
          NODE,
          {
            name: 'hsmd_sign_commitment_tx',
            peerId,
            channelDbid,
            tx: request.tx,
            remoteFundingKey: channel.peer.points.funding,
            commitNum: BigInt(channel.log.views.owner.number),
          },
          'attack',
        )
      : await world.ask(channel.client, request, 'attack');
  if (reply === null) return;
  channel.phase = 'closing';
  if (c % 2 === 0) world.chain.broadcast(withFundingWitness(channel, tx, reply.sig.signature));
}
