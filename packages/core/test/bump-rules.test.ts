/** Law 5 on wallet money that raises fees: beside HTLCs, and through an anchor (attack A69). */
import { addPsbtBip32Derivation, msat, sat, type Transaction, toHex, txid } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { channelRecords } from '../src/records/channel.ts';
import { htlc, input, psbtOf } from './channel-model.ts';
import { running } from './claims-model.ts';
import type { OpenChannel } from './open-channel.ts';
import { allow, hubChannel, output, own, put } from './spending-model.ts';
import { anchorspend, htlcTxMingle, OWN, STRANGER, spentBy, walletUtxo, withdrawal } from './wallet-model.ts';

const unknown = 'policy-onchain-no-unknown-outputs';
/** Our commitment 1 signed for broadcast, and a wallet output beside its first HTLC in a "mingle" transaction. */
function broadcast() {
  const all = running();
  const { channel, model, balances, signer } = all;
  channel.ask(model.signCommitment(1, balances));
  const built = model.build('holder', 1, balances);
  const [first] = built.htlcTransactions;
  const utxo = walletUtxo(signer.keys, 3, 'p2wpkh', 100_000n);
  const htlcOutput = first!.transaction.outputs[0]!;
  const spentHtlc = built.commitment.outputs[first!.spent.outputIndex]!;
  const mingle = (outputs: Transaction['outputs'], change: Partial<Transaction> = {}) => {
    const inputs = [first!.transaction.inputs[0]!, input(utxo.outpoint)];
    const tx = { version: 2, inputs, outputs, locktime: first!.transaction.locktime, ...change };
    return htlcTxMingle(model.ref, [utxo], psbtOf(tx, [spentHtlc, spentBy(utxo)]));
  };
  return { ...all, built, utxo, htlcOutput, mingle };
}

describe('HTLC transactions with wallet inputs', () => {
  it('policy-onchain-no-unknown-outputs: passes the HTLC with its own output, and change', () => {
    const { channel, signer, htlcOutput, mingle } = broadcast();
    const request = mingle([htlcOutput, own(signer, 4, 99_000n)]);
    expect(channel.ask(request)).toEqual(channel.ask(request));
    // Raised: the fee counts once more only by its difference.
    channel.ask(mingle([htlcOutput, own(signer, 4, 98_000n)]));
  });

  it('policy-onchain-no-unknown-outputs: trips on any other output (A61)', () => {
    const { channel, signer, htlcOutput, mingle } = broadcast();
    const more = output(htlcOutput.script, htlcOutput.value + 1n);
    for (const outputs of [
      [htlcOutput, output(STRANGER, 99_000n)],
      [htlcOutput, own(signer, 4, 50_000n), output(STRANGER, 49_000n)],
      // Wallet money under the delayed script: more than the HTLC, or where no HTLC is.
      [more, own(signer, 4, 98_000n)],
      [own(signer, 4, 99_000n), htlcOutput],
    ])
      expect(channel.tagOf(mingle(outputs))).toBe(unknown);
    allow(signer, 'script', toHex(STRANGER));
    expect(channel.tagOf(mingle([htlcOutput, output(STRANGER, 99_000n)]))).toBe(unknown);
  });

  it('policy-onchain-no-unknown-outputs: trips on the delayed script of a revoked commitment, or one not published (A69)', () => {
    const revoked = running();
    const { channel, model, balances, signer } = revoked;
    const utxo = walletUtxo(signer.keys, 3, 'p2wpkh', 100_000n);
    const paired = (number: number) => {
      const one = model.build('holder', number, balances).htlcTransactions[0]!.transaction;
      const tx = {
        ...one,
        inputs: [...one.inputs, input(utxo.outpoint)],
        outputs: [...one.outputs, own(signer, 4, 99_000n)],
      };
      return htlcTxMingle(model.ref, [utxo], psbtOf(tx, [undefined, spentBy(utxo)]));
    };
    expect(channel.tagOf(paired(1))).toBe(unknown);
    channel.update({ ...balances, feeratePerKw: 1100 });
    const next = { ...balances, feeratePerKw: 1100 };
    channel.ask(model.signCommitment(2, next));
    expect(channel.tagOf(paired(1))).toBe(unknown);
  });

  it('policy-onchain-fee-velocity: trips where no HTLC is claimed, or one worth less than the fee', () => {
    const { channel, signer, model, htlcOutput, mingle } = broadcast();
    signer.set = { limits: { feeVelocity: { amountSat: 10n, per: 'day' } as const } };
    const coins = [walletUtxo(signer.keys, 6, 'p2wpkh', 100_000n)];
    const alone = { version: 2, inputs: [input(coins[0]!.outpoint)], locktime: 0 };
    const burning = psbtOf({ ...alone, outputs: [own(signer, 4, 60_000n)] }, coins.map(spentBy));
    const tag = 'policy-onchain-fee-velocity';
    expect(channel.tagOf(htlcTxMingle(model.ref, coins, burning))).toBe(tag);
    const left = 100_000n - htlcOutput.value;
    expect(channel.tagOf(mingle([htlcOutput, own(signer, 4, left - 1n)]))).toBe(tag);
    channel.ask(mingle([htlcOutput, own(signer, 4, left)]));
  });

  it('policy-onchain-fee-range: trips on a fee above the rate', () => {
    const { channel, signer, htlcOutput, mingle } = broadcast();
    signer.set = { limits: { onchainFeerateMaxPerKw: 10_000 } };
    expect(channel.tagOf(mingle([htlcOutput, own(signer, 4, 80_000n)]))).toBe('policy-onchain-fee-range');
    channel.ask(mingle([htlcOutput, own(signer, 4, 95_000n)]));
  });
});

describe('anchor spends', () => {
  const named = (key: Uint8Array) => ({ publicKey: key, fingerprint: new Uint8Array(4), path: [0] });

  /** Our anchor of `side`'s commitment 0 with a wallet output of 100,000 sat. */
  function bump(
    channel: OpenChannel,
    outputs: Transaction['outputs'],
    side: 'holder' | 'counterparty' = 'holder',
  ) {
    const { model, signer } = channel;
    const built = model.build(side, 0, channel.balances);
    const { output: anchor } = model.holderAnchor;
    const vout = built.commitment.outputs.findIndex(({ script }) => toHex(script) === toHex(anchor.script));
    const utxo = walletUtxo(signer.keys, 3, 'p2wpkh', 100_000n);
    const inputs = [input(utxo.outpoint), input({ txid: txid(built.tx), vout })];
    const psbt = psbtOf({ version: 2, inputs, outputs, locktime: 0 }, [spentBy(utxo), anchor]);
    return anchorspend(model.ref, [utxo], addPsbtBip32Derivation(psbt, 1, named(model.holderFundingKey)));
  }

  it('policy-onchain-no-unknown-outputs: passes change to our wallet, for a commitment of either side', () => {
    for (const side of ['holder', 'counterparty'] as const) {
      const channel = hubChannel();
      channel.ask(bump(channel, [own(channel.signer, 4, 99_000n)], side));
    }
  });

  it('policy-onchain-no-unknown-outputs: trips on any other output, allowlisted or not (A61)', () => {
    const channel = hubChannel();
    allow(channel.signer, 'script', toHex(STRANGER));
    for (const outputs of [
      [output(STRANGER, 99_000n)],
      [own(channel.signer, 4, 98_000n), output(STRANGER, 1000n)],
    ])
      expect(channel.tagOf(bump(channel, outputs))).toBe(unknown);
  });

  it('policy-onchain-fee-range: trips on a fee that not even the commitment with it is worth', () => {
    const channel = hubChannel({}, { limits: { onchainFeerateMaxPerKw: 10_000 } });
    // 2 inputs and an output weigh 968 with their witnesses, the commitment 1,124.
    expect(channel.refused(bump(channel, [own(channel.signer, 4, 79_000n)]))).toMatchObject({
      tag: 'policy-onchain-fee-range',
    });
    channel.ask(bump(channel, [own(channel.signer, 4, 84_000n)]));
  });

  it('policy-onchain-fee-velocity: trips without HTLCs, passes where a deadline may be near', () => {
    const set = { limits: { feeVelocity: { amountSat: 1000n, per: 'day' } as const } };
    const calm = hubChannel({}, set);
    expect(calm.tagOf(bump(calm, [own(calm.signer, 4, 99_000n)]))).toBe('policy-onchain-fee-velocity');
    // An anchor of a commitment that the signer does not know: anybody can make such outputs.
    const record = calm.signer.state.read(channelRecords, `${toHex(calm.model.ref.peerId)}/1`)!.value!;
    put(calm.signer, channelRecords, `${toHex(calm.model.ref.peerId)}/1`, {
      ...record,
      candidates: record.candidates.map((one) => ({ ...one, validated: [], issued: [] })),
    });
    expect(calm.tagOf(bump(calm, [own(calm.signer, 4, 99_000n)]))).toBe('policy-onchain-fee-velocity');
    // No more than the HTLCs of the commitment are worth.
    const urgent = hubChannel({}, set);
    const id = `${toHex(urgent.model.ref.peerId)}/1`;
    const known = urgent.signer.state.read(channelRecords, id)!.value!;
    const { offeredBy, amountMsat, cltvExpiry, preimage } = htlc('counterparty', 2000, 'at stake');
    const pending = { offeredBy, amountMsat: msat(amountMsat), cltvExpiry, paymentHash: preimage };
    put(urgent.signer, channelRecords, id, {
      ...known,
      candidates: known.candidates.map((one) => ({
        ...one,
        validated: one.validated.map((content) => ({ ...content, htlcs: [pending] })),
      })),
    });
    expect(urgent.tagOf(bump(urgent, [own(urgent.signer, 4, 97_999n + 330n)]))).toBe(
      'policy-onchain-fee-velocity',
    );
    urgent.ask(bump(urgent, [own(urgent.signer, 4, 98_000n + 330n)]));
  });

  it('policy-key-use: trips on an anchor of another amount', () => {
    const channel = hubChannel();
    const request = bump(channel, [own(channel.signer, 4, 99_000n)]);
    const { unsignedTx } = request.psbt;
    const anchor = { ...channel.model.holderAnchor.output, value: msat(331n) as never };
    const utxo = walletUtxo(channel.signer.keys, 3, 'p2wpkh', 100_000n);
    const psbt = addPsbtBip32Derivation(
      psbtOf(unsignedTx, [spentBy(utxo), anchor]),
      1,
      named(channel.model.holderFundingKey),
    );
    expect(channel.tagOf({ ...request, psbt })).toBe('policy-key-use');
  });
});

it('an output of ours in the peer’s commitment has its amount on record', () => {
  const channel = hubChannel();
  const { model, signer } = channel;
  const built = model.build('counterparty', 0, channel.balances);
  const vout = built.commitment.outputs.findIndex(({ kind }) => kind === 'to_remote');
  const spent = built.commitment.outputs[vout]!;
  const close = {
    channelId: 1n,
    peerId: model.ref.peerId,
    commitmentPoint: undefined,
    optionAnchors: true,
    csv: 1,
  };
  const utxo = {
    ...walletUtxo(signer.keys, 0),
    outpoint: { txid: txid(built.tx), vout },
    amount: spent.value,
    scriptPubkey: spent.script,
    closeInfo: close,
  };
  const other = walletUtxo(signer.keys, 3, 'p2wpkh', 100_000n);
  const tx: Transaction = {
    version: 2,
    inputs: [input(utxo.outpoint, 1), input(other.outpoint)],
    outputs: [output(OWN, spent.value + 99_000n)],
    locktime: 0,
  };
  const request = (amount: bigint) =>
    withdrawal([{ ...utxo, amount: sat(amount) }, other], psbtOf(tx, [undefined, spentBy(other)]));
  expect(channel.tagOf(request(spent.value - 1n))).toBe('policy-onchain-input-amounts-proven');
  channel.ask(request(spent.value));
});
