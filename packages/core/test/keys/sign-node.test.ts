import { fromHex, loadSecp256k1, toHex } from '@countersign/bitcoin';
import { secp256k1 as noble } from '@noble/curves/secp256k1.js';
import { describe, expect, it } from 'vitest';
import {
  bip137Digest,
  bolt11Digest,
  bolt12Digest,
  type GossipKind,
  gossipDigest,
  leaseDigest,
  lightningMessageDigest,
} from '../../src/keys/digests.ts';
import { signFunding } from '../../src/keys/sign.ts';
import {
  type RecoverableSignature,
  signBolt12Alias,
  signBolt12Payer,
  signGossip,
  signLease,
  signNodeRecoverable,
  signWalletRecoverable,
} from '../../src/keys/sign-node.ts';
import { exchangesOf } from './recordings.ts';

const recoverable = ({ signature, recoveryId }: RecoverableSignature): string =>
  toHex(signature) + toHex(Uint8Array.of(recoveryId));

describe('signatures of messages, byte for byte as CLN recorded them', () => {
  it('SIGN_INVOICE (8)', async () => {
    const exchanges = await exchangesOf(8);
    expect(exchanges.length).toBe(465);
    for (const { ring, request, reply, where } of exchanges) {
      const data = request.take(request.u16be());
      const humanReadablePart = request.take(request.u16be());
      const signed = signNodeRecoverable(ring, bolt11Digest(humanReadablePart, data));
      expect(recoverable(signed), where).toBe(toHex(reply.rest()));
    }
  });

  it('SIGN_MESSAGE (23)', async () => {
    const exchanges = await exchangesOf(23);
    expect(exchanges.length).toBe(11);
    for (const { ring, request, reply, where } of exchanges) {
      const message = request.take(request.u16be());
      const signed = signNodeRecoverable(ring, lightningMessageDigest(message));
      expect(recoverable(signed), where).toBe(toHex(reply.rest()));
    }
  });

  it('BIP137_SIGN_MESSAGE (45)', async () => {
    const exchanges = await exchangesOf(45);
    expect(exchanges.length).toBe(6);
    for (const { ring, request, reply, where } of exchanges) {
      const message = request.take(request.u16be());
      const signed = signWalletRecoverable(ring, request.u32be(), bip137Digest(message));
      expect(recoverable(signed), where).toBe(toHex(reply.rest()));
    }
  });

  it('SIGN_OPTION_WILL_FUND_OFFER (26)', async () => {
    const exchanges = await exchangesOf(26);
    expect(exchanges.length).toBe(2);
    for (const { ring, request, reply, where } of exchanges) {
      const digest = leaseDigest({
        fundingPubkey: request.take(33),
        leaseExpiry_height: request.u32be(),
        channelFeeMaxBase_msat: request.u32be(),
        channelFeeMaxProportional_ppt: request.u16be(),
      });
      expect(toHex(signLease(ring, digest)), where).toBe(toHex(reply.rest()));
    }
  });

  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  const wirestring = (request: { u8(): number }): string => {
    const bytes: number[] = [];
    for (let byte = request.u8(); byte !== 0; byte = request.u8()) bytes.push(byte);
    return text(Uint8Array.from(bytes));
  };

  it('SIGN_BOLT12 (25): node key and tweaked payer key', async () => {
    const exchanges = await exchangesOf(25);
    let tweaked = 0;
    for (const { ring, request, reply, where } of exchanges) {
      const digest = bolt12Digest(wirestring(request), wirestring(request), request.take(32));
      const publicTweak = request.take(request.u16be());
      if (publicTweak.length > 0) tweaked++;
      expect(toHex(signBolt12Payer(ring, digest, publicTweak)), where).toBe(toHex(reply.rest()));
    }
    expect([tweaked, exchanges.length]).toEqual([2, 10]);
  });

  it('SIGN_BOLT12_2 (41): node key and its aliases', async () => {
    const exchanges = await exchangesOf(41);
    let tweaked = 0;
    for (const { ring, request, reply, where } of exchanges) {
      const digest = bolt12Digest(wirestring(request), wirestring(request), request.take(32));
      const info = request.take(request.u16be());
      const tweakMessage = request.take(request.u16be());
      if (tweakMessage.length > 0) tweaked++;
      expect(toHex(signBolt12Alias(ring, digest, info, tweakMessage)), where).toBe(toHex(reply.rest()));
    }
    expect(tweaked).toBeGreaterThan(3);
  });

  it.each([
    [2, 2],
    [4, 101],
  ])('channel_announcement (%i): node and funding key', async (type, count) => {
    const exchanges = await exchangesOf(type);
    expect(exchanges.length).toBe(count);
    for (const { ring, client, request, reply, where } of exchanges) {
      const digest = gossipDigest('channel_announcement', request.take(request.u16be()));
      const channel =
        type === 4
          ? { peerId: request.take(33), dbid: request.u64be() }
          : { peerId: fromHex(client.peer_id), dbid: BigInt(client.dbid) };
      expect(toHex(signGossip(ring, digest)), where).toBe(toHex(reply.take(64)));
      expect(toHex(signFunding(ring, channel, digest)), where).toBe(toHex(reply.take(64)));
    }
  });

  it.each<[number, GossipKind, number]>([
    [6, 'node_announcement', 0],
    // The reply is the whole update: length, type, then the signature.
    [3, 'channel_update', 4],
  ])('gossip (%i) %s', async (type, kind, skip_bytes) => {
    const exchanges = await exchangesOf(type);
    expect(exchanges.length).toBeGreaterThan(20);
    for (const { ring, request, reply, where } of exchanges) {
      const digest = gossipDigest(kind, request.take(request.u16be()));
      reply.take(skip_bytes);
      expect(toHex(signGossip(ring, digest)), where).toBe(toHex(reply.take(64)));
    }
  });
});

describe('signatures of messages verify under the announced keys', () => {
  it('recoverable ones give back the node id', async () => {
    const [first] = await exchangesOf(23);
    const { ring } = first!;
    const digest = lightningMessageDigest(fromHex('00ff'));
    const { signature, recoveryId } = signNodeRecoverable(ring, digest);
    const recovered = noble.Signature.fromBytes(signature, 'compact')
      .addRecoveryBit(recoveryId)
      .recoverPublicKey(digest);
    expect(toHex(recovered.toBytes(true))).toBe(toHex(ring.nodeId));
    expect(loadSecp256k1().verifyEcdsa(digest, signature, ring.nodeId)).toBe(true);
  });
});
