/**
 * vls_sign_gossip_message: a gossip message without its type is signed only when every byte of it has a meaning, and the
 * meaning is this node on this chain (`policy-key-use`).
 */
import { concat, hash256 } from '@countersign/bitcoin';
import { networkByName } from '@countersign/core';
import type { Request } from '@countersign/wire';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf, regtest, secp, TestSigner } from './test-signer.ts';

const signer = new TestSigner();
const tag = 'policy-key-use';
const u16 = (value: number) => Uint8Array.of(value >> 8, value & 0xff);
const zeros = (bytes: number) => new Uint8Array(bytes);
const stranger = secp.publicKey(bytesOf('a stranger'));
const other = secp.publicKey(bytesOf('another stranger'));

const ask = (message: Uint8Array): Request => ({ name: 'vls_sign_gossip_message', message });
const tagOf = (message: Uint8Array) => signer.refused(ask(message)).tag;

function expectSigned(message: Uint8Array): void {
  const reply = signer.ask(ask(message));
  if (reply.name !== 'vls_sign_gossip_message_reply') throw new Error(reply.name);
  expect(secp.verifyEcdsa(hash256(message), reply.signature, signer.ring.nodeId)).toBe(true);
}

const update = (chain = regtest.chainHash) => concat(chain, bytesOf('update'), zeros(8));
const channel = (nodes: readonly Uint8Array[], chain = regtest.chainHash, features = zeros(0)) =>
  concat(u16(features.length), features, chain, zeros(8), ...nodes, stranger, other);
const node = (id = signer.ring.nodeId, features = zeros(7), addresses = zeros(14)) =>
  concat(
    u16(features.length),
    features,
    zeros(4),
    id,
    zeros(3),
    bytesOf('alias'),
    u16(addresses.length),
    addresses,
  );

const forms: readonly (readonly [string, Uint8Array])[] = [
  ['a channel_update', update()],
  ['a channel_announcement', channel([signer.ring.nodeId, stranger])],
  [
    'one in the other order, with features',
    channel([stranger, signer.ring.nodeId], regtest.chainHash, zeros(3)),
  ],
  ['a node_announcement', node()],
  ['one with nothing to tell', node(signer.ring.nodeId, zeros(0), zeros(0))],
];

describe('policy-key-use, gossip without its type', () => {
  it.each(forms)('policy-key-use: passes %s', (_, message) => {
    expectSigned(message);
  });
  it.each(forms)('policy-key-use: trips on %s with a byte more or less anywhere', (_, message) => {
    expect(tagOf(concat(message, zeros(1)))).toBe(tag);
    for (let length = 0; length < message.length; length += 7)
      expect(tagOf(message.subarray(0, length)), `${length} bytes`).toBe(tag);
    expect(tagOf(message.subarray(0, -1))).toBe(tag);
    expect(tagOf(message.subarray(1))).toBe(tag);
  });
  it.each([
    ['an update for another chain', update(networkByName('bitcoin')!.chainHash)],
    ['a channel of others', channel([stranger, other])],
    ['a channel on another chain', channel([signer.ring.nodeId, stranger], zeros(32))],
    ['another node', node(stranger)],
    ['a message with its type and signature', concat(u16(257), zeros(64), node())],
    ['text as signmessage signs it', new TextEncoder().encode('Lightning Signed Message:I am the owner')],
    ['nothing', zeros(0)],
  ])('policy-key-use: trips on %s', (_, message) => {
    expect(tagOf(message)).toBe(tag);
  });
  it('policy-key-use: trips on all bytes that begin as a text to be signed does', () => {
    const prefix = new TextEncoder().encode('Lightning Signed Message:');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (rest) => {
        expect(tagOf(concat(prefix, rest))).toBe(tag);
      }),
    );
  });
});
