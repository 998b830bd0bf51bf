/**
 * Claims as LDK makes them: several inputs in one transaction, each signed by a request of its own and over the whole. Second
 * levels of our commitment beside what pays their fee; sweeps whose fee is judged over everything that was signed of them.
 */
import {
  derivePublicKey,
  deriveRevocationPublicKey,
  p2wpkhOfKey,
  SIGHASH,
  sat,
  segwitV0Sighash,
  setPsbtSighashType,
  type Transaction,
  type TxOutput,
  toHex,
  txid,
} from '@countersign/bitcoin';
import type { BitcoinTx, MessageOf, Reply, Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { outputRecords } from '../src/records/chain.ts';
import { signedSweepRecords } from '../src/records/spending.ts';
import { htlc, input, type ModelOptions, psbtOf, wireTx } from './channel-model.ts';
import { running as claimable } from './claims-model.ts';
import { allow, coin, type hubChannel, output, own, put } from './spending-model.ts';
import { bytesOf, secp } from './test-signer.ts';
import { STRANGER, spentBy, withdrawal } from './wallet-model.ts';

type Set = NonNullable<Parameters<typeof hubChannel>[1]>;
const generic = 'policy-generic-error';

const running = (options: ModelOptions = {}, set: Set = {}) =>
  claimable(options, set, [htlc('holder', 60_000, 'd')]);

function signatureIn(reply: Reply): { readonly signature: Uint8Array; readonly sighash: number } {
  if (reply.name !== 'hsmd_sign_tx_reply') throw new Error(reply.name);
  return reply.sig;
}

/** `key` signed this input of the transaction, whole. */
function expectWhole(
  reply: Reply,
  { tx }: { readonly tx: BitcoinTx },
  index: number,
  script: Uint8Array,
  spent: TxOutput,
  key: Uint8Array,
): void {
  const { signature, sighash } = signatureIn(reply);
  expect(sighash).toBe(SIGHASH.ALL);
  const hash = segwitV0Sighash(tx.tx, index, script, spent.value, SIGHASH.ALL);
  expect(secp.verifyEcdsa(hash, signature, key)).toBe(true);
}

describe('second levels of our commitment in one transaction, with anchors', () => {
  type Local = MessageOf<'hsmd_sign_any_local_htlc_tx'>;

  /** All HTLCs of the same locktime, then a wallet input; an output for each, then the change. */
  function together(options: ModelOptions, direction: 'offered' | 'received') {
    const all = running(options);
    const { model, balances, signer } = all;
    const built = model.build('holder', 1, balances);
    const chosen = built.htlcTransactions.filter(({ spent }) => spent.htlc.direction === direction);
    const utxo = coin(signer);
    const tx: Transaction = {
      version: 2,
      inputs: [...chosen.map(({ transaction }) => transaction.inputs[0]!), input(utxo.outpoint, 0)],
      outputs: [...chosen.map(({ transaction }) => transaction.outputs[0]!), own(signer, 2, 990_000n)],
      locktime: chosen[0]!.transaction.locktime,
    };
    const spent = [...chosen.map((one) => built.commitment.outputs[one.spent.outputIndex]!), spentBy(utxo)];
    const ask = (index: number, change: Partial<Transaction> = {}): Local => ({
      ...model.signLocalHtlcs(1, balances)[0]!,
      tx: wireTx({ ...tx, ...change }, spent),
      wscript: chosen[index]?.spent.witnessScript ?? new Uint8Array(0),
      input: index,
    });
    const key = derivePublicKey(secp, model.holder.htlc, model.point('holder', 1));
    return { ...all, built, chosen, tx, spent, ask, key };
  }

  it.each(['offered', 'received'] as const)('are each signed over the whole: %s HTLCs', (direction) => {
    const { channel, chosen, spent, ask, key } = together({}, direction);
    expect(chosen).toHaveLength(2);
    for (const [index, one] of chosen.entries()) {
      const request = ask(index);
      expectWhole(channel.ask(request), request, index, one.spent.witnessScript, spent[index]!, key);
    }
    // What stands behind the pairs is not ours to judge here: BOLT 3 lets anybody add it.
    const [first] = chosen;
    const request = ask(0, { outputs: [first!.transaction.outputs[0]!, output(STRANGER, 1n)] });
    expectWhole(channel.ask(request), request, 0, first!.spent.witnessScript, spent[0]!, key);
  });

  it('are the pairs of BOLT 3 or refused by the field that differs, at whatever index', () => {
    const { channel, tx, ask } = together({}, 'offered');
    const second = (change: (one: TxOutput) => TxOutput) => ({
      outputs: tx.outputs.map((one, i) => (i === 1 ? change(one) : one)),
    });
    const cases: readonly (readonly [string, Request, string])[] = [
      [
        'a satoshi less',
        ask(
          1,
          second((one) => ({ ...one, value: sat(one.value - 1n) })),
        ),
        'policy-htlc-fee-range',
      ],
      [
        'another script',
        ask(
          1,
          second((one) => ({ ...one, script: STRANGER })),
        ),
        'policy-htlc-revocation-pubkey',
      ],
      ['another version', ask(1, { version: 3 }), 'policy-htlc-version'],
      ['a later locktime', ask(1, { locktime: tx.locktime + 1 }), 'policy-htlc-locktime'],
      ['no locktime', ask(0, { locktime: 0 }), 'policy-htlc-locktime'],
      [
        'another sequence',
        ask(1, { inputs: tx.inputs.map((one, i) => (i === 1 ? { ...one, sequence: 0 } : one)) }),
        'policy-htlc-sequence',
      ],
      [
        'outputs of each other',
        ask(0, { outputs: [tx.outputs[1]!, tx.outputs[0]!] }),
        'policy-htlc-fee-range',
      ],
      ['no output at its index', ask(1, { outputs: tx.outputs.slice(0, 1) }), 'policy-htlc-belongs'],
      ['the script of the other', { ...ask(0), wscript: ask(1).wscript }, 'policy-htlc-fee-range'],
      ['the wallet’s input', ask(2), 'policy-htlc-belongs'],
      ['no input at all', ask(3), generic],
    ];
    const told = (request: Request) => channel.tagOf(request);
    expect(cases.map(([what, request]) => [what, told(request)])).toEqual(
      cases.map(([what, , tag]) => [what, tag]),
    );
    channel.ask(ask(0));
  });

  it('keep CLN’s signature where the transaction is CLN’s, and give LDK’s where the PSBT asks for it', () => {
    const { channel, model, balances } = running();
    for (const request of model.signLocalHtlcs(1, balances)) {
      expect(signatureIn(channel.ask(request)).sighash).toBe(0x83);
      const psbt = setPsbtSighashType(request.tx.psbt, 0, SIGHASH.ALL);
      expect(signatureIn(channel.ask({ ...request, tx: { ...request.tx, psbt } })).sighash).toBe(0x01);
    }
  });

  it('do not exist without anchors', () => {
    const { channel, ask } = together({ format: 'static_remotekey' }, 'offered');
    expect(channel.tagOf({ ...ask(0), optionAnchorOutputs: false })).toBe(generic);
  });

  it('policy-commitment-holder-not-revoked: trips on those of a commitment that is revoked', () => {
    const { channel, ask, balances } = together({}, 'offered');
    channel.update({ ...balances, feeratePerKw: 1100 });
    expect(channel.tagOf(ask(0))).toBe('policy-commitment-holder-not-revoked');
  });
});

/** A breach: to_local and an HTLC of the peer's commitment 1, taken by one transaction that pays us `outSat`. */
function breach(options: ModelOptions = {}, set: Set = {}) {
  const all = running(options, set);
  const { channel, model, balances, signer } = all;
  channel.update({ ...balances, feeratePerKw: 1100 });
  const built = model.build('counterparty', 1, balances);
  const toLocal = built.commitment.outputs.findIndex(({ kind }) => kind === 'to_local');
  const places = [toLocal, built.commitment.htlcs[0]!.outputIndex, built.commitment.htlcs[1]!.outputIndex];
  const spent = places.map((at) => built.commitment.outputs[at]!);
  const totalSat = spent.reduce((sum, { value }) => sum + value, 0n);
  const spending = (outputs: readonly TxOutput[]): Transaction => ({
    version: 2,
    inputs: places.map((vout) => input({ txid: txid(built.tx), vout })),
    outputs,
    locktime: 0,
  });
  const ask = (
    index: number,
    tx: Transaction,
    said: readonly (TxOutput | undefined)[] = spent,
  ): MessageOf<'hsmd_sign_any_penalty_to_us'> => ({
    name: 'hsmd_sign_any_penalty_to_us',
    revocationSecret: model.peerPerCommitmentSecret(1),
    tx: wireTx(tx, said),
    wscript: spent[index]!.witnessScript!,
    input: index,
    peerid: model.ref.peerId,
    channelDbid: model.ref.dbid,
  });
  const key = deriveRevocationPublicKey(secp, model.holder.revocation, model.point('counterparty', 1));
  const ours = (feeSat: bigint) => spending([own(signer, 2, totalSat - feeSat)]);
  return { ...all, spent, totalSat, spending, ours, ask, key };
}

/** Each request knows of its own input only, as LDK's does. */
const alone = (spent: readonly TxOutput[], index: number) =>
  spent.map((one, i) => (i === index ? one : undefined));

describe('policy-sweep-fee-range, several inputs', () => {
  const tag = 'policy-sweep-fee-range';

  it('policy-sweep-fee-range: passes a penalty of three inputs in any order, each signed over the whole', () => {
    for (const order of [
      [0, 1, 2],
      [2, 0, 1],
    ]) {
      const { channel, spent, ours, ask, key } = breach();
      const tx = ours(5000n);
      for (const index of order) {
        const request = ask(index, tx, alone(spent, index));
        const reply = channel.ask(request);
        expectWhole(reply, request, index, request.wscript, spent[index]!, key);
        expect(channel.ask(request)).toEqual(reply);
      }
    }
  });

  it('policy-sweep-fee-range: trips on the input that makes the fee too high, whatever was said of the others', () => {
    const { channel, signer, spent, spending, ask } = breach(
      {},
      { limits: { onchainFeerateMaxPerKw: 5000 } },
    );
    // Enough for the largest input alone: the others would be fees.
    const tx = spending([own(signer, 2, spent[0]!.value)]);
    channel.ask(ask(0, tx, alone(spent, 0)));
    const lie = (index: number, valueSat: bigint) =>
      spent.map((one, i) => (i === index ? { ...one, value: sat(valueSat) } : one));
    for (const said of [spent, alone(spent, 1), lie(0, 1n), lie(2, 1n)])
      expect(channel.tagOf(ask(1, tx, said))).toBe(tag);
    // With a false amount of its own the signature is worth nothing; and it does not undo what was said before.
    channel.ask(ask(1, tx, lie(1, 1n)));
    channel.ask(ask(0, tx, lie(0, 1n)));
    expect(channel.tagOf(ask(1, tx))).toBe(tag);
    expect(channel.tagOf(ask(2, tx))).toBe(tag);
  });

  it('policy-sweep-fee-range: trips on a rate below the limit once all inputs are known, not before', () => {
    const { channel, ours, ask, spent } = breach();
    const tx = ours(0n);
    for (const index of [0, 1]) channel.ask(ask(index, tx, alone(spent, index)));
    expect(channel.tagOf(ask(2, tx, alone(spent, 2)))).toBe(tag);
  });

  it('policy-sweep-destination-allowlisted: trips at every input on any output to a stranger', () => {
    const { channel, signer, totalSat, spending, ask } = breach();
    const tx = spending([own(signer, 2, totalSat - 6000n), output(STRANGER, 1000n)]);
    for (const index of [0, 1, 2])
      expect(channel.tagOf(ask(index, tx))).toBe('policy-sweep-destination-allowlisted');
    allow(signer, 'script', toHex(STRANGER));
    for (const index of [0, 1, 2]) channel.ask(ask(index, tx));
  });

  it('count their fee once, over all outputs they spend', () => {
    const limit = { amountSat: 5000n, per: 'day' as const };
    const { channel, signer, ours, ask, spent } = breach({}, { limits: { feeVelocity: limit } });
    const bump = (feeSat: bigint) => {
      for (const index of [0, 1, 2]) channel.ask(ask(index, ours(feeSat), alone(spent, index)));
    };
    for (const feeSat of [2000n, 3000n, 4000n]) bump(feeSat);
    const wallet = (feeSat: bigint): Request => {
      const utxo = coin(signer, 100_000n, 11);
      const outputs = [own(signer, 2, 100_000n - feeSat)];
      const tx = { version: 2, inputs: [input(utxo.outpoint)], outputs, locktime: 0 };
      return withdrawal([utxo], psbtOf(tx, [spentBy(utxo)]));
    };
    expect(channel.tagOf(wallet(1001n))).toBe('policy-onchain-fee-velocity');
    channel.ask(wallet(1000n));
    // A claim of what is ours is never a matter of velocity.
    bump(20_000n);
  });

  it('leave no record of a sweep with one input, and one of each with several', () => {
    const { channel, model, signer, ours, ask } = breach();
    channel.ask(model.penalty(0, model.initial));
    const swept = () => signer.state.keys.filter((one) => one.startsWith(`${signedSweepRecords.name}/`));
    expect([...swept()]).toEqual([]);
    channel.ask(ask(0, ours(5000n)));
    channel.ask(ask(0, ours(5000n)));
    channel.ask(ask(1, ours(5000n)));
    expect([...swept()]).toHaveLength(1);
  });
});

describe('claims of HTLCs in one transaction', () => {
  it('are signed whole, each with the lock its output needs (BOLT 3)', () => {
    const { channel, model, balances, signer } = running();
    const built = model.build('counterparty', 1, balances);
    const received = built.commitment.htlcs.filter(({ htlc: one }) => one.direction === 'offered');
    expect(received).toHaveLength(2);
    const spent = received.map(({ outputIndex }) => built.commitment.outputs[outputIndex]!);
    const key = derivePublicKey(secp, model.holder.htlc, model.point('counterparty', 1));
    const at = (sequences: readonly number[]): Transaction => ({
      version: 2,
      inputs: received.map(({ outputIndex }, i) =>
        input({ txid: txid(built.tx), vout: outputIndex }, sequences[i]),
      ),
      outputs: [own(signer, 2, 65_000n)],
      locktime: 0,
    });
    const ask = (index: number, tx: Transaction): MessageOf<'hsmd_sign_any_remote_htlc_to_us'> => ({
      name: 'hsmd_sign_any_remote_htlc_to_us',
      remotePerCommitmentPoint: model.point('counterparty', 1),
      tx: wireTx(tx, spent),
      wscript: received[index]!.witnessScript,
      optionAnchorOutputs: true,
      input: index,
      peerid: model.ref.peerId,
      channelDbid: model.ref.dbid,
    });
    for (const index of [0, 1]) {
      const request = ask(index, at([1, 1]));
      expectWhole(channel.ask(request), request, index, request.wscript, spent[index]!, key);
    }
    expect(channel.tagOf(ask(1, at([1, 0])))).toBe('policy-sweep-sequence');
    channel.ask(ask(0, at([1, 0])));
    expect(channel.tagOf({ ...ask(0, at([1, 1])), input: 2 })).toBe(generic);
  });
});

/** Our delayed output and an output of our wallet in one transaction: LDK's OutputSweeper makes such. */
function mixed(set: Set = {}) {
  const all = running({}, set);
  const { channel, model, balances, signer } = all;
  channel.ask(model.signCommitment(1, balances));
  const built = model.build('holder', 1, balances);
  const vout = built.commitment.outputs.findIndex(({ kind }) => kind === 'to_local');
  const delayed = built.commitment.outputs[vout]!;
  const utxo = coin(signer, 1_000_000n);
  const totalSat = delayed.value + utxo.amount;
  const tx = (feeSat: bigint): Transaction => ({
    version: 2,
    inputs: [input({ txid: txid(built.tx), vout }, 144), input(utxo.outpoint, 0)],
    outputs: [own(signer, 2, totalSat - feeSat)],
    locktime: 0,
  });
  const sweep = (feeSat: bigint): Request => ({
    name: 'hsmd_sign_any_delayed_payment_to_us',
    commitNum: 1n,
    tx: wireTx(tx(feeSat), [delayed, spentBy(utxo)]),
    wscript: delayed.witnessScript!,
    input: 0,
    peerid: model.ref.peerId,
    channelDbid: model.ref.dbid,
  });
  const wallet = (feeSat: bigint): Request =>
    withdrawal([utxo], psbtOf(tx(feeSat), [delayed, spentBy(utxo)]));
  return { ...all, sweep, wallet, delayedSat: delayed.value };
}

describe('a sweep with money of the wallet beside it', () => {
  it('is judged as a whole by whichever request comes last', () => {
    for (const order of ['sweep first', 'wallet first'] as const) {
      const { channel, sweep, wallet, delayedSat } = mixed();
      const pair = (feeSat: bigint) =>
        order === 'sweep first' ? [sweep(feeSat), wallet(feeSat)] : [wallet(feeSat), sweep(feeSat)];
      for (const request of pair(2000n)) channel.ask(request);
      // Each alone sees no fee; together it is the smaller of the two.
      const [first, last] = pair(delayedSat);
      channel.ask(first!);
      expect(channel.tagOf(last!)).toMatch(/policy-(sweep|onchain)-fee-range/);
    }
  });

  it('policy-onchain-fee-velocity: trips on it, whichever request comes last', () => {
    // The commitment itself has paid 1812 sat.
    const set = { limits: { feeVelocity: { amountSat: 6812n, per: 'day' as const } } };
    for (const order of ['sweep first', 'wallet first'] as const) {
      const { channel, sweep, wallet } = mixed(set);
      const requests = (feeSat: bigint) =>
        order === 'sweep first' ? [sweep(feeSat), wallet(feeSat)] : [wallet(feeSat), sweep(feeSat)];
      const [first, last] = requests(5001n);
      channel.ask(first!);
      expect(channel.tagOf(last!)).toBe('policy-onchain-fee-velocity');
      for (const request of requests(5000n)) channel.ask(request);
    }
  });
});

describe('our outputs of a commitment of the peer that it has revoked', () => {
  it('policy-onchain-input-amounts-proven: passes what a proven block has created, trips on another amount', () => {
    const all = running({ format: 'static_remotekey' });
    const { channel, model, signer } = all;
    const script = p2wpkhOfKey(model.holder.payment);
    const outpoint = { txid: bytesOf('a revoked commitment'), vout: 1 };
    const remote = (amountSat: bigint) => ({
      ...coin(signer),
      outpoint,
      amount: sat(amountSat),
      scriptPubkey: script,
      closeInfo: {
        channelId: model.ref.dbid,
        peerId: model.ref.peerId,
        commitmentPoint: undefined,
        optionAnchors: false,
        csv: 0,
      },
    });
    const asks = (amountSat: bigint): Request => {
      const utxos = [remote(amountSat), coin(signer, 100_000n, 5)];
      const outputs = [own(signer, 2, amountSat + 98_000n)];
      const inputs = utxos.map((one) => input(one.outpoint));
      const tx = { version: 2, inputs, outputs, locktime: 0 };
      return withdrawal(utxos, psbtOf(tx, utxos.map(spentBy)));
    };
    const tag = 'policy-onchain-input-amounts-proven';
    expect(channel.tagOf(asks(70_000n))).toBe(tag);
    put(signer, outputRecords, `${toHex(outpoint.txid.toReversed())}:1`, {
      channel: 'x',
      role: 'main-holder',
      htlc: null,
      created: { heightBlocks: 5, valueSat: sat(70_000n), script },
      spent: null,
    });
    channel.ask(asks(70_000n));
    for (const amountSat of [69_999n, 70_001n]) expect(channel.tagOf(asks(amountSat))).toBe(tag);
  });
});

describe('an anchor spend without change', () => {
  it('passes with an OP_RETURN of nothing, as LDK fills it in, and trips on one of a satoshi', () => {
    const { channel, model, balances, signer } = running();
    channel.ask(model.signCommitment(1, balances));
    const utxo = coin(signer, 20_000n);
    const request = (valueSat: bigint): Request => {
      const outputs = [output(Uint8Array.of(0x6a), valueSat)];
      const tx = { version: 2, inputs: [input(utxo.outpoint, 0)], outputs, locktime: 0 };
      return {
        name: 'hsmd_sign_anchorspend',
        peerid: model.ref.peerId,
        channelDbid: model.ref.dbid,
        inputs: [utxo],
        psbt: psbtOf(tx, [spentBy(utxo)]),
      };
    };
    signer.set = { ...signer.set, limits: { onchainFeerateMaxPerKw: 250_000, onchainFeeMaxSat: 50_000n } };
    channel.ask(request(0n));
    expect(channel.tagOf(request(1n))).toBe('policy-onchain-no-unknown-outputs');
  });
});
