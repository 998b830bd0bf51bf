/**
 * Law 5 on what a closed channel leaves: second-level transactions field by field, sweeps, and wallet money that raises
 * fees (attacks A15, A59, A60, A61, A69).
 */
import {
  addPsbtBip32Derivation,
  buildScript,
  htlcTransactionOutputScript,
  msat,
  OP,
  PSBT_OUT,
  p2wshOfScript,
  parseScript,
  psbtSpentOutput,
  sat,
  type Transaction,
  toHex,
  txid,
} from '@countersign/bitcoin';
import type { MessageOf, Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { channelRecords } from '../src/records/channel.ts';
import { htlc, input, type ModelOptions, psbtOf, retx } from './channel-model.ts';
import { adding, FORMATS, type OpenChannel } from './open-channel.ts';
import { allow, coin, hubChannel, output, own, put } from './spending-model.ts';
import { bytesOf, secp } from './test-signer.ts';
import { anchorspend, htlcTxMingle, OWN, STRANGER, spentBy, walletUtxo, withdrawal } from './wallet-model.ts';

type HtlcRequest = MessageOf<'hsmd_sign_any_local_htlc_tx'> | MessageOf<'hsmd_sign_remote_htlc_tx'>;
type Set = NonNullable<Parameters<typeof hubChannel>[1]>;
const unknown = 'policy-onchain-no-unknown-outputs';

/** Both sides at commitment 1 with HTLCs both ways; everything of laws 3 and 4 is approved. */
function running(options: ModelOptions = {}, set: Set = {}) {
  const channel = hubChannel(options, {
    ...set,
    approvals: { auto: 'all', autoPaymentVelocity: null, expirySeconds: 3600 },
  });
  const balances = adding(
    channel.balances,
    htlc('counterparty', 30_000, 'b'),
    htlc('counterparty', 40_000, 'c'),
    htlc('holder', 50_000, 'a'),
  );
  channel.update(balances);
  return { channel, model: channel.model, signer: channel.signer, balances };
}

describe.each(FORMATS)('second-level transactions, %s', (format) => {
  const { channel, model, balances } = running({ format });
  const requests: readonly (HtlcRequest & { side: 'holder' | 'counterparty' })[] = [
    ...model.signLocalHtlcs(1, balances).map((one) => ({ ...one, side: 'holder' as const })),
    ...model.signRemoteHtlcs(1, balances).map((one) => ({ ...one, side: 'counterparty' as const })),
  ];

  function expectTag(tag: string, change: (tx: Transaction) => Partial<Transaction>): void {
    for (const request of requests)
      expect(channel.tagOf(retx<HtlcRequest>(request, change)), request.side).toBe(tag);
  }
  const withOutput = (script: Uint8Array) => (tx: Transaction) => ({
    outputs: tx.outputs.map((one) => ({ ...one, script })),
  });

  it('policy-htlc-version: trips on another version', () => {
    for (const version of [1, 3]) expectTag('policy-htlc-version', () => ({ version }));
  });
  it('policy-htlc-locktime: trips on another locktime', () => {
    for (const by of [1, 100]) expectTag('policy-htlc-locktime', (tx) => ({ locktime: tx.locktime + by }));
  });
  it('policy-htlc-cltv-range: trips on a locktime that is a time', () => {
    expectTag('policy-htlc-cltv-range', () => ({ locktime: 500_000_000 }));
  });
  it('policy-htlc-sequence: trips on the other channel type’s sequence', () => {
    const sequence = format === 'static_remotekey' ? 1 : 0;
    expectTag('policy-htlc-sequence', (tx) => ({ inputs: tx.inputs.map((one) => ({ ...one, sequence })) }));
  });
  it('policy-htlc-fee-range: trips on any other fee', () => {
    for (const by of [1n, -1n, -500n])
      expectTag('policy-htlc-fee-range', (tx) => ({
        outputs: tx.outputs.map((one) => ({ ...one, value: sat(one.value + by) })),
      }));
  });

  it('policy-htlc-to-self-delay: trips on any other delay', () => {
    for (const request of requests) {
      const keys = model.build(request.side, 1, balances).keys;
      for (const delay of [0, 1, 2016]) {
        const script = p2wshOfScript(htlcTransactionOutputScript(keys, delay));
        const changed = retx<HtlcRequest>(request, withOutput(script));
        expect(channel.tagOf(changed)).toBe('policy-htlc-to-self-delay');
      }
    }
  });

  /** The output with other keys, its witness script in the PSBT as CLN has it. */
  function rekeyed(
    request: HtlcRequest & { side: 'holder' | 'counterparty' },
    changed: 'revocation' | 'broadcasterDelayed',
  ) {
    const keys = model.build(request.side, 1, balances).keys;
    const stranger = secp.publicKey(bytesOf('stranger'));
    const witnessScript = htlcTransactionOutputScript(
      { ...keys, [changed]: stranger },
      model.delayBlocks[request.side],
    );
    const moved = retx<HtlcRequest>(request, withOutput(p2wshOfScript(witnessScript)));
    const entry = { type: PSBT_OUT.WITNESS_SCRIPT, keyData: new Uint8Array(0), value: witnessScript };
    const psbt = { ...moved.tx.psbt, outputs: [[entry]] };
    return { bare: moved, told: { ...moved, tx: { ...moved.tx, psbt } } };
  }

  it('policy-htlc-revocation-pubkey: trips on another revocation key, or on a script that nobody explains', () => {
    for (const request of requests) {
      const { bare, told } = rekeyed(request, 'revocation');
      for (const one of [bare, told]) expect(channel.tagOf(one)).toBe('policy-htlc-revocation-pubkey');
      expect(channel.tagOf(retx<HtlcRequest>(request, withOutput(STRANGER)))).toBe(
        'policy-htlc-revocation-pubkey',
      );
    }
  });
  it('policy-htlc-delayed-pubkey: trips on another delayed key', () => {
    for (const request of requests)
      expect(channel.tagOf(rekeyed(request, 'broadcasterDelayed').told)).toBe('policy-htlc-delayed-pubkey');
  });

  const passing = [
    'policy-htlc-version: passes version 2',
    "policy-htlc-locktime: passes the HTLC's own",
    'policy-htlc-cltv-range: passes a height',
    "policy-htlc-sequence: passes the channel type's",
    'policy-htlc-fee-range: passes what BOLT 3 computes',
    'policy-htlc-to-self-delay: passes the delay of its side',
    'policy-htlc-revocation-pubkey: passes the key of the commitment',
    'policy-htlc-delayed-pubkey: passes the key of the commitment',
  ];
  it.each(passing)('%s', () => {
    expect(requests).toHaveLength(6);
    for (const { side: _, ...request } of requests) channel.ask(request as Request);
  });
});

describe('policy-htlc-fee-range, without anchors', () => {
  it('policy-htlc-fee-range: trips above the usual rate, whoever set it', () => {
    const { channel, model, balances } = running({ format: 'static_remotekey', isOutbound: false });
    channel.signer.set = { limits: { feerateMaxPerKw: 999 } };
    for (const request of model.signLocalHtlcs(1, balances))
      expect(channel.refused(request)).toMatchObject({
        tag: 'policy-htlc-fee-range',
        facts: { feerate_per_kw: 1000, feerate_max_per_kw: 999 },
      });
    channel.signer.set = { limits: { feerateMaxPerKw: 1000 } };
    for (const request of model.signLocalHtlcs(1, balances)) channel.ask(request);
  });
});

it('policy-commitment-holder-not-revoked: trips on the second level of a revoked commitment of ours (A15)', () => {
  const { channel, model, balances } = running();
  channel.update({ ...balances, feeratePerKw: 1100 });
  for (const request of model.signLocalHtlcs(1, balances))
    expect(channel.tagOf(request)).toBe('policy-commitment-holder-not-revoked');
});

/** The three kinds of sweeps, on one running channel. */
const SWEEPS = ['penalty', 'delayed', 'claim'] as const;
function sweepOf({ model, balances }: ReturnType<typeof running>, kind: (typeof SWEEPS)[number]) {
  if (kind === 'penalty') return model.penalty(0, model.initial);
  return kind === 'delayed' ? model.sweepDelayed(1, balances) : model.claimRemoteHtlc(1, balances);
}
const onBehalf = ({ model }: OpenChannel, at = 0) => ({
  input: at,
  peerid: model.ref.peerId,
  channelDbid: model.ref.dbid,
});
const paying = (outputs: Transaction['outputs']) => () => ({ outputs });

describe.each(SWEEPS)('sweeps: %s', (kind) => {
  const all = running();
  const { channel, signer } = all;
  const request = sweepOf(all, kind);
  const { value } = psbtSpent(request);
  type Sweep = typeof request;
  const tagOf = (change: (tx: Transaction) => Partial<Transaction>) =>
    channel.tagOf(retx<Sweep>(request, change));

  it('policy-sweep-version: trips on another version', () => {
    for (const version of [1, 3]) expect(tagOf(() => ({ version }))).toBe('policy-sweep-version');
  });
  it('policy-sweep-version: passes version 2', () => {
    channel.ask(request);
  });

  it('policy-sweep-sequence: trips on the lock of another output', () => {
    for (const sequence of [2, 143, 145, 0x8000_0001])
      expect(tagOf((tx) => ({ inputs: tx.inputs.map((one) => ({ ...one, sequence })) }))).toBe(
        'policy-sweep-sequence',
      );
  });
  it('policy-sweep-sequence: passes what the output needs', () => {
    const sequences = { penalty: [0, 0xffff_fffd, 0xffff_ffff], delayed: [144], claim: [1] }[kind];
    for (const sequence of sequences)
      channel.ask(retx<Sweep>(request, (tx) => ({ inputs: tx.inputs.map((one) => ({ ...one, sequence })) })));
  });

  it('policy-sweep-locktime: trips on a locktime of no use', () => {
    for (const locktime of [500_000_000, 0xffff_ffff])
      expect(tagOf(() => ({ locktime }))).toBe('policy-sweep-locktime');
  });
  it('policy-sweep-locktime: passes any height where the signer follows no chain', () => {
    for (const locktime of [1, 110, 499_999_999]) channel.ask(retx<Sweep>(request, () => ({ locktime })));
  });
  it('policy-sweep-locktime: passes none, and one of the present by our own chain', () => {
    const other = running();
    other.signer.chain = {
      heightBlocks: 1000,
      medianTimeSeconds: 0,
      isFresh: true,
      outpoint: () => ({ kind: 'unknown' }),
    };
    const again = sweepOf(other, kind);
    other.channel.ask(again);
    other.channel.ask(retx<Sweep>(again, () => ({ locktime: 1002 })));
    const early = retx<Sweep>(again, () => ({ locktime: 1003 }));
    const time = retx<Sweep>(again, () => ({ locktime: 500_000_000 }));
    const refusal = { tag: 'policy-sweep-locktime', temporary: true };
    expect(other.channel.refused(early)).toMatchObject(refusal);
    expect(other.channel.refused(time)).toMatchObject({ ...refusal, temporary: false });
  });

  it('policy-sweep-destination-allowlisted: trips on any output to a stranger', () => {
    const destination = 'policy-sweep-destination-allowlisted';
    expect(tagOf(paying([output(STRANGER, value - 300n)]))).toBe(destination);
    if (kind !== 'claim') {
      const two = [own(signer, 2, value - 1300n), output(STRANGER, 1000n)];
      expect(channel.refused(retx<Sweep>(request, paying(two)))).toMatchObject({
        tag: destination,
        facts: { output: 1 },
      });
    }
  });
  it('policy-sweep-destination-allowlisted: passes our wallet, and the allowlist', () => {
    const other = running();
    allow(other.signer, 'script', toHex(STRANGER));
    other.channel.ask(retx<Sweep>(sweepOf(other, kind), paying([output(STRANGER, value - 300n)])));
    other.channel.ask(retx<Sweep>(sweepOf(other, kind), paying([own(other.signer, 1000, value - 300n)])));
  });

  it('policy-sweep-fee-range: trips on 99 % to fees (A59)', () => {
    expect(tagOf(paying([own(signer, 2, value / 100n)]))).toBe('policy-sweep-fee-range');
    expect(tagOf(paying([own(signer, 2, value)]))).toBe('policy-sweep-fee-range');
  });
  it('policy-sweep-fee-range: passes a fee at the usual rates', () => {
    for (const fee of [134n, 5000n, 10_000n])
      channel.ask(retx<Sweep>(request, paying([own(signer, 2, value - fee)])));
  });

  it('policy-htlc-belongs: trips when what nobody knows goes to the allowlist, passes to our wallet', () => {
    const other = running();
    allow(other.signer, 'script', toHex(STRANGER));
    const stray = retx<Sweep>(sweepOf(other, kind), (tx) => ({
      inputs: tx.inputs.map((one) => ({ ...one, txid: bytesOf('unknown commitment') })),
      outputs: [output(STRANGER, value - 300n)],
    }));
    // A revoked commitment is known by the secret that revokes it.
    if (kind === 'penalty') other.channel.ask(stray);
    else expect(other.channel.tagOf(stray)).toBe('policy-htlc-belongs');
    other.channel.ask(retx<Sweep>(stray, paying([own(other.signer, 2, value - 300n)])));
  });
});

function psbtSpent(request: { readonly tx: { readonly psbt: Parameters<typeof psbtSpentOutput>[0] } }) {
  return psbtSpentOutput(request.tx.psbt, 0)!;
}

describe('sweeps', () => {
  it('policy-sweep-sequence: trips by the rules of the input that is signed, not of the first (A60)', () => {
    const all = running();
    const delayed = sweepOf(all, 'delayed');
    const two = retx(delayed, (tx) => ({
      inputs: [...tx.inputs, input({ txid: bytesOf('x'), vout: 0 }, 5)],
    }));
    const request = {
      ...two,
      ...onBehalf(all.channel, 1),
      name: 'hsmd_sign_any_delayed_payment_to_us',
    } as Request;
    expect(all.channel.refused(request)).toMatchObject({
      tag: 'policy-sweep-sequence',
      facts: { input: 1, sequence: 5 },
    });
  });

  it('policy-sweep-locktime: passes the expiry of an HTLC that timed out and later, and trips before', () => {
    const all = running();
    const { model, balances, channel } = all;
    // The peer's commitment has our HTLC as a received one: BOLT 3 puts its expiry into the script.
    const onlyOurs = { ...balances, htlcs: balances.htlcs.filter(({ offeredBy }) => offeredBy === 'holder') };
    const claim = model.claimRemoteHtlc(1, onlyOurs);
    channel.ask(retx(claim, () => ({ locktime: 700_000 })));
    channel.ask(retx(claim, () => ({ locktime: 700_001 })));
    for (const locktime of [0, 699_999])
      expect(channel.tagOf(retx(claim, () => ({ locktime })))).toBe('policy-sweep-locktime');
  });

  it('policy-sweep-fee-range: passes a small output that goes to fees, trips on a large one at the same rate', () => {
    const all = running();
    const request = sweepOf(all, 'delayed');
    const of = (valueSat: bigint, feeSat: bigint) => {
      const spent = { ...psbtSpent(request), value: sat(valueSat) };
      const tx = { ...request.tx.tx, outputs: [own(all.signer, 2, valueSat - feeSat)] };
      return { ...request, tx: { tx, psbt: psbtOf(tx, [spent]) } };
    };
    all.channel.ask(of(10_000n, 9500n));
    all.channel.ask(of(100_000n, 50_000n));
    for (const [valueSat, feeSat] of [
      [100_000n, 50_001n],
      [30_001n, 17_000n],
      [30_000n, 20_000n],
    ] as const)
      expect(all.channel.tagOf(of(valueSat, feeSat))).toBe('policy-sweep-fee-range');
  });

  it('policy-key-use: trips on scripts that only resemble that of a delayed output', () => {
    const all = running();
    const request = all.model.sweepDelayed(1, all.balances);
    const [rev, delayed] = [1, 6].map((at) => parseScript(request.wscript)[at]!.data!) as [
      Uint8Array,
      Uint8Array,
    ];
    const like = (delay: number | Uint8Array, ...more: number[]) =>
      buildScript(
        OP.OP_IF,
        rev,
        OP.OP_ELSE,
        delay,
        OP.OP_CHECKSEQUENCEVERIFY,
        OP.OP_DROP,
        delayed,
        OP.OP_ENDIF,
        OP.OP_CHECKSIG,
        ...more,
      );
    for (const wscript of [
      like(Uint8Array.of(0x90, 0x80)),
      like(new Uint8Array(5).fill(1)),
      like(OP.OP_DROP),
      buildScript(OP.OP_CHECKSEQUENCEVERIFY, OP.OP_DROP, delayed),
      buildScript(Uint8Array.of(0x90, 0), OP.OP_CHECKSEQUENCEVERIFY, OP.OP_DROP, delayed),
      buildScript(
        OP.OP_IF,
        rev,
        OP.OP_ELSE,
        Uint8Array.of(0x90, 0),
        OP.OP_CHECKSEQUENCEVERIFY,
        OP.OP_DROP,
        rev,
      ),
    ])
      expect(all.channel.tagOf({ ...request, wscript })).toBe('policy-key-use');
    expect(toHex(like(Uint8Array.of(0x90, 0)))).toBe(toHex(request.wscript));
  });

  it('policy-key-use: trips on a delayed output that is not ours', () => {
    const all = running();
    const request = all.model.sweepDelayed(1, all.balances);
    const foreign = [
      all.model.penalty(0, all.model.initial).wscript,
      request.wscript.slice(1),
      new Uint8Array(0),
    ];
    for (const wscript of foreign)
      expect(all.channel.tagOf({ ...request, wscript })).toMatch(/key-use|generic/);
    expect(all.channel.tagOf({ ...request, commitNum: 0n })).toBe('policy-key-use');
  });

  it('policy-onchain-fee-velocity: passes sweeps whatever was spent, and counts them', () => {
    const all = running({}, { limits: { feeVelocity: { amountSat: 5000n, per: 'day' } } });
    const { channel, signer } = all;
    const fee = (kind: (typeof SWEEPS)[number], feeSat: bigint) => {
      const request = sweepOf(all, kind);
      return retx(request, paying([own(signer, 2, psbtSpent(request).value - feeSat)])) as Request;
    };
    // In advance, for a watchtower: not counted.
    channel.ask(fee('penalty', 9000n));
    channel.ask(fee('delayed', 4000n));
    channel.ask(fee('delayed', 4000n));
    const wallet = (feeSat: bigint) => spendOwn(channel, feeSat);
    expect(channel.tagOf(wallet(1001n))).toBe('policy-onchain-fee-velocity');
    channel.ask(wallet(1000n));
    channel.ask(fee('claim', 9000n));
    channel.ask({
      ...fee('penalty', 9000n),
      ...onBehalf(channel),
      name: 'hsmd_sign_any_penalty_to_us',
    } as Request);
  });
});

function spendOwn({ signer }: OpenChannel, feeSat: bigint): Request {
  const utxo = coin(signer, 100_000n, 11);
  const tx = {
    version: 2,
    inputs: [input(utxo.outpoint)],
    outputs: [own(signer, 2, 100_000n - feeSat)],
    locktime: 0,
  };
  return withdrawal([utxo], psbtOf(tx, [spentBy(utxo)]));
}

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

it('policy-htlc-revocation-pubkey: trips on an output script that is no script of an HTLC transaction at all', () => {
  const { channel, model, balances } = running();
  for (const request of model.signLocalHtlcs(1, balances)) {
    const { keys } = model.build('holder', 1, balances);
    const expected = htlcTransactionOutputScript(keys, model.delayBlocks.holder);
    for (const witnessScript of [
      // Longer, with another opcode in a place of its own, or only with another ending.
      buildScript(OP.OP_1, OP.OP_1, OP.OP_DROP, OP.OP_DROP, OP.OP_1),
      Uint8Array.from([...expected, OP.OP_1]),
      Uint8Array.from([...expected.subarray(0, -1), OP.OP_CHECKMULTISIG]),
    ]) {
      const script = p2wshOfScript(witnessScript);
      const moved = retx(request, (tx) => ({ outputs: tx.outputs.map((one) => ({ ...one, script })) }));
      const entry = { type: PSBT_OUT.WITNESS_SCRIPT, keyData: new Uint8Array(0), value: witnessScript };
      const told = { ...moved, tx: { ...moved.tx, psbt: { ...moved.tx.psbt, outputs: [[entry]] } } };
      expect(channel.tagOf(told)).toBe('policy-htlc-revocation-pubkey');
    }
  }
});
