/**
 * LDK's key style: the keys of an LDK seed are those of rust-lightning's own `KeysManager` (npm lightningdevkit 0.1.2-0), and a
 * channel has one name only.
 */
import { readFileSync } from 'node:fs';
import {
  concat,
  fromHex,
  loadSecp256k1,
  p2wpkhOfKey,
  sha256,
  taprootOutputKey,
  toHex,
} from '@countersign/bitcoin';
import fc from 'fast-check';
import { ExpandedKey, initializeWasmFromBinary, KeysManager } from 'lightningdevkit';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type ChannelRef,
  deriveSecret,
  KeyRing,
  LDK_INBOUND_PAYMENT_INFO,
  networkByName,
  releasePerCommitmentSecret,
  Secret,
  signBolt12,
  signBolt12Payer,
  signFunding,
  signWallet,
  signWalletTaproot,
} from '../../src/index.ts';

const secp = loadSecp256k1();
const { bip32Public } = networkByName('regtest')!;
const utf8 = new TextEncoder();
const bytesOf = (label: string): Uint8Array => sha256(utf8.encode(label));

const ringOf = (seed: Uint8Array, style: 'cln' | 'ldk' = 'ldk'): KeyRing =>
  new KeyRing({
    secp256k1: secp,
    seed: Secret.copy(seed, seed.length as 32),
    bip32PublicVersion: bip32Public,
    style,
  });
const nameOf = (id: Uint8Array): ChannelRef => ({ peerId: concat(Uint8Array.of(0), id), dbid: 1n });

beforeAll(async () => {
  const binary = new URL('liblightningjs.wasm', import.meta.resolve('lightningdevkit'));
  await initializeWasmFromBinary(readFileSync(binary));
});

const array32 = fc.uint8Array({ minLength: 32, maxLength: 32 });

describe('the keys of an LDK seed', () => {
  it('are KeysManager’s: the node’s, both of its scripts, and the key of its payment requests', () => {
    fc.assert(
      fc.property(array32, (seed) => {
        const theirs = KeysManager.constructor_new(seed, 7n, 9);
        const ring = ringOf(seed);
        expect(ring.nodeId).toEqual(secp.publicKey(theirs.get_node_secret_key()));
        expect(ring.identity.bolt12).toEqual(ring.nodeId);
        const provider = theirs.as_SignerProvider();
        const destination = provider.get_destination_script(new Uint8Array(32));
        const shutdown = provider.get_shutdown_scriptpubkey();
        const scriptOf = (answer: unknown) => (answer as { readonly res: unknown }).res;
        expect(p2wpkhOfKey(ring.walletPublicKey(0))).toEqual(scriptOf(destination));
        const shutdownScript = scriptOf(shutdown) as { into_inner(): Uint8Array };
        expect(p2wpkhOfKey(ring.walletPublicKey(1))).toEqual(shutdownScript.into_inner());
        const key = deriveSecret(ring, utf8.encode(LDK_INBOUND_PAYMENT_INFO));
        const payments = theirs.as_NodeSigner().get_inbound_payment_key();
        expect(Boolean(payments.eq(ExpandedKey.constructor_new(key)))).toBe(true);
        expect(Boolean(payments.eq(ExpandedKey.constructor_new(ring.nodeId.subarray(1))))).toBe(false);
      }),
      { numRuns: 20 },
    );
  });

  it('are KeysManager’s for every channel_keys_id', () => {
    fc.assert(
      fc.property(array32, array32, (seed, id) => {
        const theirs = KeysManager.constructor_new(seed, 7n, 9).derive_channel_keys(1_000_000n, id);
        const ring = ringOf(seed);
        const { fundingPubkey, basepoints } = ring.channelPublicKeys(nameOf(id));
        expect({ fundingPubkey, ...basepoints }).toEqual({
          fundingPubkey: secp.publicKey(theirs.get_funding_key()),
          revocation: secp.publicKey(theirs.get_revocation_base_key()),
          payment: secp.publicKey(theirs.get_payment_key()),
          delayedPayment: secp.publicKey(theirs.get_delayed_payment_base_key()),
          htlc: secp.publicKey(theirs.get_htlc_base_key()),
        });
        const channel = theirs.as_ChannelSigner();
        const index = (number: number) => 2n ** 48n - 1n - BigInt(number);
        for (const number of [0, 1, 2, 1000]) {
          const secret = channel.release_commitment_secret(index(number)) as unknown as {
            readonly res: Uint8Array;
          };
          expect(releasePerCommitmentSecret(ring, nameOf(id), number)).toEqual(secret.res);
        }
      }),
      { numRuns: 20 },
    );
  });

  it('are these for one seed, whatever version of lightningdevkit is there to compare with', () => {
    const ring = ringOf(bytesOf('an LDK seed'));
    const { fundingPubkey, basepoints } = ring.channelPublicKeys(nameOf(bytesOf('a channel')));
    expect([ring.nodeId, fundingPubkey, basepoints.htlc].map(toHex)).toEqual(VECTOR);
  });
});

const VECTOR = [
  '02e5591f342bb11e83990c214b025291052079fd027a830bff0a7dff69cf4b2134',
  '03a33ef756c41a1e039ecfe2a80e33a11b75dd8efd51f4817c7544fd1143535b23',
  '039d09cc375c849844b60740b3ebd85b2dcd97cbc544fbe7683d5258c6bcb9f600',
];

describe('a channel of an LDK seed', () => {
  const ring = ringOf(bytesOf('seed'));
  const id = bytesOf('channel_keys_id');
  it('has one name only: another would have a ratchet of its own over the same secrets', () => {
    const good = nameOf(id);
    ring.channelPublicKeys(good);
    for (const other of [
      { ...good, dbid: 0n },
      { ...good, dbid: 2n },
      { ...good, dbid: 2n ** 64n - 1n },
      { ...good, peerId: good.peerId.with(0, 2) },
      { ...good, peerId: good.peerId.with(0, 3) },
      { ...good, peerId: id },
      { ...good, peerId: concat(good.peerId, Uint8Array.of(0)) },
    ]) {
      expect(() => ring.channelPublicKeys(other)).toThrow('named by 00');
      expect(() => signFunding(ring, other, id)).toThrow('named by 00');
    }
  });
  it('has keys of its own, even where the ids share the child of m/3’', () => {
    const sameChild = concat(id.subarray(0, 8), bytesOf('another').subarray(8));
    const [a, b] = [id, sameChild].map((one) => ring.channelPublicKeys(nameOf(one)).fundingPubkey);
    expect(toHex(a!)).not.toBe(toHex(b!));
  });
});

describe('the wallet of an LDK seed', () => {
  const seed = bytesOf('seed');
  const ring = ringOf(seed);
  it('has LDK’s two keys first, then those of m/0/0, each of which signs', () => {
    const hash = bytesOf('a sighash');
    for (const index of [0, 1, 2, 9]) {
      const key = ring.walletPublicKey(index);
      expect(secp.verifyEcdsa(hash, signWallet(ring, index, hash), key)).toBe(true);
      const { outputKey } = taprootOutputKey(secp, key.subarray(1));
      expect(secp.verifySchnorr(hash, signWalletTaproot(ring, index, hash), outputKey)).toBe(true);
      expect(ring.walletIndexOf(p2wpkhOfKey(key), 10)).toBe(index);
      // Again, so that no key was wiped by its use.
      expect(signWallet(ring, index, hash)).toEqual(signWallet(ring, index, hash));
    }
    for (const index of [2, 9]) expect(ring.walletPublicKey(index)).toEqual(ring.bip32PublicKey(index));
    for (const index of [0, 1]) expect(ring.walletPublicKey(index)).not.toEqual(ring.bip32PublicKey(index));
    expect(() => ring.walletPublicKey(2 ** 31)).toThrow('out of range');
  });
});

describe('the two styles', () => {
  const seed = bytesOf('seed');
  const [cln, ldk] = [ringOf(seed, 'cln'), ringOf(seed)];
  it('share no key', () => {
    expect([cln.style, ldk.style]).toEqual(['cln', 'ldk']);
    const name = nameOf(bytesOf('channel_keys_id'));
    const keys = [cln, ldk].map((ring) => [
      ring.nodeId,
      ring.identity.bip32,
      ring.walletPublicKey(0),
      ring.walletPublicKey(5),
      ring.channelPublicKeys(name).fundingPubkey,
      ring.channelPublicKeys(name).basepoints.payment,
      deriveSecret(ring, utf8.encode(LDK_INBOUND_PAYMENT_INFO)),
    ]);
    const flat = keys.flat().map(toHex);
    expect(new Set(flat).size).toBe(flat.length);
  });
  it('derive other secrets by HKDF alike, and the inbound payment key in its own way', () => {
    for (const info of ['', 'ldk inbound payment ke', 'ldk inbound payment key ', 'commando'])
      expect(deriveSecret(ldk, utf8.encode(info))).toEqual(deriveSecret(cln, utf8.encode(info)));
    const secret = deriveSecret(ldk, utf8.encode(LDK_INBOUND_PAYMENT_INFO));
    secret.fill(0);
    expect(deriveSecret(ldk, utf8.encode(LDK_INBOUND_PAYMENT_INFO))).not.toEqual(secret);
  });
  it('sign BOLT 12 with the node key in LDK’s', () => {
    const digest = bytesOf('a merkle root');
    const xOnly = ldk.nodeId.subarray(1);
    expect(secp.verifySchnorr(digest, signBolt12(ldk, digest), xOnly)).toBe(true);
    expect(signBolt12Payer(ldk, digest, new Uint8Array(0))).toEqual(signBolt12(ldk, digest));
  });
  it('is CLN’s where nothing is said', () => {
    const plain = new KeyRing({
      secp256k1: secp,
      seed: Secret.copy(seed, 32),
      bip32PublicVersion: bip32Public,
    });
    expect(plain.style).toBe('cln');
    expect(plain.nodeId).toEqual(cln.nodeId);
  });
});

describe('an LDK seed', () => {
  it('has 32 bytes', () => {
    expect(() => ringOf(new Uint8Array(64).fill(1))).toThrow('an LDK seed has 32 bytes');
  });
  it('is of no use once wiped', () => {
    const ring = ringOf(fromHex('11'.repeat(32)));
    const name = nameOf(bytesOf('channel_keys_id'));
    ring.channelPublicKeys(name);
    ring.wipe();
    for (const use of [
      () => signFunding(ring, name, bytesOf('hash')),
      () => signWallet(ring, 0, bytesOf('hash')),
      () => deriveSecret(ring, utf8.encode(LDK_INBOUND_PAYMENT_INFO)),
      () => ring.channelPublicKeys(name),
    ])
      expect(use).toThrow();
  });
});
