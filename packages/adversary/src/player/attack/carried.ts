/**
 * Claims of HTLCs on the peer's commitment, taken further than they were signed for: their input and output carried into another
 * transaction, or two of them in one transaction, each signed as if it were alone.
 */
import type { MessageOf } from '@countersign/wire';
import { toScriptSignature } from '../../bitcoin/keys.ts';
import { makeBitcoinTx, makePsbt, partialSignatures } from '../../bitcoin/psbt.ts';
import { type Tx, withWitnesses } from '../../bitcoin/transaction.ts';
import { preimageWitness, type Witness } from '../../bolt3/witness.ts';
import { NODE } from '../../subject.ts';
import type { Part } from '../book.ts';
import { ATTACKER_SCRIPT } from '../chain-feed.ts';
import type { Channel } from '../channel.ts';
import { type Claim, remoteHtlcClaim, remoteHtlcRequest, SEQUENCE_RBF } from '../claims.ts';
import { coinInfo, wireUtxo } from '../coins.ts';
import type { Built } from '../commitments.ts';
import { publishPeers } from '../honest/closing.ts';
import type { Move } from '../moves.ts';
import type { World } from '../world.ts';
import { forwardLarge, resolve } from './large.ts';

const FEE_SAT = 1500n;
/** Less than what the claim has, which is to make up for it. */
const COIN_SAT = 90_000n;

interface Claimable extends Claim {
  readonly channel: Channel;
  readonly built: Built;
  readonly preimage: Uint8Array;
}

/** A forward that the owner has paid for: what came in for it stands. */
async function paidForward(world: World): Promise<Part | undefined> {
  const found = await forwardLarge(world);
  return found !== undefined && (await resolve(world, found.outgoing, 'settled'))
    ? found.incoming
    : undefined;
}

/** The peer goes to the chain with its commitment; what the owner may claim there, none of it claimed yet. */
async function publish(
  world: World,
  channel: Channel,
  parts: readonly Part[],
): Promise<readonly Claimable[]> {
  const current = channel.livePeerCommitments.at(-1);
  world.isIdle = true;
  if (current === undefined || !publishPeers(world, channel, current)) return [];
  await world.chain.mine(1);
  const { built } = current;
  return parts.flatMap(({ htlc, payment }) => {
    const one = built.htlcs.find((other) => other.htlc.id === htlc.id && other.htlc.offeredBy === 'peer');
    const options = { destination: world.receivingScript(), feeratePerKw: 1000 };
    const claim = one === undefined ? undefined : remoteHtlcClaim(channel, built, one, options);
    return claim === undefined ? [] : [{ ...claim, channel, built, preimage: payment.preimage }];
  });
}

async function witnessFor(
  world: World,
  { preimage, witnessScript }: Claimable,
  request: MessageOf<'hsmd_sign_any_remote_htlc_to_us'>,
): Promise<Witness | null> {
  const reply = await world.ask(NODE, request, 'attack');
  if (reply === null) return null;
  const { signature, sighash } = reply.sig;
  return preimageWitness(toScriptSignature(signature, sighash), preimage, witnessScript);
}

/** A64, A69: the claim is signed alone; beside it, a coin of the wallet goes to the attacker, and the claim's output makes up for it. */
export async function carryClaim(world: World): Promise<void> {
  const incoming = await paidForward(world);
  const script = world.receivingScript();
  const small = world.chain.attackerPays([{ value: COIN_SAT, script }]);
  if (incoming === undefined || small === undefined) return;
  world.chain.broadcast(small);
  const [claim] = await publish(world, incoming.channel, [incoming]);
  const coin = world.coins.all.find(({ output }) => output.value === COIN_SAT);
  if (claim === undefined || coin === undefined) return;
  const ofClaim = await witnessFor(world, claim, remoteHtlcRequest(claim.channel, claim.built, claim));
  if (ofClaim === null) return;
  const spend = { ...coin.outpoint, scriptSig: new Uint8Array(0), sequence: SEQUENCE_RBF, witness: [] };
  const tx: Tx = {
    ...claim.tx,
    inputs: [...claim.tx.inputs, spend],
    outputs: [...claim.tx.outputs, { value: COIN_SAT - FEE_SAT, script: ATTACKER_SCRIPT }],
  };
  const { spent: utxo, witnessScript } = claim;
  const psbt = makePsbt(tx, [{ utxo, witnessScript }, coinInfo(coin)]);
  const withdrawal = { name: 'hsmd_sign_withdrawal', inputs: [wireUtxo(coin)], psbt } as const;
  const reply = await world.ask(NODE, withdrawal, 'attack');
  const [found] = reply === null ? [] : partialSignatures(reply.psbt, 1);
  if (found !== undefined)
    world.chain.broadcast(withWitnesses(tx, [ofClaim, [found.signature, found.publicKey]]));
  await world.chain.mine(1);
}

/** A55, A59: two claims in one transaction, whose one output has what one of them is worth; the other goes to the miners. */
export async function pairClaims(world: World, _channel: Channel | undefined, { a }: Move): Promise<void> {
  const parts = [await paidForward(world), await paidForward(world)];
  const [first, second] = parts;
  if (first === undefined || second === undefined || first.channel !== second.channel) return;
  const claims = await publish(world, first.channel, [first, second]);
  const [kept, burnt] = claims;
  if (kept === undefined || burnt === undefined) return;
  const tx: Tx = { ...kept.tx, inputs: [...kept.tx.inputs, ...burnt.tx.inputs] };
  const wire = makeBitcoinTx(tx, [{ utxo: kept.spent }, { utxo: burnt.spent }]);
  const witnesses: Witness[] = [];
  for (const input of a % 2 === 0 ? [0, 1] : [1, 0]) {
    const claim = claims[input]!;
    const plain = remoteHtlcRequest(claim.channel, claim.built, claim);
    const witness = await witnessFor(world, claim, { ...plain, tx: wire, input });
    if (witness === null) return;
    witnesses[input] = witness;
  }
  world.chain.broadcast(withWitnesses(tx, witnesses));
  await world.chain.mine(1);
}
