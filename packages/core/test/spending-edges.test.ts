/**
 * Law 5 at its edges: what raises a fee leaves the same traces as any spend, a splice of one channel is none of another,
 * and whose output it is that leaves a splice.
 */
import {
  addPsbtBip32Derivation,
  p2wpkhOfKey,
  sat,
  type Transaction,
  toHex,
  toLocalScript,
  txid,
  txidToHex,
} from '@countersign/bitcoin';
import { velocityRecords } from '@countersign/core';
import type { HsmUtxo } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { nodeRecords } from '../src/records/approval.ts';
import { signedTransactionRecords, walletRecords } from '../src/records/spending.ts';
import { type Funding, htlc, input, psbtOf, wireTx } from './channel-model.ts';
import { adding, OpenChannel } from './open-channel.ts';
import { allow, hub, hubChannel, output, own, pendingOf } from './spending-model.ts';
import { bytesOf, secp, type TestSigner } from './test-signer.ts';
import {
  anchorspend,
  fundingInput,
  htlcTxMingle,
  STRANGER,
  spentBy,
  walletUtxo,
  withdrawal,
} from './wallet-model.ts';

const AMOUNTS = 'policy-onchain-input-amounts-proven';
const FAR_INDEX = 500;

/** Our anchor of our commitment 0 beside these outputs of our wallet; 1,000 sat and the anchor are the fee. */
function bump(channel: OpenChannel, utxos: readonly HsmUtxo[]) {
  const { model, signer } = channel;
  const { commitment, tx: parent } = model.build('holder', 0, channel.balances);
  const { output: anchor } = model.holderAnchor;
  const vout = commitment.outputs.findIndex(({ script }) => toHex(script) === toHex(anchor.script));
  const total = utxos.reduce((sum, { amount }) => sum + amount, 0n);
  const tx: Transaction = {
    version: 2,
    inputs: [...utxos.map(({ outpoint }) => input(outpoint)), input({ txid: txid(parent), vout })],
    outputs: [own(signer, 4, total - 1000n)],
    locktime: 0,
  };
  const publicKey = model.holderFundingKey;
  const origin = { publicKey, fingerprint: new Uint8Array(4), path: [0] };
  const psbt = addPsbtBip32Derivation(psbtOf(tx, [...utxos.map(spentBy), anchor]), utxos.length, origin);
  return { tx, request: anchorspend(model.ref, utxos, psbt) };
}

const walletOf = (signer: TestSigner) => signer.state.read(walletRecords, 'wallet')?.value?.outputs ?? [];

describe('a fee that is raised', () => {
  it('policy-onchain-input-amounts-proven: trips where nothing proves what the wallet puts in', () => {
    const channel = hubChannel();
    const { signer, model } = channel;
    const claimed = { ...walletUtxo(signer.keys, 3), amount: sat(150_000n) };
    expect(channel.refused(bump(channel, [claimed]).request)).toMatchObject({
      tag: AMOUNTS,
      facts: { input: 0, value_named_sat: 150_000n, value_proven_sat: 'none' },
    });
    const pair = [walletUtxo(signer.keys, 4), claimed];
    expect(channel.refused(htlcTxMingle(model.ref, pair))).toMatchObject({
      tag: AMOUNTS,
      facts: { input: 1 },
    });
    expect(channel.refused(withdrawal(pair))).toMatchObject({ tag: AMOUNTS, facts: { input: 1 } });
  });

  it('policy-onchain-input-amounts-proven: passes with the previous transactions', () => {
    const channel = hubChannel();
    channel.ask(
      bump(channel, [walletUtxo(channel.signer.keys, 3), walletUtxo(channel.signer.keys, 4)]).request,
    );
  });

  it('is remembered: the transaction, its change, and the index it spends', () => {
    const channel = hubChannel();
    const { signer } = channel;
    const utxo = walletUtxo(signer.keys, FAR_INDEX);
    const { tx, request } = bump(channel, [utxo]);
    channel.ask(request);
    expect(signer.state.read(signedTransactionRecords, txidToHex(txid(tx)))?.value).toMatchObject({
      inputs: [
        { index: 0, valueSat: utxo.amount },
        { index: 1, valueSat: 330n },
      ],
    });
    expect(walletOf(signer)).toEqual([
      { outpoint: { txid: txid(tx), vout: 0 }, valueSat: utxo.amount - 1000n },
    ]);
    expect(signer.state.read(nodeRecords, 'node')?.value?.walletIndexMax).toBe(FAR_INDEX);
    // What it spends of the wallet is gone from it.
    const [change] = walletOf(signer);
    const again = { ...walletUtxo(signer.keys, 4, 'p2tr', change!.valueSat), outpoint: change!.outpoint };
    const onTop = bump(channel, [again]);
    channel.ask(onTop.request);
    expect(walletOf(signer)).toEqual([
      { outpoint: { txid: txid(onTop.tx), vout: 0 }, valueSat: change!.valueSat - 1000n },
    ]);
  });

  it('says where an output goes that is not ours', () => {
    const channel = hubChannel();
    const utxos = [walletUtxo(channel.signer.keys, 3)];
    const tx = {
      version: 2,
      inputs: utxos.map(({ outpoint }) => input(outpoint)),
      outputs: [output(STRANGER, 199_000n)],
      locktime: 0,
    };
    expect(
      channel.refused(htlcTxMingle(channel.model.ref, utxos, psbtOf(tx, utxos.map(spentBy)))),
    ).toMatchObject({
      tag: 'policy-onchain-no-unknown-outputs',
      facts: { output: 0, value_sat: 199_000n, script: toHex(STRANGER) },
    });
  });
});

describe('the window of the wallet', () => {
  const highest = (signer: TestSigner) => signer.state.read(nodeRecords, 'node')?.value?.walletIndexMax ?? 0;
  const spends = (signer: TestSigner, index: number) => {
    const utxo = walletUtxo(signer.keys, index);
    const tx = {
      version: 2,
      inputs: [input(utxo.outpoint)],
      outputs: [own(signer, 1, 199_000n)],
      locktime: 0,
    };
    signer.ask(withdrawal([utxo], psbtOf(tx, [spentBy(utxo)])));
    return highest(signer);
  };

  it('moves in steps of an eighth of its length', () => {
    const signer = hub({ limits: { walletIndexWindow: 800 } });
    expect(spends(signer, 99)).toBe(0);
    expect(spends(signer, 100)).toBe(100);
    expect(spends(signer, 199)).toBe(100);
    expect(spends(signer, 900)).toBe(900);
    expect(spends(signer, 300)).toBe(900);
  });

  it('moves by one where it is shorter than eight', () => {
    const signer = hub({ limits: { walletIndexWindow: 7 } });
    expect(spends(signer, 1)).toBe(1);
    expect(spends(signer, 9)).toBe(1);
    expect(spends(signer, 8)).toBe(8);
  });
});

/** Both channels past their openings, with one signer. */
function pair(): readonly [OpenChannel, OpenChannel] {
  const signer = hub();
  const [one, other] = ['one', 'other'].map((peer) =>
    new OpenChannel({ peer, isOutbound: true, pushMsat: 0n }, signer).open(),
  ) as [OpenChannel, OpenChannel];
  for (const channel of [one, other]) channel.update(channel.balances);
  return [one, other];
}

function fund(channel: OpenChannel, funding: Funding) {
  const { inputs, psbt } = fundingInput(channel.signer.keys, funding);
  return withdrawal(inputs, psbt);
}

describe('a splice', () => {
  it('policy-candidate-exclusive: trips on one that spends the funding of another channel', () => {
    const [one, other] = pair();
    const stray = one.candidate(one.model.spliceOf('stray', 100_000n, other.model.funding));
    expect(one.refused(fund(one, stray))).toMatchObject({
      tag: 'policy-candidate-exclusive',
      facts: { funding: `${txidToHex(stray.outpoint.txid)}:1` },
    });
    const own = one.candidate(one.model.spliceOf('own', 100_000n));
    one.ask(fund(one, own));
  });

  it('waits for the new funding of its own channel, not of another', () => {
    const [one, other] = pair();
    // Its transaction creates a funding of the other channel, and its wallet input is not proven.
    const splice = other.candidate(other.model.spliceOf('splice', 100_000n, one.model.funding));
    expect(one.refused(one.model.signSpliceAlone(splice, one.model.funding))).toMatchObject({
      tag: 'policy-onchain-initial-commitment-countersigned',
      temporary: true,
      facts: { splice: txidToHex(txid(splice.tx)) },
    });
  });

  it('asks for the smallest output that holds what leaves us, in whatever order they stand', () => {
    const stranger = (label: string) => p2wpkhOfKey(secp.publicKey(bytesOf(label)));
    const asked = (...values: readonly bigint[]) => {
      const channel = hubChannel({ isOutbound: true, pushMsat: 0n });
      channel.update(channel.balances);
      const base = channel.model.spliceOf('splice', -40_000n);
      const outputs = values.map((value) => output(stranger(`stranger ${value}`), value));
      const tx = { ...base.tx, outputs: [...outputs, base.tx.outputs[1]!] };
      const splice = channel.candidate({ ...base, tx, outpoint: { txid: txid(tx), vout: values.length } });
      const request = channel.model.signSplice(splice);
      return pendingOf(channel.signer, request, channel).outputs.map(({ valueSat }) => valueSat);
    };
    expect(asked(90_000n, 60_000n, 10_000n)).toEqual([60_000n]);
    expect(asked(10_000n, 60_000n, 90_000n)).toEqual([60_000n]);
    // None holds it: the largest.
    expect(asked(20_000n, 30_000n, 10_000n)).toEqual([30_000n]);
  });
});

describe('policy-velocity-funding, what is counted', () => {
  const set = { limits: { fundingVelocity: { amountSat: 1_050_000n, per: 'week' } as const } };
  const flow = (signer: TestSigner) =>
    (signer.state.read(velocityRecords, 'funding')?.value?.amountsMsat ?? []).reduce(
      (sum, one) => sum + one,
      0n,
    );

  it('policy-velocity-funding: trips on what a splice adds, not on what the channel was worth before', () => {
    const signer = hub(set);
    const channel = new OpenChannel({ isOutbound: true, pushMsat: 0n }, signer).open();
    channel.ask(fund(channel, channel.model.funding));
    expect(flow(signer)).toBe(1_000_000_000n);
    channel.update(channel.balances);
    const more = channel.candidate(channel.model.spliceOf('more', 50_001n));
    expect(channel.refused(fund(channel, more))).toMatchObject({
      tag: 'policy-velocity-funding',
      temporary: true,
      facts: { funded_sat: 50_001n, funded_max_sat: 1_050_000n, per: 'week' },
    });
    const just = channel.candidate(channel.model.spliceOf('just', 50_000n));
    channel.ask(fund(channel, just));
    expect(flow(signer)).toBe(1_050_000_000n);
  });

  it('counts what it only warns of', () => {
    const signer = hub({ ...set, severities: new Map([['policy-velocity-funding', 'warn']]) });
    const channel = new OpenChannel({ isOutbound: true, pushMsat: 0n, valueSat: 2_000_000n }, signer).open();
    channel.ask(fund(channel, channel.model.funding));
    expect(flow(signer)).toBe(2_000_000_000n);
  });
});

describe('a penalty to the allowlist', () => {
  const prepared = () => {
    const channel = hubChannel(
      {},
      { approvals: { auto: 'all', autoPaymentVelocity: null, expirySeconds: 60 } },
    );
    const balances = adding(channel.balances, htlc('counterparty', 30_000, 'b'), htlc('holder', 50_000, 'a'));
    channel.update(balances);
    channel.update({ ...balances, feeratePerKw: 1100 });
    allow(channel.signer, 'script', toHex(STRANGER));
    const { model } = channel;
    const built = model.build('counterparty', 1, balances);
    /** Takes one output of the revoked commitment 1, by this script. */
    const taking = (wscript: Uint8Array, vout: number) => {
      const spent = built.commitment.outputs[vout]!;
      const inputs = [input({ txid: txid(built.tx), vout })];
      const tx = { version: 2, inputs, outputs: [output(STRANGER, spent.value - 300n)], locktime: 0 };
      const revocationSecret = model.peerPerCommitmentSecret(1);
      return { name: 'hsmd_sign_penalty_to_us', revocationSecret, tx: wireTx(tx, [spent]), wscript } as const;
    };
    return { channel, model, built, taking };
  };

  it('policy-htlc-belongs: passes every script of the revoked commitment', () => {
    const { channel, model, built, taking } = prepared();
    const main = built.commitment.outputs.findIndex(({ kind }) => kind === 'to_local');
    channel.ask(taking(toLocalScript(built.keys, model.delayBlocks.counterparty), main));
    expect(built.commitment.htlcs).toHaveLength(2);
    for (const { witnessScript, outputIndex } of built.commitment.htlcs)
      channel.ask(taking(witnessScript, outputIndex));
  });

  it('policy-htlc-belongs: trips on a script with another revocation key or another key of the peer', () => {
    const { channel, model, built, taking } = prepared();
    const stranger = secp.publicKey(bytesOf('stranger'));
    const main = built.commitment.outputs.findIndex(({ kind }) => kind === 'to_local');
    for (const change of [{ revocation: stranger }, { broadcasterDelayed: stranger }]) {
      const script = toLocalScript({ ...built.keys, ...change }, model.delayBlocks.counterparty);
      expect(channel.refused(taking(script, main))).toMatchObject({
        tag: 'policy-htlc-belongs',
        facts: { output: 0, script: toHex(STRANGER) },
      });
    }
    const [{ witnessScript, outputIndex }] = built.commitment.htlcs as [
      (typeof built.commitment.htlcs)[number],
    ];
    const other = (needle: Uint8Array) => {
      const hex = toHex(witnessScript);
      expect(hex).toContain(toHex(needle));
      return Buffer.from(hex.replace(toHex(needle), toHex(stranger.subarray(0, needle.length))), 'hex');
    };
    const script = new Uint8Array(other(built.keys.broadcasterHtlc));
    expect(channel.tagOf(taking(script, outputIndex))).toBe('policy-htlc-belongs');
  });
});
