/**
 * A splice spends what the chain has as a funding of its channel. The node names fundings as it likes: a splice of another coin would stand
 * beside the funding that the channel lives on, with the same HTLCs, and where that coin has no witness, under a txid that anybody can change.
 */
import { sat, txid } from '@countersign/bitcoin';
import { expect, it } from 'vitest';
import { openedChannel } from './chained-signer.ts';
import type { Funding } from './channel-model.ts';
import { trips } from './forwarder.ts';
import { fundingInput, withdrawal } from './wallet-model.ts';

const EXCLUSIVE = 'policy-candidate-exclusive';

/** Beside the funding on which the channel lives the node has named a second round of the opening. */
function named(round: (funding: Funding) => Funding) {
  const { signer, channel } = openedChannel();
  const { model } = channel;
  const second = round(model.newFunding('second', model.funding.valueSat));
  channel.ask(model.setup(second));
  signer.mineEmpty(6);
  channel.update({ ...channel.balances, feeratePerKw: 1001 });
  const splice = channel.candidate(model.spliceOf('splice', 100_000n, second));
  const { inputs, psbt } = fundingInput(signer.keys, splice);
  return { signer, channel, model, second, splice, request: withdrawal(inputs, psbt) };
}

it('our wallet signs no splice of somebody’s coin that the node calls a funding', () => {
  const coin = { txid: new Uint8Array(32).fill(7), vout: 1 };
  const { channel, request } = named((funding) => ({ ...funding, outpoint: coin }));
  expect(trips(channel, request, EXCLUSIVE).temporary).toBe(true);
});

it('nor one of what the chain has under that name with another value', () => {
  const { signer, channel, second, request } = named((funding) => {
    const outputs = funding.tx.outputs.map((one) => ({ ...one, value: sat(1000n) }));
    const tx = { ...funding.tx, outputs };
    return { ...funding, tx, outpoint: { txid: txid(tx), vout: 1 } };
  });
  signer.mine(second.tx);
  trips(channel, request, 'policy-channel-funding-onchain');
});

it('our wallet signs one of the funding that the chain has', () => {
  const { signer, channel } = openedChannel();
  const { model } = channel;
  signer.mineEmpty(6);
  channel.update({ ...channel.balances, feeratePerKw: 1001 });
  const splice = channel.candidate(model.spliceOf('splice', 100_000n));
  const { inputs, psbt } = fundingInput(signer.keys, splice);
  channel.ask(withdrawal(inputs, psbt));
});
