/**
 * Claims and the wallet: what a claim pays us is ours already, so no other transaction may count it as a cover for something
 * else of ours.
 */
import { derivePublicKey, SIGHASH, segwitV0Sighash, type Transaction, txid } from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { htlc, input, psbtOf, wireTx } from './channel-model.ts';
import { adding } from './open-channel.ts';
import { coin, hubChannel, output, own } from './spending-model.ts';
import { secp } from './test-signer.ts';
import { STRANGER, spentBy, withdrawal } from './wallet-model.ts';

/** An HTLC of the peer's commitment, with anchors, and the claim of it as CLN makes it: one input, one output, to our wallet. */
function claimed() {
  const channel = hubChannel();
  const { model, signer } = channel;
  const balances = adding(channel.balances, htlc('counterparty', 60_000, 'b'));
  channel.update(balances);
  const built = model.build('counterparty', 1, balances);
  const { outputIndex, witnessScript } = built.commitment.htlcs[0]!;
  const spent = built.commitment.outputs[outputIndex]!;
  const tx: Transaction = {
    version: 2,
    inputs: [input({ txid: txid(built.tx), vout: outputIndex }, 1)],
    outputs: [own(signer, 2, 59_000n)],
    locktime: 0,
  };
  const ask = (what: Transaction): MessageOf<'hsmd_sign_any_remote_htlc_to_us'> => ({
    name: 'hsmd_sign_any_remote_htlc_to_us',
    remotePerCommitmentPoint: model.point('counterparty', 1),
    tx: wireTx(what, [spent]),
    wscript: witnessScript,
    optionAnchorOutputs: true,
    input: 0,
    peerid: model.ref.peerId,
    channelDbid: model.ref.dbid,
  });
  const key = derivePublicKey(secp, model.holder.htlc, model.point('counterparty', 1));
  return { channel, model, signer, spent, witnessScript, tx, ask, key };
}

describe('policy-sighash: a claim of an HTLC', () => {
  it('policy-sighash: is good for its own transaction only, not beside a coin of ours that a stranger gets', () => {
    const { channel, signer, spent, witnessScript, tx, ask, key } = claimed();
    const reply = channel.ask(ask(tx));
    if (reply.name !== 'hsmd_sign_tx_reply') throw new Error(reply.name);
    const { signature, sighash } = reply.sig;
    const utxo = coin(signer, 59_000n);
    const theft: Transaction = {
      ...tx,
      inputs: [...tx.inputs, input(utxo.outpoint, 0)],
      outputs: [...tx.outputs, output(STRANGER, 58_500n)],
    };
    // The wallet takes the claim's input for a stranger's, and so it may: nobody can sign it.
    channel.ask(withdrawal([utxo], psbtOf(theft, [spent, spentBy(utxo)])));
    const isGoodFor = (what: Transaction) =>
      secp.verifyEcdsa(segwitV0Sighash(what, 0, witnessScript, spent.value, sighash), signature, key);
    expect([sighash, isGoodFor(tx), isGoodFor(theft)]).toEqual([SIGHASH.ALL, true, false]);
    expect(channel.tagOf(ask({ ...theft, locktime: 0 }))).toBe('policy-sweep-destination-allowlisted');
  });
});
