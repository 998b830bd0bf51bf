/**
 * What was signed under a txid stays counted, however often and with whatever amounts the node names another input.
 */
import { sat, txid, txidToHex } from '@countersign/bitcoin';
import { expect, it } from 'vitest';
import { SIGNED_INPUTS_MAX, signedTransactionRecords } from '../src/records/spending.ts';
import { input, psbtOf } from './channel-model.ts';
import { coin, hubChannel, output, own, put } from './spending-model.ts';
import { STRANGER, spentBy, walletUtxo, withdrawal } from './wallet-model.ts';

/**
 * Two inputs of ours, one of the peer's that the node calls ours, and a funding that only the peer vouches for; half of our
 * money goes to the peer.
 */
function halved() {
  const channel = hubChannel({ isOutbound: false, pushMsat: 0n, valueSat: 900_000_000n });
  const { signer } = channel;
  const [a, b] = [coin(signer, 1_000_000n, 3), coin(signer, 1_000_000n, 4)];
  const lie = walletUtxo(signer.keys, 5, 'p2tr', 2000n);
  const outputs = [own(signer, 9, 1_002_000n), output(STRANGER, 990_000n)];
  const inputs = [a.outpoint, b.outpoint, lie.outpoint, channel.model.funding.outpoint].map((one) =>
    input(one),
  );
  const tx = { version: 2, inputs, outputs, locktime: 0 };
  const foreign = output(STRANGER, 1_000_000n);
  const first = withdrawal([a], psbtOf(tx, [spentBy(a), foreign, spentBy(lie)]));
  const second = withdrawal([b], psbtOf(tx, [foreign, spentBy(b), spentBy(lie)]));
  return { signer, channel, first, second, id: txidToHex(txid(tx)) };
}

it('policy-onchain-fee-range: trips on the second of our inputs, though a thousand amounts were named for another', () => {
  const { signer, channel, first, second, id } = halved();
  // A thousand requests, each with a higher amount, would come to this.
  const lies = Array.from({ length: SIGNED_INPUTS_MAX }, (_, i) => ({
    index: 2,
    valueSat: sat(BigInt(i + 1)),
  }));
  put(signer, signedTransactionRecords, id, { inputs: lies, spends: [] });
  channel.ask(first);
  expect(channel.tagOf(second)).toBe('policy-onchain-fee-range');
});

it('policy-generic-error: trips on more inputs of ours in one transaction than can be kept', () => {
  const { signer, channel, first, id } = halved();
  const others = Array.from({ length: SIGNED_INPUTS_MAX }, (_, i) => ({ index: 9 + i, valueSat: sat(1n) }));
  put(signer, signedTransactionRecords, id, { inputs: others, spends: [] });
  expect(channel.tagOf(first)).toBe('policy-generic-error');
});
