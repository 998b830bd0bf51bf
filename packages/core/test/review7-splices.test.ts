/**
 * A splice spends what the chain has as a funding of its channel. The node names fundings as it likes: a splice of another coin would stand
 * beside the funding that the channel lives on, with the same HTLCs, and where that coin has no witness, under a txid that anybody can change.
 */
import { sat, txid } from '@countersign/bitcoin';
import { expect, it } from 'vitest';
import { APPROVING, ChainedSigner, openedChannel } from './chained-signer.ts';
import type { Funding, ModelOptions } from './channel-model.ts';
import { trips } from './forwarder.ts';
import { OpenChannel } from './open-channel.ts';
import { fundingInput, withdrawal } from './wallet-model.ts';

const EXCLUSIVE = 'policy-candidate-exclusive';

/** Beside the funding on which the channel lives the node has named a second round of the opening. */
function named(round: (funding: Funding) => Funding, options: ModelOptions = {}) {
  const { signer, channel } = openedChannel(options);
  const { model } = channel;
  const second = round(model.newFunding('second', model.funding.valueSat));
  channel.ask(model.setup(second));
  signer.mineEmpty(6);
  channel.update({ ...channel.balances, feeratePerKw: 1001 });
  const splice = channel.candidate(model.spliceOf('splice', 100_000n, second));
  const { inputs, psbt } = fundingInput(signer.keys, splice);
  return { signer, channel, model, second, splice, request: withdrawal(inputs, psbt) };
}

it.each([
  ['ours', {}],
  ['the peer’s alone', { isOutbound: false, pushMsat: 0n }],
] as const)(
  'our wallet signs no splice of somebody’s coin that the node calls a funding, in a channel that is %s',
  (_, options) => {
    const coin = { txid: new Uint8Array(32).fill(7), vout: 1 };
    const { channel, request } = named((funding) => ({ ...funding, outpoint: coin }), options);
    expect(trips(channel, request, EXCLUSIVE).temporary).toBe(true);
  },
);

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

it('our wallet signs no splice of a gift beside the funding that the channel lives on', () => {
  const { signer, channel, second, request } = named((funding) => funding);
  signer.mine(second.tx);
  expect(trips(channel, request, EXCLUSIVE).temporary).toBe(true);
  // Nor do the channel's own keys.
  const splice = channel.fundings.at(-1)!;
  expect(trips(channel, channel.model.signSplice(splice, second), EXCLUSIVE).temporary).toBe(true);
});

it('nothing goes on beside a splice that our wallet has signed and that goes back to another round', () => {
  const signer = new ChainedSigner();
  signer.set = { approvals: APPROVING };
  const channel = new OpenChannel({ isOutbound: false, pushMsat: 300_000_000n }, signer).open();
  const { model } = channel;
  const empty = { ...channel.balances, holderMsat: 0n, counterpartyMsat: 1_000_000_000n };
  const second = model.newFunding('second', model.funding.valueSat);
  channel.ask({ ...model.setup(second), pushValue: 0n });
  channel.ask(model.validate(0, empty, second));
  channel.ask(model.signRemote(0, empty, second));
  signer.mine(second.tx).mineEmpty(6);
  const [ours, none] = [channel.balances, empty].map((one) => ({ ...one, feeratePerKw: 1001 }));
  channel.ask(model.signRemote(1, ours));
  channel.ask(model.signRemote(1, none, second));
  channel.ask(model.validateRevocation(0));
  channel.ask(model.validate(1, ours));
  channel.ask(model.validate(1, none, second));
  channel.ask(model.revoke(0));
  const splice = model.spliceOf('splice', 100_000n, second);
  channel.ask(model.setup(splice));
  channel.ask(model.validate(1, none, splice));
  channel.ask(model.signRemote(1, none, splice));
  const { inputs, psbt } = fundingInput(signer.keys, splice);
  channel.ask(withdrawal(inputs, psbt));
  // The peer has the round mined that it alone paid for: what goes out there would go out of the splice as well.
  signer.mine(model.funding.tx);
  const next = model.signRemote(2, { ...ours!, feeratePerKw: 1002 });
  expect(trips(channel, next, EXCLUSIVE).temporary).toBe(true);
});
