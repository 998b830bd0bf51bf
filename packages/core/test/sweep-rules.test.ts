/** Law 5 on sweeps of what a closed channel leaves (attacks A60, A61). */
import {
  buildScript,
  OP,
  parseScript,
  psbtSpentOutput,
  sat,
  type Transaction,
  toHex,
} from '@countersign/bitcoin';
import type { Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { input, psbtOf, retx } from './channel-model.ts';
import { running } from './claims-model.ts';
import type { OpenChannel } from './open-channel.ts';
import { allow, coin, output, own } from './spending-model.ts';
import { bytesOf } from './test-signer.ts';
import { STRANGER, spentBy, withdrawal } from './wallet-model.ts';

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
