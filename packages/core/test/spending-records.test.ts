/** What law 5 remembers stays bounded, is read back from its earlier forms, and forgets with the window. */
import { fromHex, sat } from '@countersign/bitcoin';
import { channelRecords, decodeRecord, encodeRecord } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import {
  COUNTED_FEES_MAX,
  type CountedFee,
  countedFeeRecords,
  SIGNED_INPUTS_MAX,
  signedTransactionRecords,
  WALLET_OUTPUTS_MAX,
  walletRecords,
} from '../src/records/spending.ts';
import { psbtOf } from './channel-model.ts';
import { coin, hub, hubChannel, own, put, spend } from './spending-model.ts';
import { bytesOf } from './test-signer.ts';
import { spentBy, walletUtxo, withdrawal } from './wallet-model.ts';

const day = { amountSat: 1_000_000n, per: 'day' } as const;

describe('signed transactions', () => {
  it('of schema version 1 said all by being there', () => {
    expect(decodeRecord(signedTransactionRecords, fromHex('01'))).toEqual({ inputs: [], spends: [] });
    const record = { inputs: [{ index: 3, valueSat: sat(5n) }], spends: [] };
    const bytes = encodeRecord(signedTransactionRecords, record);
    expect(bytes[0]).toBe(3);
    expect(decodeRecord(signedTransactionRecords, bytes)).toEqual(record);
  });

  it('keep the inputs of a transaction, however many amounts are claimed for them', () => {
    const signer = hub();
    const [a, b] = [3, 4].map((index) => walletUtxo(signer.keys, index, 'p2tr', 100_000n)) as [
      ReturnType<typeof walletUtxo>,
      ReturnType<typeof walletUtxo>,
    ];
    const { tx, txid } = spend([a, b], [own(signer, 8, 199_000n)]);
    // A lie makes the taproot signature worthless, and the largest claim counts from then on.
    const claiming = (valueSat: bigint) =>
      withdrawal(
        [{ ...a, amount: sat(valueSat) }],
        psbtOf(tx, [{ ...spentBy(a), value: sat(valueSat) }, spentBy(b)]),
      );
    signer.ask(claiming(99_500n));
    signer.ask(claiming(100_000n));
    signer.ask(claiming(99_500n));
    const record = signer.state.read(signedTransactionRecords, txid)!.value!;
    expect(record.inputs.map(({ index, valueSat }) => [index, valueSat])).toEqual([
      [0, 100_000n],
      [1, 100_000n],
    ]);
    expect(signer.refused(claiming(9_000_000n)).tag).toBe('policy-onchain-fee-range');
    const full = Array.from({ length: SIGNED_INPUTS_MAX }, (_, i) => ({ index: i + 2, valueSat: sat(1n) }));
    put(signer, signedTransactionRecords, txid, { inputs: full, spends: [] });
    expect(signer.refused(claiming(99_400n)).tag).toBe('policy-generic-error');
    expect(signer.state.read(signedTransactionRecords, txid)!.value!.inputs).toHaveLength(SIGNED_INPUTS_MAX);
  });
});

describe('counted fees', () => {
  it('are dropped with the window when their bucket is touched, and bounded within it', () => {
    const signer = hub({ limits: { feeVelocity: day } });
    const request = spend([coin(signer)], [own(signer, 8, 999_000n)]).request;
    const bucketsOf = () => [...signer.state.keys].filter((key) => key.startsWith('counted-fee/'));
    signer.ask(request);
    const [bucket] = bucketsOf().map((key) => key.slice('counted-fee/'.length)) as [string];
    expect(bucket).toMatch(/^fee\/[0-9a-f]{2}$/);
    const counted = () => signer.state.read(countedFeeRecords, bucket)!.value!;
    const others = (countedAtSeconds: number): CountedFee[] =>
      Array.from({ length: COUNTED_FEES_MAX }, (_, vout) => ({
        outpoint: { txid: bytesOf('other'), vout },
        amountSat: sat(1n),
        countedAtSeconds,
      }));
    put(
      signer,
      countedFeeRecords,
      bucket,
      [...counted(), ...others(signer.nowSeconds)].slice(0, COUNTED_FEES_MAX),
    );
    signer.ask(spend([coin(signer)], [own(signer, 8, 998_000n)]).request);
    expect(counted()).toHaveLength(COUNTED_FEES_MAX);
    expect(counted().at(-1)).toMatchObject({ amountSat: 2000n });
    put(signer, countedFeeRecords, bucket, others(signer.nowSeconds - 86_400));
    signer.ask(spend([coin(signer)], [own(signer, 8, 997_000n)]).request);
    expect(counted()).toMatchObject([{ amountSat: 3000n }]);
    signer.nowSeconds += 86_399;
    signer.ask(spend([coin(signer)], [own(signer, 8, 996_000n)]).request);
    expect(counted()).toMatchObject([{ amountSat: 4000n }]);
    signer.nowSeconds += 86_400;
    signer.ask(spend([coin(signer)], [own(signer, 8, 995_000n)]).request);
    expect(counted()).toMatchObject([{ amountSat: 5000n }]);
  });
});

describe('the wallet record', () => {
  const wallet = (signer: ReturnType<typeof hub>) => signer.state.read(walletRecords, 'wallet')?.value;

  it('counts channels with anchors while they may need a fee', () => {
    const channel = hubChannel({ format: 'anchors_zero_fee_htlc' });
    const count = () => wallet(channel.signer)?.anchorChannels;
    expect(count()).toBe(1);
    const { peerId: id, dbid } = channel.model.ref;
    channel.ask({ name: 'hsmd_forget_channel', id, dbid });
    expect(count()).toBe(0);
    channel.ask({ name: 'hsmd_forget_channel', id, dbid });
    expect(count()).toBe(0);
    const closed = hubChannel({ format: 'anchors_zero_fee_htlc' });
    closed.ask(closed.model.mutualClose(closed.model.closeTx(closed.balances)));
    expect(wallet(closed.signer)?.anchorChannels).toBe(0);
    const forced = hubChannel({ format: 'anchors_zero_fee_htlc' });
    forced.ask(forced.model.signCommitment(0));
    expect(wallet(forced.signer)?.anchorChannels).toBe(0);
    const plain = hubChannel({ format: 'static_remotekey' });
    expect(wallet(plain.signer)).toBeUndefined();
    expect(plain.signer.state.read(channelRecords, `${'0'.repeat(66)}/1`)).toBeUndefined();
  });

  it('keeps the largest outputs of ours that transactions of ours created and none has spent', () => {
    const signer = hub({ limits: { onchainFeerateMaxPerKw: 1_000_000, onchainFeeMaxSat: 10_000_000n } });
    const many = Array.from({ length: WALLET_OUTPUTS_MAX + 10 }, (_, i) => own(signer, i, 1000n + BigInt(i)));
    signer.ask(spend([coin(signer)], many).request);
    const values = wallet(signer)!.outputs.map(({ valueSat }) => valueSat);
    expect(values).toHaveLength(WALLET_OUTPUTS_MAX);
    expect(values[0]).toBe(1000n + BigInt(many.length - 1));
    expect(values.at(-1)).toBe(1010n);
    const [largest] = wallet(signer)!.outputs;
    const spent = {
      ...walletUtxo(signer.keys, many.length - 1, 'p2tr'),
      outpoint: largest!.outpoint,
      amount: largest!.valueSat,
    };
    signer.ask(spend([spent], [own(signer, 8, 1000n)]).request);
    expect(wallet(signer)!.outputs.map(({ valueSat }) => valueSat)).toEqual([...values.slice(1), 1000n]);
    // Asked again, it is not created twice.
    const before = signer.state.snapshot();
    signer.ask(spend([spent], [own(signer, 8, 1000n)]).request);
    expect(signer.state.snapshot()).toBe(before);
  });
});
