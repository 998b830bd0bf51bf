/**
 * BOLT 7 gossip: the funding key signs one whole channel_announcement of its own channel on our chain, and nothing
 * that could be read as a spend (attack A66).
 */
import { concat, fundingScript, hash256, SIGHASH, segwitV0Sighash } from '@countersign/bitcoin';
import { networkByName } from '@countersign/core';
import type { MessageOf, Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { OpenChannel } from './open-channel.ts';
import { bytesOf, regtest, secp } from './test-signer.ts';

const channel = new OpenChannel().open();
const { model, signer } = channel;
const generic = { tag: 'policy-generic-error', code: 'malformed' };

const u16 = (value: number) => Uint8Array.of(value >> 8, value & 0xff);
const zeros = (bytes: number) => new Uint8Array(bytes);

interface Parts {
  readonly type?: number;
  readonly features?: Uint8Array;
  readonly chain?: Uint8Array;
  readonly nodes?: readonly Uint8Array[];
  readonly keys?: readonly Uint8Array[];
  readonly tail?: Uint8Array;
}

function announcement(parts: Parts = {}): Uint8Array {
  const { type = 256, features = zeros(0), chain = regtest.chainHash, tail = zeros(0) } = parts;
  const { nodes = [signer.ring.nodeId, model.ref.peerId] } = parts;
  const { keys = [model.holderFundingKey, model.funding.peerKey] } = parts;
  return concat(
    u16(type),
    zeros(256),
    u16(features.length),
    features,
    chain,
    zeros(8),
    ...nodes,
    ...keys,
    tail,
  );
}

const byClient = (ca: Uint8Array): Request => ({ name: 'hsmd_cannouncement_sig_req', ca });
const byMaster = (ca: Uint8Array): MessageOf<'hsmd_sign_any_cannouncement_req'> => ({
  name: 'hsmd_sign_any_cannouncement_req',
  ca,
  peerid: model.ref.peerId,
  channelDbid: model.ref.dbid,
});
const forms = [byClient, byMaster];

describe('policy-key-use, channel_announcement', () => {
  const tag = 'policy-key-use';
  const stranger = secp.publicKey(bytesOf('a stranger'));
  const cases: readonly (readonly [string, Parts])[] = [
    ['another chain', { chain: networkByName('bitcoin')!.chainHash }],
    ['a chain that differs in one bit', { chain: regtest.chainHash.with(31, regtest.chainHash[31]! ^ 1) }],
    ['another node in our place', { nodes: [stranger, model.ref.peerId] }],
    ['another peer', { nodes: [signer.ring.nodeId, stranger] }],
    ['our node twice', { nodes: [signer.ring.nodeId, signer.ring.nodeId] }],
    ['another funding key in our place', { keys: [stranger, model.funding.peerKey] }],
    ["a stranger's key in the place of the peer's funding key", { keys: [model.holderFundingKey, stranger] }],
    ['our funding key twice', { keys: [model.holderFundingKey, model.holderFundingKey] }],
    ['a trailing byte', { tail: zeros(1) }],
    ['another announcement behind it', { tail: zeros(430) }],
  ];
  it.each(cases)('policy-key-use: trips on an announcement with %s', (_, parts) => {
    for (const form of forms) expect(channel.tagOf(form(announcement(parts)))).toBe(tag);
  });
  it('policy-key-use: trips on an announcement that is too short by any number of bytes', () => {
    const whole = announcement({ features: Uint8Array.of(0x80) });
    for (const length of [258, 259, 260, 300, 400, whole.length - 1])
      expect(channel.tagOf(byClient(whole.subarray(0, length)))).toBe(tag);
    for (const length of [0, 1, 2, 257])
      expect(channel.refused(byClient(whole.subarray(0, length)))).toMatchObject(generic);
  });
  it('policy-key-use: trips on the announcement of another channel with the same peer', () => {
    const other = new OpenChannel({ dbid: 2n }, signer).open();
    expect(other.tagOf(byClient(announcement()))).toBe(tag);
    const mixed = announcement({ keys: [other.model.holderFundingKey, model.funding.peerKey] });
    expect(other.tagOf(byClient(mixed))).toBe(tag);
  });

  it('policy-key-use: trips on 258 bytes and a BIP 143 preimage that spends the funding (A66)', () => {
    const { tx } = model.build('holder', 0, model.initial);
    const script = fundingScript(model.holderFundingKey, model.funding.peerKey);
    const preimage = bip143Preimage(tx, script, model.funding.valueSat);
    expect(hash256(preimage)).toEqual(
      segwitV0Sighash(tx, 0, script, model.fundingOutput().value, SIGHASH.ALL),
    );
    const crafted = concat(u16(256), zeros(256), preimage);
    for (const form of forms) expect(channel.tagOf(form(crafted))).toBe(tag);
    // With a version that reads as the length of features so that the sizes agree.
    for (let version = 0; version <= preimage.length; version++) {
      const sized = concat(u16(256), zeros(256), u16(version), preimage.subarray(2));
      expect(channel.tagOf(byClient(sized))).toBe(tag);
    }
  });

  it.each([0, 1, 7, 300])(
    'policy-key-use: passes the whole announcement with %i bytes of features',
    (length) => {
      const ca = announcement({ features: zeros(length) });
      for (const form of forms) {
        const reply = channel.ask(form(ca));
        if (!('nodeSignature' in reply)) throw new Error(reply.name);
        const digest = hash256(ca.subarray(258));
        expect(secp.verifyEcdsa(digest, reply.nodeSignature, signer.ring.nodeId)).toBe(true);
        expect(secp.verifyEcdsa(digest, reply.bitcoinSignature, model.holderFundingKey)).toBe(true);
      }
    },
  );
  it('policy-key-use: passes either order of the nodes', () => {
    const nodes = [model.ref.peerId, signer.ring.nodeId];
    channel.ask(byClient(announcement({ nodes, keys: [model.funding.peerKey, model.holderFundingKey] })));
  });
  it('policy-key-use: passes the funding key of a splice, and that of a channel nobody set up here', () => {
    const spliced = new OpenChannel({ dbid: 3n }, signer).open();
    const splice = spliced.candidate(spliced.model.spliceOf('splice'));
    const keys = (peerKey: Uint8Array) => ({ keys: [spliced.model.holderFundingKey, peerKey] });
    spliced.ask(byClient(announcement(keys(splice.peerKey))));
    spliced.lock(splice);
    expect(spliced.tagOf(byClient(announcement(keys(spliced.model.funding.peerKey))))).toBe(tag);
    const restored = new OpenChannel({ dbid: 4n }, signer);
    restored.ask(byClient(announcement({ keys: [restored.model.holderFundingKey, stranger] })));
  });
  it('policy-key-use: passes a channel named by 00 and a key id with any peer node, and trips on all else', () => {
    const named = new OpenChannel({ name: concat(zeros(1), bytesOf('channel_keys_id')), dbid: 5n }).open();
    const { holderFundingKey, funding } = named.model;
    const keys = [holderFundingKey, funding.peerKey];
    const nodes = [signer.ring.nodeId, stranger];
    const byName = (ca: Uint8Array): Request => ({
      ...byMaster(ca),
      peerid: named.model.ref.peerId,
      channelDbid: 5n,
    });
    for (const form of [byClient, byName]) {
      named.ask(form(announcement({ nodes, keys })));
      expect(named.tagOf(form(announcement({ nodes: [stranger, stranger], keys })))).toBe(tag);
      expect(named.tagOf(form(announcement({ nodes, keys: [holderFundingKey, stranger] })))).toBe(tag);
      expect(named.tagOf(form(announcement({ nodes, keys: [stranger, funding.peerKey] })))).toBe(tag);
      expect(named.tagOf(form(announcement({ nodes, keys, chain: zeros(32) })))).toBe(tag);
    }
  });
  it('refuses another message type, and a client without a channel', () => {
    expect(channel.refused(byClient(announcement({ type: 257 })))).toMatchObject(generic);
    expect(signer.refused(byClient(announcement()), null)).toMatchObject(generic);
  });
});

/** BIP 143, SIGHASH_ALL, one input. */
function bip143Preimage(
  tx: ReturnType<typeof model.build>['tx'],
  script: Uint8Array,
  valueSat: bigint,
): Uint8Array {
  const le = (value: bigint, bytes: number) =>
    Uint8Array.from({ length: bytes }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
  const [spending] = tx.inputs;
  const outpoint = concat(spending!.txid, le(BigInt(spending!.vout), 4));
  const sequence = le(BigInt(spending!.sequence), 4);
  const outputs = tx.outputs.map(({ value, script: one }) =>
    concat(le(value, 8), Uint8Array.of(one.length), one),
  );
  return concat(
    le(2n, 4),
    hash256(outpoint),
    hash256(sequence),
    outpoint,
    Uint8Array.of(script.length),
    script,
    le(valueSat, 8),
    sequence,
    hash256(concat(...outputs)),
    le(BigInt(tx.locktime), 4),
    le(1n, 4),
  );
}

describe('channel_update', () => {
  const update = (bytes: number) => concat(u16(258), bytesOf('update'), zeros(bytes - 34));
  it('is answered with the signature in place, without what followed it', () => {
    const cu = concat(update(138), bytesOf('excess'));
    const reply = channel.ask({ name: 'hsmd_cupdate_sig_req', cu });
    if (reply.name !== 'hsmd_cupdate_sig_reply') throw new Error(reply.name);
    expect(reply.cu).toHaveLength(138);
    expect(reply.cu.subarray(66)).toEqual(cu.subarray(66, 138));
    expect(secp.verifyEcdsa(hash256(cu.subarray(66)), reply.cu.subarray(2, 66), signer.ring.nodeId)).toBe(
      true,
    );
  });
  it.each([0, 2, 66, 137])('is refused with %i bytes', (bytes) => {
    const cu = update(138).subarray(0, bytes);
    expect(channel.refused({ name: 'hsmd_cupdate_sig_req', cu })).toMatchObject(generic);
  });
  it('is refused with the type of another message', () => {
    for (const type of [256, 257, 0]) {
      const cu = concat(u16(type), zeros(136));
      expect(channel.refused({ name: 'hsmd_cupdate_sig_req', cu })).toMatchObject(generic);
    }
  });
});

describe('node_announcement', () => {
  const ask = (announcement: Uint8Array): Request => ({
    name: 'hsmd_node_announcement_sig_req',
    announcement,
  });
  it('is signed with the node key', () => {
    const message = concat(u16(257), zeros(64), bytesOf('body'));
    const reply = channel.ask(ask(message));
    if (reply.name !== 'hsmd_node_announcement_sig_reply') throw new Error(reply.name);
    expect(secp.verifyEcdsa(hash256(message.subarray(66)), reply.signature, signer.ring.nodeId)).toBe(true);
  });
  it('is refused when short or of another type', () => {
    for (const message of [zeros(0), u16(257), concat(u16(257), zeros(63)), concat(u16(256), zeros(64))])
      expect(channel.refused(ask(message))).toMatchObject(generic);
  });
});
