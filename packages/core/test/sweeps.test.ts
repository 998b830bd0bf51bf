/**
 * Spends of commitment outputs: each signs one input with the one key that output is for, and second-level
 * transactions are those of a commitment on record.
 */
import {
  broadcasterHtlcHash,
  countersignatoryHtlcHash,
  createPsbt,
  derivePublicKey,
  deriveRevocationPublicKey,
  psbtSpentOutput,
  SIGHASH,
  sat,
  segwitV0Sighash,
  setPsbtSighashType,
  type Transaction,
} from '@countersign/bitcoin';
import type { BitcoinTx, MessageOf, Reply, Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { htlc, input, retx } from './channel-model.ts';
import { adding, FORMATS, KINDS, OpenChannel } from './open-channel.ts';
import { bytesOf, secp } from './test-signer.ts';

/** Both sides at commitment 1 with HTLCs both ways; the peer has revoked its commitment 0. */
function running(options = {}) {
  const channel = new OpenChannel(options).open();
  const balances = adding(
    channel.balances,
    htlc('holder', 20_000, 'a'),
    htlc('counterparty', 30_000, 'b'),
    htlc('counterparty', 40_000, 'c'),
  );
  channel.update(balances);
  return { channel, model: channel.model, balances };
}

const generic = 'policy-generic-error';

function signatureIn(reply: Reply): { readonly signature: Uint8Array; readonly sighash: number } {
  if (reply.name !== 'hsmd_sign_tx_reply') throw new Error(reply.name);
  return reply.sig;
}

/** The reply's signature is `key`'s, on the request's only input with its witness script. */
function expectSigned(
  reply: Reply,
  request: { tx: BitcoinTx; wscript: Uint8Array },
  key: Uint8Array,
  type: number,
) {
  const { signature, sighash } = signatureIn(reply);
  const { tx, psbt } = request.tx;
  const hash = segwitV0Sighash(tx, 0, request.wscript, psbtSpentOutput(psbt, 0)!.value, type);
  expect(sighash).toBe(type);
  expect(secp.verifyEcdsa(hash, signature, key)).toBe(true);
}

/** The form lightningd sends on a daemon's behalf. */
const onBehalf = ({ model }: OpenChannel, at = 0) => ({
  input: at,
  peerid: model.ref.peerId,
  channelDbid: model.ref.dbid,
});

describe.each(KINDS)('sweeps to us, %s', (_, options) => {
  const { channel, model, balances } = running(options);

  it('take a penalty with the revocation key', () => {
    const request = model.penalty(0, model.initial);
    const key = deriveRevocationPublicKey(secp, model.holder.revocation, model.point('counterparty', 0));
    const reply = channel.ask(request);
    expectSigned(reply, request, key, 1);
    const any = { ...request, ...onBehalf(channel), name: 'hsmd_sign_any_penalty_to_us' } as const;
    expect(channel.ask(any)).toEqual(reply);
  });

  it('take our delayed output with the delayed key of that commitment', () => {
    const request = model.sweepDelayed(1, balances);
    const key = derivePublicKey(secp, model.holder.delayedPayment, model.point('holder', 1));
    const reply = channel.ask(request);
    expectSigned(reply, request, key, 1);
    const any = { ...request, ...onBehalf(channel), name: 'hsmd_sign_any_delayed_payment_to_us' } as const;
    expect(channel.ask(any)).toEqual(reply);
  });

  it("claim an HTLC of the peer's commitment with our HTLC key of that point", () => {
    const request = model.claimRemoteHtlc(1, balances);
    const key = derivePublicKey(secp, model.holder.htlc, model.point('counterparty', 1));
    const reply = channel.ask(request);
    expectSigned(reply, request, key, 0x01);
    const any = { ...request, ...onBehalf(channel), name: 'hsmd_sign_any_remote_htlc_to_us' } as const;
    expect(channel.ask(any)).toEqual(reply);
  });
});

describe('malformed sweeps', () => {
  const { channel, model, balances } = running();
  const penalty = model.penalty(0, model.initial);
  const delayed = model.sweepDelayed(1, balances);
  const claim = model.claimRemoteHtlc(1, balances);
  const [local] = model.signLocalHtlcs(1, balances);
  const [remote] = model.signRemoteHtlcs(1, balances);

  it('have not exactly one input, or name another one', () => {
    const two = (tx: Transaction) => ({ inputs: [...tx.inputs, input({ txid: bytesOf('x'), vout: 0 })] });
    for (const request of [penalty, delayed, claim]) expect(channel.tagOf(retx(request, two))).toBe(generic);
    const plain = running({ format: 'static_remotekey' });
    const [ours] = plain.model.signLocalHtlcs(1, plain.balances);
    expect(plain.channel.tagOf(retx(ours!, two))).toBe(generic);
    expect(channel.tagOf(retx(remote!, two))).toBe('policy-commitment-input-single');
    const named: Request[] = [
      { ...penalty, ...onBehalf(channel, 1), name: 'hsmd_sign_any_penalty_to_us' },
      { ...delayed, ...onBehalf(channel, 1), name: 'hsmd_sign_any_delayed_payment_to_us' },
      { ...claim, ...onBehalf(channel, 1), name: 'hsmd_sign_any_remote_htlc_to_us' },
      { ...local!, input: 1 },
    ];
    for (const request of named) expect(channel.tagOf(request)).toBe(generic);
  });

  it('do not say what they spend', () => {
    for (const request of [penalty, delayed, claim]) {
      const { tx } = request.tx;
      expect(channel.tagOf({ ...request, tx: { tx, psbt: createPsbt(tx) } })).toBe(generic);
    }
  });

  it('name keys or numbers that are none', () => {
    const requests: Request[] = [
      { ...penalty, revocationSecret: new Uint8Array(32) },
      { ...penalty, revocationSecret: new Uint8Array(32).fill(0xff) },
      { ...delayed, commitNum: 2n ** 48n },
      { ...local!, commitNum: 2n ** 64n - 1n },
      { ...claim, remotePerCommitmentPoint: Uint8Array.from([2, ...new Uint8Array(31), 5]) },
    ];
    for (const request of requests) expect(channel.tagOf(request)).toBe(generic);
  });

  it('come from a client without a channel', () => {
    for (const request of [penalty, delayed, claim, remote!])
      expect(channel.signer.refused(request, null).tag).toBe(generic);
  });

  it('are about a channel that was never set up, for our own second level', () => {
    expect(channel.tagOf({ ...local!, channelDbid: 404n })).toBe(generic);
  });
});

describe('policy-key-use, HTLCs claimed from the peer', () => {
  const { channel, model, balances } = running();
  const claim = model.claimRemoteHtlc(1, balances);
  const tag = 'policy-key-use';

  it('policy-key-use: trips on a script of another commitment, or on none of an HTLC', () => {
    const wscripts = [
      model.claimRemoteHtlc(2, balances).wscript,
      model.penalty(1, balances).wscript,
      model.holderAnchor.witnessScript,
      new Uint8Array(0),
      Uint8Array.of(0x7c),
    ];
    for (const wscript of wscripts) expect(channel.tagOf({ ...claim, wscript })).toBe(tag);
  });

  it('policy-key-use: trips on our own commitment: its second level is not signed this way', () => {
    const point = model.point('holder', 0);
    for (const request of model.signLocalHtlcs(1, balances)) {
      for (const remotePerCommitmentPoint of [point, model.point('holder', 1)])
        expect(
          channel.tagOf({ ...claim, tx: request.tx, wscript: request.wscript, remotePerCommitmentPoint }),
        ).toBe(tag);
    }
  });

  it('is malformed where the script does not parse', () => {
    expect(channel.tagOf({ ...claim, wscript: Uint8Array.of(0x4c) })).toBe(generic);
  });
});

describe.each(FORMATS)('second-level transactions, %s', (format) => {
  it('of the peer are signed as BOLT 3 has them, with our HTLC key', () => {
    const { channel, model, balances } = running({ format });
    const built = model.build('counterparty', 1, balances);
    const key = derivePublicKey(secp, model.holder.htlc, model.point('counterparty', 1));
    model.signRemoteHtlcs(1, balances).forEach((request, i) => {
      const { signature, sighash } = signatureIn(channel.ask(request));
      const hash = countersignatoryHtlcHash(built.htlcTransactions[i]!, format);
      expect(sighash).toBe(format === 'static_remotekey' ? 0x01 : 0x83);
      expect(secp.verifyEcdsa(hash, signature, key)).toBe(true);
    });
  });

  it('of ours are signed with our HTLC key', () => {
    const { channel, model, balances } = running({ format });
    const built = model.build('holder', 1, balances);
    const key = derivePublicKey(secp, model.holder.htlc, model.point('holder', 1));
    model.signLocalHtlcs(1, balances).forEach((request, i) => {
      const { signature, sighash } = signatureIn(channel.ask(request));
      const one = built.htlcTransactions[i]!;
      const hash = sighash === 0x01 ? broadcasterHtlcHash(one) : countersignatoryHtlcHash(one, format);
      expect(secp.verifyEcdsa(hash, signature, key)).toBe(true);
    });
  });
});

describe('policy-htlc-belongs', () => {
  const tag = 'policy-htlc-belongs';
  const { channel, model, balances } = running();
  const { signer } = channel;
  const local = model.signLocalHtlcs(1, balances);
  const remote = model.signRemoteHtlcs(1, balances);
  type Htlc = MessageOf<'hsmd_sign_any_local_htlc_tx'> | MessageOf<'hsmd_sign_remote_htlc_tx'>;

  const changes: readonly (readonly [string, (tx: Transaction) => Partial<Transaction>])[] = [
    ['another commitment', (tx) => ({ inputs: tx.inputs.map((one) => ({ ...one, txid: bytesOf('x') })) })],
    ['no output', () => ({ outputs: [] })],
  ];
  it('policy-htlc-belongs: trips on one with another output more, where it is not signed over the whole', () => {
    const more = (tx: Transaction) => ({ outputs: [...tx.outputs, tx.outputs[0]!] });
    const plain = running({ format: 'static_remotekey' });
    const requests = [
      ...plain.model.signRemoteHtlcs(1, plain.balances),
      ...plain.model.signLocalHtlcs(1, plain.balances),
    ];
    for (const request of requests) expect(plain.channel.tagOf(retx<Htlc>(request, more))).toBe(tag);
    for (const request of remote) expect(channel.tagOf(retx(request, more))).toBe(tag);
  });
  it.each(changes)('policy-htlc-belongs: trips on an HTLC transaction with %s', (_, change) => {
    for (const request of [...local, ...remote]) expect(channel.tagOf(retx<Htlc>(request, change))).toBe(tag);
  });

  it('refuses a transaction beside the script of another output', () => {
    signer.preset = 'hub';
    const scripts = new Map<Htlc, Uint8Array>();
    for (const list of [local, remote]) {
      for (const [i, request] of list.entries()) {
        for (const [j, other] of list.entries()) if (i !== j) scripts.set(request, other.wscript);
      }
    }
    expect(scripts.size).toBe(6);
    // Judged by the script it names, the transaction is that of another HTLC.
    for (const [request, wscript] of scripts)
      expect(channel.tagOf({ ...request, wscript })).toMatch(
        /^policy-htlc-(locktime|fee-range|revocation-pubkey)$/,
      );
  });

  it('policy-htlc-belongs: trips on a commitment of the peer that we never signed, or that it revoked', () => {
    for (const number of [2, 3]) {
      for (const request of model.signRemoteHtlcs(number, balances)) expect(channel.tagOf(request)).toBe(tag);
    }
    const one = running();
    one.channel.update(one.channel.balances);
    for (const request of one.model.signRemoteHtlcs(1, one.balances))
      expect(one.channel.tagOf(request)).toBe(tag);
  });

  it('policy-htlc-belongs: trips on another point than the one the commitment was signed with', () => {
    for (const remotePerCommitPoint of [model.point('counterparty', 0), model.point('holder', 1)])
      for (const request of remote) expect(channel.tagOf({ ...request, remotePerCommitPoint })).toBe(tag);
  });

  it('policy-htlc-belongs: trips on a commitment of ours under another number, or never validated', () => {
    for (const request of local) expect(channel.tagOf({ ...request, commitNum: 2n })).toBe(tag);
    for (const request of model.signLocalHtlcs(2, balances)) expect(channel.tagOf(request)).toBe(tag);
  });

  it.each(KINDS)('policy-htlc-belongs: passes those of the current commitments, %s', (_, options) => {
    const one = running(options);
    for (const request of one.model.signLocalHtlcs(1, one.balances)) one.channel.ask(request);
    for (const request of one.model.signRemoteHtlcs(1, one.balances)) one.channel.ask(request);
  });

  it('policy-htlc-belongs: passes two HTLCs equal in script, each with its own amount', () => {
    const one = new OpenChannel().open();
    const equal = adding(
      one.balances,
      htlc('holder', 20_000, 'same'),
      htlc('holder', 20_000, 'same'),
      htlc('holder', 25_000, 'same'),
    );
    one.update(equal);
    const requests = [...one.model.signLocalHtlcs(1, equal), ...one.model.signRemoteHtlcs(1, equal)];
    expect(requests).toHaveLength(6);
    for (const request of requests) one.ask(request);
  });
});

describe('policy-sighash, second level', () => {
  it.each(FORMATS)('policy-sighash: trips when request and channel disagree on anchors, %s', (format) => {
    const { channel, model, balances } = running({ format });
    const requests = [
      ...model.signLocalHtlcs(1, balances),
      ...model.signRemoteHtlcs(1, balances),
      model.claimRemoteHtlc(1, balances),
    ];
    for (const request of requests)
      expect(channel.tagOf({ ...request, optionAnchorOutputs: !request.optionAnchorOutputs })).toBe(
        'policy-sighash',
      );
  });

  it('policy-sighash: passes a claim with ALL only, whatever its form and whatever its PSBT asks for', () => {
    const { channel, model, balances } = running();
    const claim = model.claimRemoteHtlc(1, balances);
    const { value, script } = claim.tx.tx.outputs[0]!;
    const outputs = [1n, 2n].map((share) => ({ value: sat((value * share) / 3n), script }));
    const { tx, psbt } = claim.tx;
    const types = [
      claim,
      retx(claim, () => ({ outputs })),
      { ...claim, tx: { tx, psbt: setPsbtSighashType(psbt, 0, SIGHASH.ALL) } },
      { ...claim, tx: { tx, psbt: setPsbtSighashType(psbt, 0, 0x83) } },
    ].map((request) => {
      return signatureIn(channel.ask(request)).sighash;
    });
    expect(types).toEqual([0x01, 0x01, 0x01, 0x01]);
  });

  it('policy-sighash: passes a claim with ALL and any outputs, and one of a channel nobody set up here', () => {
    const { channel, model, balances } = running({ format: 'static_remotekey' });
    const claim = model.claimRemoteHtlc(1, balances);
    const outputs = [claim.tx.tx.outputs[0]!, claim.tx.tx.outputs[0]!];
    channel.ask(retx(claim, () => ({ outputs })));
    const restored = new OpenChannel({ dbid: 9n });
    restored.ask(restored.model.claimRemoteHtlc(1, balances));
  });
});
