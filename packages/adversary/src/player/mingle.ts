/**
 * Wallet coins that pay fees of a channel's transactions: those of HTLC transactions without fees, as lightningd adds
 * them (`hsmd_sign_htlc_tx_mingle`), and of commitments by their anchors (`hsmd_sign_anchorspend`).
 */
import { EMPTY } from '../bitcoin/bytes.ts';
import { makePsbt, partialSignatures } from '../bitcoin/psbt.ts';
import { p2wsh } from '../bitcoin/scripts.ts';
import { type Tx, txidOf } from '../bitcoin/transaction.ts';
import { ANCHOR_VALUE } from '../bolt3/fees.ts';
import { anchorScript } from '../bolt3/scripts.ts';
import { NODE } from '../subject.ts';
import type { Channel } from './channel.ts';
import { SEQUENCE_RBF } from './claims.ts';
import { type Coin, coinInfo, wireUtxo } from './coins.ts';
import type { BuiltHtlc } from './commitments.ts';
import type { Ending } from './ending.ts';
import { hasAnchors } from './requests.ts';
import type { World } from './world.ts';

/** Satoshi: an HTLC transaction and one more input and output at a fair rate. */
const MINGLE_FEE = 1500n;

const spend = (coin: Coin) => ({ ...coin.outpoint, scriptSig: EMPTY, sequence: SEQUENCE_RBF, witness: [] });

export const someCoin = (world: World, leastSat: bigint): Coin | undefined =>
  world.coins.all.find(({ output }) => output.value >= leastSat);

const p2wpkhWitness = (
  psbt: Parameters<typeof partialSignatures>[0],
  index: number,
): readonly Uint8Array[] => {
  const [found] = partialSignatures(psbt, index);
  return found === undefined ? [] : [found.signature, found.publicKey];
};

/** The HTLC transaction with a coin for its fee. As it is, where it pays one itself, or the coin was refused. */
export async function mingle(ending: Ending, one: BuiltHtlc, htlcTx: Tx): Promise<Tx> {
  const { world, channel } = ending;
  const coin = someCoin(world, 50_000n);
  if (!hasAnchors(channel) || coin === undefined) return htlcTx;
  const { value } = coin.output;
  const tx: Tx = {
    ...htlcTx,
    inputs: [...htlcTx.inputs, spend(coin)],
    outputs: [...htlcTx.outputs, { value: value - MINGLE_FEE, script: world.receivingScript() }],
  };
  const reply = await world.ask(NODE, {
    name: 'hsmd_sign_htlc_tx_mingle',
    peerid: channel.terms.peerId,
    channelDbid: channel.terms.dbid,
    inputs: [wireUtxo(coin)],
    psbt: makePsbt(tx, [{ utxo: one.output, witnessScript: one.witnessScript }, coinInfo(coin)]),
  });
  if (reply === null) return htlcTx;
  const witness = p2wpkhWitness(reply.psbt, 1);
  return { ...tx, inputs: [tx.inputs[0]!, { ...tx.inputs[1]!, witness }] };
}

/** A child of the commitment that spends the owner's anchor and a coin. */
export async function spendAnchor(world: World, channel: Channel, commitment: Tx): Promise<Tx | null> {
  const script = anchorScript(channel.ownerKeys!.funding);
  const output = { value: ANCHOR_VALUE, script: p2wsh(script) };
  const vout = commitment.outputs.findIndex(
    (one) => one.value === ANCHOR_VALUE && one.script.every((byte, i) => byte === output.script[i]),
  );
  const coin = someCoin(world, 60_000n);
  if (vout < 0 || coin === undefined) return null;
  const anchor = { txid: txidOf(commitment), vout, scriptSig: EMPTY, sequence: SEQUENCE_RBF, witness: [] };
  const tx: Tx = {
    version: 2,
    inputs: [anchor, spend(coin)],
    outputs: [{ value: coin.output.value - 2000n, script: world.receivingScript() }],
    locktime: 0,
  };
  const reply = await world.ask(NODE, {
    name: 'hsmd_sign_anchorspend',
    peerid: channel.terms.peerId,
    channelDbid: channel.terms.dbid,
    inputs: [wireUtxo(coin)],
    psbt: makePsbt(tx, [{ utxo: output, witnessScript: script }, coinInfo(coin)]),
  });
  if (reply === null) return null;
  const [signature] = partialSignatures(reply.psbt, 0);
  const witness = signature === undefined ? [] : [signature.signature, script];
  return {
    ...tx,
    inputs: [
      { ...tx.inputs[0]!, witness },
      { ...tx.inputs[1]!, witness: p2wpkhWitness(reply.psbt, 1) },
    ],
  };
}
