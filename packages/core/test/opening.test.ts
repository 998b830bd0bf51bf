/**
 * What a channel must be like to be opened: delays, value, number, keys and the script it closes to (attack A50).
 */
import {
  addressToScript,
  p2shOfScript,
  p2trScript,
  p2wpkhOfKey,
  sat,
  scriptToAddress,
  taprootOutputKey,
  toHex,
} from '@countersign/bitcoin';
import { type AllowlistEntry, allowlistRecords, channelRecords, nodeRecords } from '@countersign/core';
import type { MessageOf, Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { peerKeyRecords } from '../src/records/channel.ts';
import { ChannelModel } from './channel-model.ts';
import { OpenChannel } from './open-channel.ts';
import { bytesOf, MASTER, ringOf, secp, TestSigner } from './test-signer.ts';

type Setup = MessageOf<'hsmd_setup_channel'>;

function strict(set: TestSigner['set'] = {}, ring?: TestSigner['ring']): TestSigner {
  const signer = new TestSigner(ring);
  signer.preset = 'hub';
  signer.set = set;
  return signer;
}

const setupOf = (signer: TestSigner, change: Partial<Setup> = {}) => {
  const channel = new OpenChannel({}, signer);
  return { channel, request: { ...channel.model.setup(), ...change } };
};

describe('policy-channel-contest-delay-range', () => {
  const sides = [
    ['policy-channel-contest-delay-range-holder', 'remoteToSelfDelay'],
    ['policy-channel-contest-delay-range-counterparty', 'localToSelfDelay'],
  ] as const;
  it.each([
    ['policy-channel-contest-delay-range-holder: trips out of 4 to 2,016 blocks (A50)', ...sides[0]],
    ['policy-channel-contest-delay-range-counterparty: trips out of 4 to 2,016 blocks (A50)', ...sides[1]],
  ] as const)('%s', (_, tag, field) => {
    for (const delay of [0, 1, 3, 2017, 60_000]) {
      const signer = strict();
      const { channel, request } = setupOf(signer, { [field]: delay });
      expect(channel.refused(request)).toMatchObject({
        tag,
        facts: { delay_blocks: delay, delay_min_blocks: 4, delay_max_blocks: 2016 },
      });
      expect(signer.state.keys).toEqual([]);
      channel.open();
    }
  });
  it.each([
    ['policy-channel-contest-delay-range-holder: passes the ends of the range', ...sides[0]],
    ['policy-channel-contest-delay-range-counterparty: passes the ends of the range', ...sides[1]],
  ] as const)('%s', (_, tag, field) => {
    for (const delay of [4, 2016]) {
      const { channel, request } = setupOf(strict(), { [field]: delay });
      channel.ask(request);
    }
    // With a warning, where the operator set warn.
    const warned = strict({ severities: new Map([[tag, 'warn']]) });
    const { channel, request } = setupOf(warned, { [field]: 3 });
    expect(warned.decide(request, warned.clientFor(request, channel.model.ref))).toMatchObject({
      warnings: [{ tag }],
    });
  });
  it('takes the limits of the peer and of the channel before its own', () => {
    const { channel, request } = setupOf(strict(), { remoteToSelfDelay: 3 });
    const override = { severities: new Map(), zeroConf: false, sharedAllowlist: false };
    const limits = { contestDelayMinBlocks: 3 };
    channel.signer.set = { peers: new Map([[toHex(channel.model.ref.peerId), { ...override, limits }]]) };
    channel.ask(request);
    const other = setupOf(strict(), { remoteToSelfDelay: 3 });
    const funding = `${toHex(Uint8Array.from(request.fundingTxid).reverse())}:${request.fundingTxout}`;
    other.channel.signer.set = { channels: new Map([[funding, { ...override, limits }]]) };
    other.channel.ask(other.request);
    other.channel.signer.set = { channels: new Map([[`${funding}1`, { ...override, limits }]]) };
    other.channel.signer.state = strict().state;
    expect(other.channel.tagOf(other.request)).toBe(sides[0][0]);
  });
  it('is not judged again for a channel that is open, whatever the policy is then', () => {
    const channel = new OpenChannel({}, strict()).open();
    channel.update(channel.balances);
    channel.signer.set = { limits: { contestDelayMinBlocks: 2000 } };
    channel.ask(channel.model.setup());
    channel.ask(channel.model.setup(channel.model.spliceOf('splice')));
  });
});

describe('policy-funding-max', () => {
  const tag = 'policy-funding-max';
  const limits = { fundingMaxSat: 1_000_000n };
  it('policy-funding-max: passes the limit and trips on a satoshi more', () => {
    const { channel, request } = setupOf(strict({ limits }), { channelValue: sat(1_000_001n) });
    expect(channel.refused(request)).toMatchObject({
      tag,
      facts: { value_sat: 1_000_001n, value_max_sat: 1_000_000n },
    });
    expect(channel.signer.state.keys).toEqual([]);
    channel.ask({ ...request, channelValue: sat(1_000_000n) });
  });
  it('policy-funding-max: trips on a splice or another round that makes a channel too large', () => {
    const channel = new OpenChannel({ valueSat: 900_000n }, strict({ limits })).open();
    channel.update(channel.balances);
    const splice = channel.model.setup(channel.model.spliceOf('splice'));
    expect(channel.tagOf({ ...splice, channelValue: sat(1_000_001n) })).toBe(tag);
    channel.ask({ ...splice, channelValue: sat(1_000_000n) });
  });
  it('policy-funding-max: passes with a warning at warn', () => {
    const signer = strict({ limits, severities: new Map([[tag, 'warn']]) });
    const { channel, request } = setupOf(signer, { channelValue: sat(2_000_000n) });
    expect(signer.decide(request, signer.clientFor(request, channel.model.ref))).toMatchObject({
      warnings: [{ tag }],
    });
  });
});

describe('policy-channel-count-limit', () => {
  const tag = 'policy-channel-count-limit';
  const liveOf = (signer: TestSigner) => signer.state.read(nodeRecords, 'node')?.value?.channelsLive;
  const channelOf = (signer: TestSigner, n: number) =>
    new OpenChannel({ dbid: BigInt(n), peer: `peer ${n}` }, signer);
  const forget = (channel: OpenChannel): Request => ({
    name: 'hsmd_forget_channel',
    id: channel.model.ref.peerId,
    dbid: channel.model.ref.dbid,
  });
  it('policy-channel-count-limit: trips on one channel more than there may be', () => {
    const signer = strict({ limits: { channelsMax: 2 } });
    const [a, b, c] = [1, 2, 3].map((n) => channelOf(signer, n)) as [OpenChannel, OpenChannel, OpenChannel];
    a.open();
    b.open();
    // new_channel is answered: lightningd dies of a refusal.
    c.signer.ask({ name: 'hsmd_new_channel', id: c.model.ref.peerId, dbid: 3n }, null, MASTER);
    expect(c.refused(c.model.setup())).toMatchObject({ tag, facts: { channels: 2, channels_max: 2 } });
    // Those that live are not refused anything.
    a.ask(a.model.setup());
    a.update(a.balances);
    a.ask(a.model.setup(a.model.spliceOf('splice')));
    expect(liveOf(signer)).toBe(2);
    signer.ask(forget(b));
    expect(liveOf(signer)).toBe(1);
    c.open();
    expect(liveOf(signer)).toBe(2);
  });
  it('counts a channel once, however often it is set up or forgotten', () => {
    const signer = strict();
    const channel = channelOf(signer, 1);
    signer.ask(forget(channel));
    expect(liveOf(signer)).toBeUndefined();
    channel.ask(channel.model.setup());
    channel.ask(channel.model.setup());
    // An opening that failed and begins again under the same number.
    channel.ask({ ...channel.model.setup(), isOutbound: false, fundingTxid: bytesOf('life 2') });
    expect(liveOf(signer)).toBe(1);
    for (let i = 0; i < 2; i++) signer.ask(forget(channel));
    expect(liveOf(signer)).toBe(0);
    // Forgotten, it comes back with another funding.
    channel.ask({ ...channel.model.setup(), isOutbound: false, fundingTxid: bytesOf('funding 3') });
    expect(liveOf(signer)).toBe(1);
  });
  it('policy-channel-count-limit: passes an opening that begins again when all places are taken', () => {
    const signer = strict({ limits: { channelsMax: 1 } });
    const channel = channelOf(signer, 1);
    channel.ask(channel.model.setup());
    channel.ask({ ...channel.model.setup(), isOutbound: false, fundingTxid: bytesOf('life 2') });
  });
});

describe('policy-channel-reuse-keys', () => {
  const tag = 'policy-channel-reuse-keys';
  const two = () => {
    const signer = strict();
    const first = new OpenChannel({ dbid: 1n }, signer);
    const second = new OpenChannel({ dbid: 2n, peer: 'another peer' }, signer);
    return { signer, first, second };
  };
  /** The second channel's setup with one key of the first one's. */
  const reusing = (first: OpenChannel, second: OpenChannel, name: string): Setup => {
    const [one, other] = [first.model.setup(), second.model.setup()];
    const key = name === 'funding' ? one.remoteFundingPubkey : one.remoteBasepoints[name as 'htlc'];
    return { ...other, remoteBasepoints: { ...other.remoteBasepoints, htlc: key } };
  };
  it.each(['funding', 'revocation', 'htlc'])(
    'policy-channel-reuse-keys: trips on the %s key of another channel, in whatever place',
    (name) => {
      const { signer, first, second } = two();
      first.open();
      const other = second.model.setup();
      const request = reusing(first, second, name);
      const key = request.remoteBasepoints.htlc;
      for (const reused of [
        request,
        { ...other, remoteFundingPubkey: key },
        { ...other, remoteBasepoints: { ...other.remoteBasepoints, revocation: key } },
      ]) {
        const before = signer.state.snapshot();
        expect(second.refused(reused)).toMatchObject({
          tag,
          facts: { channel: `${toHex(first.model.ref.peerId)}/1` },
        });
        expect(signer.state.snapshot()).toBe(before);
      }
      second.open();
    },
  );
  it.each(['payment', 'delayedPayment'])(
    'policy-channel-reuse-keys: passes the %s basepoint of another channel',
    (name) => {
      const { first, second } = two();
      first.open();
      second.ask(reusing(first, second, name));
    },
  );
  it('policy-channel-reuse-keys: passes the keys of an opening that came to nothing, and only then', () => {
    const { signer, first, second } = two();
    first.ask(first.model.setup());
    second.ask(reusing(first, second, 'htlc'));
    // The key belongs to the second channel now.
    const owner = signer.state.read(peerKeyRecords, toHex(first.model.setup().remoteBasepoints.htlc));
    expect(owner?.value).toBe(`${toHex(second.model.ref.peerId)}/2`);
  });
  it('policy-channel-reuse-keys: trips on a key whose channel is forgotten but was in use', () => {
    const { signer, first, second } = two();
    first.open();
    first.update(first.balances);
    signer.ask({ name: 'hsmd_forget_channel', id: first.model.ref.peerId, dbid: 1n });
    expect(second.tagOf(reusing(first, second, 'htlc'))).toBe(tag);
  });
  it('policy-channel-reuse-keys: passes the keys of one channel in its splices, its rounds and its next life', () => {
    const signer = strict();
    const channel = new OpenChannel({}, signer);
    channel.ask(channel.model.setup());
    channel.ask({ ...channel.model.setup(), isOutbound: false, fundingTxid: bytesOf('life 2') });
    const opened = new OpenChannel({ dbid: 7n, peer: 'spliced' }, signer).open();
    opened.ask({ ...opened.model.setup(), fundingTxid: bytesOf('round 2') });
    opened.update(opened.balances);
    opened.ask(opened.model.setup(opened.model.spliceOf('splice')));
  });
  it('policy-channel-reuse-keys: passes a key that its former owner gave up for another', () => {
    const { signer, first, second } = two();
    first.ask(first.model.setup());
    const changed = secp.publicKey(bytesOf('its new key'));
    const setup = first.model.setup();
    const remoteBasepoints = { ...setup.remoteBasepoints, htlc: changed };
    first.ask({ ...setup, remoteBasepoints, fundingTxid: bytesOf('life 2') });
    // In use since, with its new key.
    const id = `${toHex(first.model.ref.peerId)}/1`;
    const stored = signer.state.read(channelRecords, id)!;
    const value = { ...stored.value!, holderNextRevoke: 1 };
    signer.state.apply([{ kind: channelRecords, id, version: stored.version + 1, value }]);
    const taken = { ...second.model.setup().remoteBasepoints, revocation: changed };
    expect(second.tagOf({ ...second.model.setup(), remoteBasepoints: taken })).toBe(tag);
    second.ask(reusing(first, second, 'htlc'));
  });
});

describe('policy-mutual-destination-allowlisted, at the opening', () => {
  const tag = 'policy-mutual-destination-allowlisted';
  const foreign = p2wpkhOfKey(secp.publicKey(bytesOf('a stranger')));
  const kinds = [
    ['plain', strict()],
    ['mnemonic', strict({}, ringOf('a mnemonic', 'mnemonic'))],
  ] as const;
  /** What CLN's wallet makes of a key. */
  const scriptsOf = (key: Uint8Array) => {
    const program = p2wpkhOfKey(key);
    return [program, p2shOfScript(program), p2trScript(taprootOutputKey(secp, key.subarray(1)).outputKey)];
  };
  const asking = (signer: TestSigner, script: Uint8Array, index?: number) => {
    const channel = new OpenChannel({}, signer);
    const localShutdownWalletIndex = index === undefined ? {} : { localShutdownWalletIndex: index };
    return {
      channel,
      request: { ...channel.model.setup(), localShutdownScript: script, ...localShutdownWalletIndex },
    };
  };
  const fresh = (of: TestSigner): TestSigner => strict(of.set, of.ring);

  it.each(kinds)(
    'policy-mutual-destination-allowlisted: passes every script of our wallet, whatever index is named, %s',
    (_, of) => {
      for (const script of scriptsOf(of.keys.walletPublicKey(7)!)) {
        for (const index of [7, 6, 0x8000_0007, undefined]) {
          const { channel, request } = asking(fresh(of), script, index);
          channel.ask(request);
        }
      }
    },
  );
  it.each(kinds)(
    'policy-mutual-destination-allowlisted: trips on a script of a key that the wallet does not sign with, %s',
    (_, of) => {
      const unused = of.ring.hasBip86Wallet ? of.keys.bip32PublicKey(7)! : secp.publicKey(bytesOf('no key'));
      for (const script of scriptsOf(unused)) {
        const { channel, request } = asking(fresh(of), script, 7);
        expect(channel.refused(request)).toMatchObject({
          tag,
          facts: { script: toHex(script), wallet_index: 7 },
        });
        expect(channel.signer.state.keys).toEqual([]);
      }
    },
  );
  it('policy-onchain-wallet-path-predictable: trips on an upfront script far above all indices in use', () => {
    const signer = strict();
    for (const index of [1001, 2 ** 31 - 1]) {
      const [script] = scriptsOf(signer.keys.walletPublicKey(index)!) as [Uint8Array];
      const { channel, request } = asking(fresh(signer), script, index);
      expect(channel.tagOf(request)).toBe('policy-onchain-wallet-path-predictable');
      expect(channel.tagOf({ ...request, localShutdownWalletIndex: 5 })).toBe(tag);
    }
  });
  it('policy-mutual-destination-allowlisted: trips on a foreign script, whatever index it names', () => {
    for (const index of [undefined, 0, 7]) {
      const { channel, request } = asking(strict(), foreign, index);
      expect(channel.tagOf(request)).toBe(tag);
    }
  });
  const address = scriptToAddress(foreign, 'regtest')!;
  const entries: readonly (readonly [string, AllowlistEntry])[] = [
    ['address', { kind: 'address', text: address, addedAtSeconds: 1 }],
    ['script', { kind: 'script', text: toHex(foreign), addedAtSeconds: 1 }],
  ];
  it.each(entries)(
    'policy-mutual-destination-allowlisted: passes a foreign script on the allowlist by its %s',
    (_, entry) => {
      const configured = asking(strict({ allowlist: [entry] }), foreign);
      configured.channel.ask(configured.request);
      const added = asking(strict(), foreign);
      added.channel.signer.state.apply([{ kind: allowlistRecords, id: 'list', version: 1, value: [entry] }]);
      added.channel.ask(added.request);
      // Another script is not on it for that.
      const other = asking(strict({ allowlist: [entry] }), p2wpkhOfKey(secp.publicKey(bytesOf('2'))));
      expect(other.channel.tagOf(other.request)).toBe(tag);
    },
  );
  it('policy-mutual-destination-allowlisted: trips beside entries that are no script', () => {
    const allowlist: readonly AllowlistEntry[] = [
      { kind: 'payee', text: toHex(secp.publicKey(bytesOf('payee'))), addedAtSeconds: 1 },
      { kind: 'address', text: scriptToAddress(foreign, 'bitcoin')!, addedAtSeconds: 1 },
    ];
    const { channel, request } = asking(strict({ allowlist }), foreign);
    expect(channel.tagOf(request)).toBe(tag);
    expect(addressToScript(address, 'regtest').ok).toBe(true);
  });
  it('policy-mutual-destination-allowlisted: passes a channel without an upfront script', () => {
    const channel = new OpenChannel({}, strict()).open();
    expect(channel.signer.state.read(channelRecords, `${toHex(channel.model.ref.peerId)}/1`)).toBeDefined();
  });
});

describe('a channel that a refusal stopped', () => {
  it('is opened a moment later with what is allowed', () => {
    const signer = strict();
    const model = new ChannelModel(signer.keys, {});
    expect(signer.refused({ ...model.setup(), localToSelfDelay: 1 }, model.ref).temporary).toBe(false);
    signer.ask(model.setup(), model.ref);
  });
});
