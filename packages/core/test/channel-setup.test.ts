/**
 * setup_channel: parameters once, candidate fundings later, and no second life of the same secrets (attack A11).
 */
import { outPointToString, toHex, txid } from '@countersign/bitcoin';
import { channelRecords, formerChannelRecords, releasePerCommitmentSecret } from '@countersign/core';
import type { MessageOf } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { channelId } from '../src/channel/lookup.ts';
import { CANDIDATES_MAX } from '../src/channel/record.ts';
import { ChannelModel, htlc } from './channel-model.ts';
import { FakeChain } from './forwarder.ts';
import { adding, FORMATS, OpenChannel } from './open-channel.ts';
import { bytesOf, secp, TestSigner } from './test-signer.ts';
import { fundingInput, withdrawal } from './wallet-model.ts';

type Setup = MessageOf<'hsmd_setup_channel'>;

/** Feature bits as BOLT 9 writes them. */
function features(...bits: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(Math.floor(Math.max(...bits) / 8) + 1);
  for (const bit of bits) bytes[bytes.length - 1 - Math.floor(bit / 8)]! |= 1 << (bit % 8);
  return bytes;
}

describe('policy-channel-safe-type', () => {
  const ask = (channelType: Uint8Array) => {
    const channel = new OpenChannel();
    return { channel, request: { ...channel.model.setup(), channelType } };
  };
  it.each([
    ['no features', new Uint8Array(0)],
    ['all zero', new Uint8Array(4)],
    ['anchors without static_remotekey', features(22)],
    ['the old anchors', features(12, 20)],
    ['static_remotekey as optional', features(13)],
    ['only the next bit', features(23)],
  ])('policy-channel-safe-type: trips on %s', (_, channelType) => {
    const { channel, request } = ask(channelType);
    expect(channel.tagOf(request)).toBe('policy-channel-safe-type');
  });
  it.each([
    ['static_remotekey', features(12)],
    ['anchors_zero_fee_htlc', features(12, 22)],
    ['with scid alias and zero-conf', features(12, 22, 46, 50)],
  ])('policy-channel-safe-type: passes %s', (_, channelType) => {
    const { channel, request } = ask(channelType);
    channel.ask(request);
  });
});

describe('policy-key-use, setup_channel', () => {
  it.each(['revocation', 'payment', 'htlc', 'delayedPayment'] as const)(
    'policy-key-use: trips on a key of ours as the %s basepoint of the peer',
    (name) => {
      const channel = new OpenChannel();
      const setup = channel.model.setup();
      for (const key of [...Object.values(channel.model.holder), channel.model.holderFundingKey]) {
        const remoteBasepoints = { ...setup.remoteBasepoints, [name]: key };
        expect(channel.tagOf({ ...setup, remoteBasepoints })).toBe('policy-key-use');
        expect(channel.tagOf({ ...setup, remoteFundingPubkey: key })).toBe('policy-key-use');
      }
    },
  );
});

describe('setup_channel', () => {
  it.each(['revocation', 'payment', 'htlc', 'delayedPayment'] as const)(
    'refuses a %s basepoint that is no point',
    (name) => {
      const channel = new OpenChannel();
      const setup = channel.model.setup();
      const bad = Uint8Array.from([2, ...new Uint8Array(31), 5]);
      const remoteBasepoints = { ...setup.remoteBasepoints, [name]: bad };
      expect(channel.refused({ ...setup, remoteBasepoints })).toMatchObject({
        tag: 'policy-generic-error',
        facts: { key: name },
      });
      expect(channel.tagOf({ ...setup, remoteFundingPubkey: bad })).toBe('policy-generic-error');
    },
  );

  it('needs a client with a channel', () => {
    const { signer, model } = new OpenChannel();
    expect(signer.refused(model.setup(), null)).toMatchObject({ tag: 'policy-generic-error', channel: null });
  });

  it('may be repeated, with or without shutdown scripts, and changes nothing', () => {
    const channel = new OpenChannel();
    const script = Uint8Array.of(0, 20, ...new Uint8Array(20));
    const setup: Setup = {
      ...channel.model.setup(),
      localShutdownScript: script,
      remoteShutdownScript: script,
    };
    channel.ask(setup);
    channel.ask(channel.model.validate(0));
    channel.ask(channel.model.signRemote(0));
    channel.update(channel.balances);
    for (const request of [
      setup,
      { ...setup, localShutdownScript: new Uint8Array(0) },
      { ...setup, localShutdownScript: new Uint8Array(0), remoteShutdownScript: new Uint8Array(0) },
      { ...setup, localShutdownWalletIndex: 7, pushValue: 1n },
    ]) {
      channel.ask(request);
    }
    channel.update(channel.balances);
  });

  it('keeps the scripts of the first call when a splice sends none', () => {
    const channel = new OpenChannel();
    const script = Uint8Array.of(0, 20, ...new Uint8Array(20));
    channel.ask({ ...channel.model.setup(), localShutdownScript: script });
    channel.ask(channel.model.validate(0));
    channel.ask(channel.model.signRemote(0));
    channel.update(channel.balances);
    channel.ask(channel.model.setup(channel.model.spliceOf('splice')));
    expect(channel.signer.state.snapshot()).toContain(toHex(script));
  });
});

/** A change of every parameter that is fixed for the life of a channel. */
const parameterChanges: readonly (readonly [string, (setup: Setup) => Partial<Setup>])[] = [
  ['the opener', (setup) => ({ isOutbound: !setup.isOutbound })],
  ['the type', () => ({ channelType: features(12) })],
  ['our delay', () => ({ remoteToSelfDelay: 145 })],
  ["the peer's delay", () => ({ localToSelfDelay: 721 })],
  ...(['revocation', 'payment', 'htlc', 'delayedPayment'] as const).map(
    (key) =>
      [
        `the ${key} basepoint`,
        (setup: Setup) => ({
          remoteBasepoints: { ...setup.remoteBasepoints, [key]: secp.publicKey(bytesOf('another')) },
        }),
      ] as const,
  ),
  ['our shutdown script', () => ({ localShutdownScript: Uint8Array.of(0, 20, ...new Uint8Array(20)) })],
  [
    "the peer's shutdown script",
    () => ({ remoteShutdownScript: Uint8Array.of(0, 20, ...new Uint8Array(20)) }),
  ],
];

describe('policy-channel-original-channel-id-reuse', () => {
  const tag = 'policy-channel-original-channel-id-reuse';
  const withScripts = (setup: Setup): Setup => ({
    ...setup,
    localShutdownScript: Uint8Array.of(0, 20, ...bytesOf('ours').subarray(12)),
    remoteShutdownScript: Uint8Array.of(0, 20, ...bytesOf('theirs').subarray(12)),
  });

  it.each(parameterChanges)(
    'policy-channel-original-channel-id-reuse: trips on another value for %s in use',
    (_, change) => {
      const channel = new OpenChannel();
      const setup = withScripts(channel.model.setup());
      channel.ask(setup);
      channel.ask(channel.model.validate(0));
      channel.ask(channel.model.signRemote(0));
      channel.update(channel.balances);
      const fundingTxid = bytesOf('another funding');
      expect(channel.tagOf({ ...setup, ...change(setup) })).toBe(tag);
      expect(channel.tagOf({ ...setup, ...change(setup), fundingTxid })).toBe(tag);
      channel.update(channel.balances);
    },
  );

  /** What makes a channel used, each alone. */
  const used: Readonly<Record<string, (channel: OpenChannel) => void>> = {
    "the peer's commitment 1 signed": (channel) => void channel.ask(channel.model.signRemote(1)),
    'its commitment 0 signed for broadcast': (channel) => void channel.ask(channel.model.signCommitment(0)),
    'a close signed': (channel) =>
      void channel.ask(channel.model.mutualClose(channel.model.closeTx(channel.balances))),
    'a splice signed': (channel) => {
      channel.ask(channel.model.signRemote(1));
      const splice = channel.model.spliceOf('s');
      channel.ask(channel.model.setup(splice));
      channel.ask(channel.model.validate(0, channel.balances, splice));
      channel.ask(channel.model.signSplice(splice));
    },
    'its funding locked': (channel) => channel.lock(channel.model.funding),
    'a rollback proven': (channel) =>
      void channel.ask({
        name: 'hsmd_check_future_secret',
        n: 0n,
        commitmentSecret: secretOf(channel, 0),
      }),
  };
  it.each(Object.entries(used))(
    'policy-channel-original-channel-id-reuse: trips when the former channel has %s',
    (_, use) => {
      const channel = new OpenChannel().open();
      use(channel);
      const other = { ...channel.model.setup(), isOutbound: false, fundingTxid: bytesOf('life 2') };
      expect(channel.tagOf(other)).toBe(tag);
      // Whether the node has forgotten it makes no difference.
      const { peerId: id, dbid } = channel.model.ref;
      channel.ask({ name: 'hsmd_forget_channel', id, dbid });
      expect(channel.tagOf(other)).toBe(tag);
    },
  );

  it('policy-channel-original-channel-id-reuse: trips while a commitment of ours is validated and not forgotten', () => {
    const channel = new OpenChannel().open();
    const other = { ...channel.model.setup(), isOutbound: false, fundingTxid: bytesOf('life 2') };
    expect(channel.tagOf(other)).toBe(tag);
    channel.ask(channel.model.validate(1));
    expect(channel.tagOf(other)).toBe(tag);
  });

  it('policy-channel-original-channel-id-reuse: trips after forget and a new declaration (A11)', () => {
    const channel = new OpenChannel().open();
    channel.update(adding(channel.balances, htlc('holder', 20_000, 'a')));
    channel.ask({ name: 'hsmd_forget_channel', id: channel.model.ref.peerId, dbid: channel.model.ref.dbid });
    channel.ask({ name: 'hsmd_new_channel', id: channel.model.ref.peerId, dbid: channel.model.ref.dbid });
    const other = { ...channel.model.setup(), isOutbound: false, fundingTxid: bytesOf('life 2') };
    expect(channel.refused(other)).toMatchObject({ tag, facts: { holder_first_unrevoked: 1 } });
    // With the same parameters it is the same channel, where it stood.
    channel.ask(channel.model.setup());
    expect(channel.tagOf(channel.model.signRemote(0))).toBe('policy-commitment-retry-same');
    expect(channel.tagOf(channel.model.signCommitment(0))).toBe('policy-commitment-holder-not-revoked');
  });

  it('policy-channel-original-channel-id-reuse: trips on a funding with another value or key', () => {
    const channel = new OpenChannel().open();
    const setup = channel.model.setup();
    const remoteFundingPubkey = secp.publicKey(bytesOf('another'));
    expect(
      channel.tagOf({
        ...setup,
        channelValue: channel.model.setup(channel.model.spliceOf('s')).channelValue,
      }),
    ).toBe(tag);
    expect(channel.tagOf({ ...setup, remoteFundingPubkey })).toBe(tag);
  });

  it('policy-channel-original-channel-id-reuse: trips on the funding of another channel', () => {
    const first = new OpenChannel().open();
    const second = new OpenChannel({ dbid: 2n }, first.signer);
    const setup = second.model.setup(first.model.funding);
    expect(second.refused(setup)).toMatchObject({
      tag,
      facts: { outpoint: outPointToString(first.model.funding.outpoint) },
    });
    second.ask(second.model.setup());
    expect(second.tagOf(setup)).toBe(tag);
  });

  it.each(FORMATS)(
    'policy-channel-original-channel-id-reuse: passes while no commitment of ours is validated, %s',
    (format) => {
      // CLN uses the number of a failed opening again.
      const signer = new TestSigner();
      const first = new OpenChannel({ format }, signer);
      first.ask(first.model.setup());
      first.ask(first.model.signRemote(0));
      const second = new OpenChannel({ format, isOutbound: false, valueSat: 2_000_000n }, signer);
      second.open();
      second.update(second.balances);
      expect(signer.state.keys.some((key) => key.startsWith('former-channel/'))).toBe(true);
      // The former life's funding is gone: nothing of it can be signed.
      const former = first.model.signCommitment(0);
      expect(second.tagOf(former)).toBe('policy-commitment-input-match-funding');
      // And the first parameters can't come back: the number is in use now.
      expect(first.tagOf(first.model.setup())).toBe(tag);
    },
  );

  it('policy-channel-original-channel-id-reuse: passes once the node forgot what it never funded', () => {
    const signer = new TestSigner();
    const first = new OpenChannel({}, signer).open();
    const { peerId: id, dbid } = first.model.ref;
    first.ask({ name: 'hsmd_forget_channel', id, dbid });
    const second = new OpenChannel({ isOutbound: false, valueSat: 2_000_000n }, signer).open();
    second.update(second.balances);
  });

  it('policy-channel-original-channel-id-reuse: trips, forgotten or not, once the chain has the funding', () => {
    const channel = new OpenChannel({ isOutbound: false }).open();
    const chain = new FakeChain();
    channel.signer.chain = chain;
    const { peerId: id, dbid } = channel.model.ref;
    channel.ask({ name: 'hsmd_forget_channel', id, dbid });
    const again = { ...channel.model.setup(), isOutbound: true, fundingTxid: bytesOf('life 2') };
    // One block deep, and nothing but commitment 0: what the peer pushed to us is there, and only these secrets protect it.
    chain.bury(channel, 1);
    expect(channel.refused(again)).toMatchObject({ tag, facts: { funding_seen: true } });
    // Nor can its keys be those of another channel.
    const other = new OpenChannel({ dbid: 2n }, channel.signer);
    const { remoteBasepoints } = channel.model.setup();
    expect(other.tagOf({ ...other.model.setup(), remoteBasepoints })).toBe('policy-channel-reuse-keys');
    channel.signer.chain = new FakeChain();
    channel.ask(again);
  });

  it.each(['withdrawal', 'before the set-up'] as const)(
    'policy-channel-original-channel-id-reuse: trips, forgotten or not, when the funding was signed: %s',
    (how) => {
      const channel = new OpenChannel();
      const { model, signer } = channel;
      const { inputs, psbt } = fundingInput(signer.keys, model.funding);
      if (how === 'before the set-up') channel.ask(withdrawal(inputs, psbt));
      channel.open();
      if (how === 'withdrawal') channel.ask(withdrawal(inputs, psbt));
      const { peerId: id, dbid } = model.ref;
      channel.ask({ name: 'hsmd_forget_channel', id, dbid });
      const again = { ...model.setup(), isOutbound: false, fundingTxid: bytesOf('life 2') };
      expect(channel.refused(again)).toMatchObject({ tag, facts: { funding_signed: true } });
    },
  );

  it('policy-channel-original-channel-id-reuse: trips when a close of another channel funded it', () => {
    const signer = new TestSigner();
    const source = new OpenChannel({ dbid: 2n }, signer).open();
    const target = new OpenChannel({ valueSat: 290_000n, pushMsat: 0n }, signer);
    const close = source.model.closeTx(source.balances);
    const tx = { ...close, outputs: [close.outputs[0]!, target.model.fundingOutput()] };
    const funding = { ...target.model.funding, tx, outpoint: { txid: txid(tx), vout: 1 } };
    target.ask(target.model.setup(funding));
    target.ask(target.model.validate(0, target.balances, funding));
    source.ask(source.model.mutualClose(tx));
    const { peerId: id, dbid } = target.model.ref;
    target.ask({ name: 'hsmd_forget_channel', id, dbid });
    const again = { ...target.model.setup(funding), isOutbound: false, fundingTxid: bytesOf('life 2') };
    expect(target.refused(again)).toMatchObject({ tag, facts: { funding_signed: true } });
  });

  it('policy-channel-original-channel-id-reuse: trips on the funding of a former life', () => {
    const channel = new OpenChannel();
    const { model } = channel;
    channel.ask(model.setup());
    channel.ask({ ...model.setup(), isOutbound: false, fundingTxid: bytesOf('life 2') });
    expect(channel.tagOf({ ...model.setup(), isOutbound: false })).toBe(tag);
    expect(channel.tagOf(model.setup())).toBe(tag);
  });

  it('policy-channel-original-channel-id-reuse: trips at the 1,025th life of one number', () => {
    const channel = new OpenChannel();
    const { signer, model } = channel;
    channel.ask(model.setup());
    const id = channelId(model.ref);
    const value = signer.state.read(channelRecords, id)!.value;
    const former = (life: number) => ({ kind: formerChannelRecords, id: `${id}/${life}`, version: 1, value });
    signer.state.apply(Array.from({ length: 1023 }, (_, life) => former(life)));
    channel.ask({ ...model.setup(), localToSelfDelay: 100, fundingTxid: bytesOf('life 1,024') });
    const next = { ...model.setup(), localToSelfDelay: 101, fundingTxid: bytesOf('life 1,025') };
    expect(channel.refused(next)).toMatchObject({
      tag,
      facts: { lives: 1024 },
    });
  });
});

function secretOf(channel: OpenChannel, number: number): Uint8Array {
  return releasePerCommitmentSecret(channel.signer.ring, channel.model.ref, number);
}

describe('policy-candidate-exclusive, setup_channel', () => {
  it('policy-candidate-exclusive: passes 16 candidate fundings', () => {
    const channel = new OpenChannel().open();
    for (let i = 1; i < CANDIDATES_MAX; i++)
      channel.ask(channel.model.setup(channel.model.spliceOf(`s${i}`)));
  });
  it('policy-candidate-exclusive: trips on the 17th, and not on one that is known', () => {
    const channel = new OpenChannel().open();
    for (let i = 1; i < CANDIDATES_MAX; i++)
      channel.ask(channel.model.setup(channel.model.spliceOf(`s${i}`)));
    expect(channel.refused(channel.model.setup(channel.model.spliceOf('s17')))).toMatchObject({
      tag: 'policy-candidate-exclusive',
      facts: { fundings: 16, fundings_max: 16 },
    });
    channel.ask(channel.model.setup(channel.model.spliceOf('s3')));
    // A lock makes room.
    channel.ask(channel.model.lock(channel.model.funding));
    channel.ask(channel.model.setup(channel.model.spliceOf('s17')));
  });
});

describe('new_channel', () => {
  it('is always answered, whatever became of the number before', () => {
    const signer = new TestSigner();
    const model = new ChannelModel(signer.keys);
    const request = { name: 'hsmd_new_channel', id: model.ref.peerId, dbid: 1n } as const;
    expect(signer.ask(request)).toEqual({ name: 'hsmd_new_channel_reply' });
    const channel = new OpenChannel({}, signer).open().update(model.initial);
    expect(signer.ask(request)).toEqual({ name: 'hsmd_new_channel_reply' });
    channel.update(channel.balances);
  });
});
