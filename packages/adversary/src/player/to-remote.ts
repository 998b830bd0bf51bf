/**
 * The owner's output in a commitment of the peer. To CLN it is a coin of the wallet's with a key of the channel's: it is
 * swept with `sign_withdrawal`, after a block's wait where there are anchors.
 */
import type { HsmUtxo } from '@countersign/wire';
import { makePsbt, partialSignatures } from '../bitcoin/psbt.ts';
import { type Tx, type TxOutput, withWitnesses } from '../bitcoin/transaction.ts';
import { toRemoteScript } from '../bolt3/scripts.ts';
import { keyHashWitness, signatureWitness } from '../bolt3/witness.ts';
import { NODE } from '../subject.ts';
import type { Channel } from './channel.ts';
import { claimOf, SEQUENCE_RBF } from './claims.ts';
import type { Ending, Leftover } from './ending.ts';
import { hasAnchors, wireSat } from './requests.ts';
import type { Intent } from './step-log.ts';
import type { World } from './world.ts';

export function toRemoteUtxo(channel: Channel, { outpoint }: Leftover, output: TxOutput): HsmUtxo {
  const { peerId, dbid } = channel.terms;
  return {
    outpoint,
    amount: wireSat(output.value),
    keyindex: 0,
    isP2sh: false,
    scriptPubkey: output.script,
    closeInfo: {
      channelId: dbid,
      peerId,
      commitmentPoint: undefined,
      optionAnchors: hasAnchors(channel),
      csv: 1,
    },
    isInCoinbase: false,
  };
}

export async function sweepToRemote(ending: Ending, leftover: Leftover): Promise<Tx | null> {
  const { world, channel } = ending;
  const output = leftover.tx.outputs[leftover.vout]!;
  const claim = claimOf({
    outpoint: leftover.outpoint,
    spent: output,
    witnessScript: toRemoteScript(channel.ownerKeys!.payment),
    sequence: hasAnchors(channel) ? 1 : SEQUENCE_RBF,
    locktime: 0,
    destination: world.receivingScript(),
    feeratePerKw: 1000,
  });
  return claim === undefined ? null : signToRemote(world, channel, leftover, claim.tx);
}

export async function signToRemote(
  world: World,
  channel: Channel,
  leftover: Leftover,
  tx: Tx,
  intent: Intent = 'honest',
): Promise<Tx | null> {
  const output = leftover.tx.outputs[leftover.vout]!;
  const inputs = [toRemoteUtxo(channel, leftover, output)];
  const psbt = makePsbt(tx, [{ utxo: output, previous: leftover.tx }]);
  const reply = await world.ask(NODE, { name: 'hsmd_sign_withdrawal', inputs, psbt }, intent);
  const [signature] = reply === null ? [] : partialSignatures(reply.psbt, 0);
  if (signature === undefined) return null;
  const witness = hasAnchors(channel)
    ? signatureWitness(signature.signature, toRemoteScript(channel.ownerKeys!.payment))
    : keyHashWitness(signature.signature, signature.publicKey);
  return withWitnesses(tx, [witness]);
}
