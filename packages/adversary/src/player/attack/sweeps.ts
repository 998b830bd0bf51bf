/** Claims of what closed channels leave, and penalties signed in advance, that go elsewhere or are eaten by fees. */
import { makeBitcoinTx } from '../../bitcoin/psbt.ts';
import { type Tx, txidOf } from '../../bitcoin/transaction.ts';
import { NODE } from '../../subject.ts';
import { ATTACKER_SCRIPT } from '../chain-feed.ts';
import type { Channel } from '../channel.ts';
import {
  type Claim,
  type ClaimOptions,
  delayedClaim,
  penaltyClaim,
  remoteHtlcClaim,
  SEQUENCE_FINAL,
} from '../claims.ts';
import type { Built } from '../commitments.ts';
import { pick } from '../dice.ts';
import type { Move } from '../moves.ts';
import { hasAnchors } from '../requests.ts';
import { signToRemote } from '../to-remote.ts';
import type { World } from '../world.ts';

const DESTINATIONS = ['attacker', 'own', 'far'] as const;

function optionsOf(world: World, by: number): ClaimOptions {
  const destination = {
    attacker: ATTACKER_SCRIPT,
    own: world.receivingScript(),
    far: world.wallet.key(1_000_000_000).scripts.p2wpkh,
  }[DESTINATIONS[by % 3]!];
  return { destination, feeratePerKw: by % 3 === 1 ? 100_000 + by * 500 : 1000 };
}

/** Nearly all of the value goes to fees. */
const burnt = ({ tx, ...claim }: Claim, by: number): Claim => ({
  ...claim,
  tx: {
    ...tx,
    outputs: tx.outputs.map((one) => ({ ...one, value: by % 2 === 0 ? 330n : one.value / 50n + 330n })),
  },
});

const twisted = (claim: Claim, by: number): Claim => {
  const { tx } = claim;
  const [input] = tx.inputs;
  if (input === undefined) return claim;
  const twists: readonly Tx[] = [
    tx,
    { ...tx, inputs: [{ ...input, sequence: SEQUENCE_FINAL }] },
    { ...tx, inputs: [{ ...input, vout: input.vout + 1 }, input] },
    { ...tx, version: 1 },
    { ...tx, locktime: 900_000 },
    { ...tx, outputs: [...tx.outputs, { value: 330n, script: ATTACKER_SCRIPT }] },
  ];
  return { ...claim, tx: pick(twists, by)! };
};

function commitmentsOf(channel: Channel): readonly Built[] {
  const ended = channel.ending?.built;
  const all = [...channel.ownerCommitments, ...channel.peerCommitments].map(({ built }) => built);
  return ended == null ? all : [ended, ended, ended, ...all];
}

/** A59, A60, A15: any claim of any commitment. */
export async function wrongSweep(world: World, channel: Channel, { a, b, c }: Move): Promise<void> {
  const built = pick(commitmentsOf(channel), a);
  if (built === undefined) return;
  const options = optionsOf(world, b);
  const one = pick(built.htlcs, c);
  const isOwners = built.side === 'owner';
  const isHtlc = one !== undefined && c % 2 === 0;
  const plain = isOwners
    ? delayedClaim(channel, built, options)
    : isHtlc
      ? remoteHtlcClaim(channel, built, one, options)
      : penaltyClaim(
          built,
          one?.outputIndex ?? built.outputs.findIndex(({ role }) => role === 'to_local'),
          options,
        );
  if (plain === undefined) return;
  const claim = twisted(b % 4 === 1 ? burnt(plain, c) : plain, c >> 2);
  const tx = makeBitcoinTx(
    claim.tx,
    claim.tx.inputs.map(() => ({ utxo: claim.spent })),
  );
  await askClaim(world, channel, built, { ...claim, wire: tx }, isHtlc, c);
}

async function askClaim(
  world: World,
  channel: Channel,
  built: Built,
  { wire: tx, witnessScript: wscript }: Claim & { readonly wire: ReturnType<typeof makeBitcoinTx> },
  isHtlc: boolean,
  by: number,
): Promise<void> {
  const { peerId: peerid, dbid: channelDbid } = channel.terms;
  const at = { input: tx.tx.inputs.length - 1, peerid, channelDbid };
  const optionAnchorOutputs = hasAnchors(channel);
  const commitNum = BigInt(built.number);
  const isNamed = by % 2 === 0;
  if (built.side === 'owner') {
    if (isNamed)
      await world.ask(
        NODE,
        { name: 'hsmd_sign_any_delayed_payment_to_us', commitNum, tx, wscript, ...at },
        'attack',
      );
    else
      await world.ask(
        channel.client,
        { name: 'hsmd_sign_delayed_payment_to_us', commitNum, tx, wscript },
        'attack',
      );
  } else if (isHtlc) {
    const body = { remotePerCommitmentPoint: built.point, tx, wscript, optionAnchorOutputs };
    if (isNamed) await world.ask(NODE, { name: 'hsmd_sign_any_remote_htlc_to_us', ...body, ...at }, 'attack');
    else await world.ask(channel.client, { name: 'hsmd_sign_remote_htlc_to_us', ...body }, 'attack');
  } else {
    const revocationSecret = channel.peer.secret(built.number);
    const body = { revocationSecret, tx, wscript };
    if (isNamed) await world.ask(NODE, { name: 'hsmd_sign_any_penalty_to_us', ...body, ...at }, 'attack');
    else await world.ask(channel.client, { name: 'hsmd_sign_penalty_to_us', ...body }, 'attack');
  }
}

/** The owner's output of a peer's commitment goes to the attacker, or mostly to fees. */
export async function stealToRemote(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const built = pick(
    commitmentsOf(channel).filter(({ side }) => side === 'peer'),
    a,
  );
  const vout = built?.outputs.findIndex(({ role }) => role === 'to_remote') ?? -1;
  if (built === undefined || vout < 0) return;
  const outpoint = { txid: txidOf(built.tx), vout };
  const leftover = { kind: 'to_remote', outpoint, vout, one: null, tx: built.tx, isClaimed: false } as const;
  const output = built.outputs[vout]!;
  const isForeign = b % 2 === 0;
  const tx: Tx = {
    version: 2,
    inputs: [{ ...outpoint, scriptSig: new Uint8Array(0), sequence: 1, witness: [] }],
    outputs: [
      {
        value: isForeign ? output.value - 1000n : output.value / 60n + 330n,
        script: isForeign ? ATTACKER_SCRIPT : world.receivingScript(),
      },
    ],
    locktime: 0,
  };
  const signed = await signToRemote(world, channel, leftover, tx, 'attack');
  if (signed !== null) world.chain.broadcast(signed);
}
