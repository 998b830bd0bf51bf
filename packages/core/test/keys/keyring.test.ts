import {
  ByteReader,
  CountersignError,
  FormError,
  fromHex,
  hash160,
  InvariantError,
  loadSecp256k1,
  toHex,
} from '@countersign/bitcoin';
import { HDKey } from '@scure/bip32';
import { beforeAll, describe, expect, it } from 'vitest';
import { channelKeys, KeyRing, ringSecrets, withWalletKey } from '../../src/keys/keyring.ts';
import { checkFutureSecret, deriveSecret, ecdh, releasePerCommitmentSecret } from '../../src/keys/release.ts';
import { Secret } from '../../src/keys/secret.ts';
import { type Exchange, exchangesOf, recordings, ringFor } from './recordings.ts';

const secp = loadSecp256k1();
const TESTNET = 0x043587cf;
const PEER = fromHex('02069ebcaa6232e825598dd357c48d6b054134fedada4262a75223a54ebe6a6cfe');

function ringOf(byte: number, channelsCachedMax?: number): KeyRing {
  return new KeyRing({
    secp256k1: secp,
    seed: Secret.own(new Uint8Array(32).fill(byte), 32),
    bip32PublicVersion: TESTNET,
    ...(channelsCachedMax !== undefined && { channelsCachedMax }),
  });
}

const channelOf = ({ client }: Exchange) => ({ peerId: fromHex(client.peer_id), dbid: BigInt(client.dbid) });

describe('INIT (11 → 114): what a node is told, in every recording', () => {
  const answered = recordings.flatMap((recording) =>
    recording.lines
      .filter((line) => line.type_num === 11 && line.reply !== null)
      .map((line) => ({ name: `${recording.name} #${line.seq}`, recording, line })),
  );

  it('covers all scenarios and synthetic cases', () => {
    expect(answered.length).toBe(54);
  });

  it.each(answered)('$name', async ({ recording, line }) => {
    const { ring, secret } = await ringFor(recording, line.request);
    const reader = new ByteReader(fromHex(line.reply!));
    reader.take(2 + 4);
    reader.take(4 * reader.u16be());
    expect(toHex(ring.nodeId)).toBe(toHex(reader.take(33)));
    expect(toHex(ring.identity.bip32)).toBe(toHex(reader.take(78)));
    expect(toHex(ring.identity.bolt12)).toBe(toHex(reader.take(33)));
    const tlvs = [1, 1, secret.hsmSecretType];
    const { bip86Base } = ring.identity;
    if (bip86Base !== undefined) tlvs.push(2, 78, ...bip86Base);
    expect(toHex(reader.rest())).toBe(toHex(Uint8Array.from(tlvs)));
    expect(ring.hasBip86Wallet).toBe(secret.seed.length === 64);
  });
});

describe('public keys, in every recording', () => {
  it('CHECK_PUBKEY (28)', async () => {
    const exchanges = await exchangesOf(28);
    expect(exchanges.length).toBe(866);
    for (const { ring, request, where } of exchanges) {
      expect(toHex(ring.bip32PublicKey(request.u32be())), where).toBe(toHex(request.rest()));
    }
  });

  it('CHECK_BIP86_PUBKEY (56)', async () => {
    const exchanges = await exchangesOf(56);
    expect(exchanges.length).toBe(1185);
    for (const { ring, request, where } of exchanges) {
      expect(toHex(ring.bip86PublicKey(request.u32be())), where).toBe(toHex(request.rest()));
    }
  });

  it('GET_CHANNEL_BASEPOINTS (10)', async () => {
    const exchanges = await exchangesOf(10);
    expect(exchanges.length).toBe(47);
    for (const { ring, request, replyBytes, where } of exchanges) {
      const { fundingPubkey, basepoints } = ring.channelPublicKeys({
        peerId: request.take(33),
        dbid: request.u64be(),
      });
      const { revocation, payment, htlc, delayedPayment } = basepoints;
      const keys = [revocation, payment, htlc, delayedPayment, fundingPubkey];
      expect(toHex(replyBytes.subarray(2)), where).toBe(keys.map(toHex).join(''));
    }
  });

  it('GET_PER_COMMITMENT_POINT (18), with the old secret where versions below 6 give it', async () => {
    const exchanges = await exchangesOf(18);
    let secrets = 0;
    for (const { ring, request, reply, where, ...rest } of exchanges) {
      const channel = channelOf({ ring, request, reply, where, ...rest });
      const number = request.u64be();
      expect(toHex(ring.perCommitmentPoint(channel, number)), where).toBe(toHex(reply.take(33)));
      if (reply.u8() === 0) continue;
      secrets++;
      expect(toHex(releasePerCommitmentSecret(ring, channel, number - 2n)), where).toBe(
        toHex(reply.take(32)),
      );
    }
    expect(secrets).toBeGreaterThan(3);
  });

  it('VALIDATE_COMMITMENT_TX (35): the next point', async () => {
    const exchanges = (await exchangesOf(35)).slice(0, 50);
    expect(exchanges).toHaveLength(50);
    const points = new Set(exchanges.map(({ replyBytes }) => toHex(replyBytes.slice(3))));
    const known = new Set(
      exchanges.flatMap((exchange) =>
        Array.from({ length: 60 }, (_, n) =>
          toHex(exchange.ring.perCommitmentPoint(channelOf(exchange), n + 1)),
        ),
      ),
    );
    for (const point of points) expect(known.has(point)).toBe(true);
  });

  it('GET_OUTPUT_SCRIPTPUBKEY (24): our output in the peer’s commitment', async () => {
    const exchanges = await exchangesOf(24);
    expect(exchanges.length).toBe(4);
    for (const { ring, request, replyBytes, where } of exchanges) {
      const dbid = request.u64be();
      const peerId = request.take(33);
      const point = request.u8() === 1 ? request.take(33) : undefined;
      const key = ring.toRemotePublicKey({ peerId, dbid }, point);
      expect(toHex(replyBytes.slice(2)), where).toBe(`00160014${toHex(hash160(key))}`);
    }
  });
});

describe('released secrets, in every recording', () => {
  it('ECDH (1)', async () => {
    const exchanges = await exchangesOf(1);
    expect(exchanges.length).toBe(835);
    for (const { ring, request, reply, where } of exchanges) {
      expect(toHex(ecdh(ring, request.rest())), where).toBe(toHex(reply.rest()));
    }
  });

  it('DERIVE_SECRET (27)', async () => {
    const exchanges = await exchangesOf(27);
    expect(exchanges.length).toBe(222);
    for (const { ring, request, reply, where } of exchanges) {
      const info = request.take(request.u16be());
      expect(toHex(deriveSecret(ring, info)), where).toBe(toHex(reply.rest()));
    }
  });

  it('REVOKE_COMMITMENT_TX (40): the secret and the point after next', async () => {
    const exchanges = (await exchangesOf(40)).slice(0, 300);
    expect(exchanges).toHaveLength(300);
    for (const exchange of exchanges) {
      const { ring, request, reply, where } = exchange;
      const channel = channelOf(exchange);
      const number = request.u64be();
      expect(toHex(releasePerCommitmentSecret(ring, channel, number)), where).toBe(toHex(reply.take(32)));
      expect(toHex(ring.perCommitmentPoint(channel, number + 2n)), where).toBe(toHex(reply.take(33)));
    }
  });

  it('CHECK_FUTURE_SECRET (22)', async () => {
    const exchanges = await exchangesOf(22);
    expect(exchanges.length).toBe(12);
    for (const exchange of exchanges) {
      const { ring, request, reply, where } = exchange;
      const channel = channelOf(exchange);
      const number = request.u64be();
      expect(checkFutureSecret(ring, channel, number, request.rest()), where).toBe(reply.u8() === 1);
    }
  });

  it('checkFutureSecret says yes to the right one only', () => {
    const ring = ringOf(3);
    const channel = { peerId: PEER, dbid: 1n };
    const secret = releasePerCommitmentSecret(ring, channel, 41);
    expect(checkFutureSecret(ring, channel, 41, secret)).toBe(true);
    expect(checkFutureSecret(ring, channel, 42, secret)).toBe(false);
    expect(checkFutureSecret(ring, { ...channel, dbid: 2n }, 41, secret)).toBe(false);
    secret[31]! ^= 1;
    expect(checkFutureSecret(ring, channel, 41, secret)).toBe(false);
    expect(() => checkFutureSecret(ring, channel, 41, secret.subarray(1))).toThrow(FormError);
  });
});

describe('KeyRing', () => {
  let ring: KeyRing;
  beforeAll(() => {
    ring = ringOf(1);
  });

  it('needs the seed only while it is built', () => {
    const seed = Secret.own(new Uint8Array(32).fill(1), 32);
    const other = new KeyRing({ secp256k1: secp, seed, bip32PublicVersion: TESTNET });
    seed.wipe();
    expect(other.channelPublicKeys({ peerId: PEER, dbid: 9n })).toEqual(
      ring.channelPublicKeys({ peerId: PEER, dbid: 9n }),
    );
    expect(other.identity).toEqual(ring.identity);
  });

  it('has no BIP 86 wallet without a mnemonic', () => {
    expect(ring.hasBip86Wallet).toBe(false);
    expect(ring.identity).not.toHaveProperty('bip86Base');
    expect(() => ring.bip86PublicKey(0)).toThrow(CountersignError);
    expect(ring.walletPublicKey(4)).toEqual(ring.bip32PublicKey(4));
  });

  it('derives the wallet’s private key to the same public key, both kinds', () => {
    const mnemonic = new KeyRing({
      secp256k1: secp,
      seed: Secret.own(new Uint8Array(64).fill(5), 64),
      bip32PublicVersion: TESTNET,
    });
    expect(mnemonic.walletPublicKey(7)).toEqual(mnemonic.bip86PublicKey(7));
    // What a node of another kind derives its addresses from.
    expect(ring.identity.wallet).toEqual(ring.identity.bip32);
    for (const one of [ring, mnemonic]) {
      const [chainCode, publicKey] = [one.identity.wallet.slice(13, 45), one.identity.wallet.slice(45)];
      const branch = new HDKey({ chainCode, publicKey });
      expect(Uint8Array.from(branch.deriveChild(7).publicKey!)).toEqual(one.walletPublicKey(7));
    }
    for (const one of [ring, mnemonic]) {
      for (const index of [0, 7, 0x7fff_ffff]) {
        expect(withWalletKey(one, index, (key) => secp.publicKey(key))).toEqual(one.walletPublicKey(index));
      }
      for (const index of [-1, 0.5, 0x8000_0000]) {
        expect(() => one.walletPublicKey(index)).toThrow(FormError);
        expect(() => withWalletKey(one, index, () => 0)).toThrow(FormError);
      }
    }
  });

  it('derives other keys for another peer, dbid or seed', () => {
    const names = new Set<string>();
    for (const one of [ring, ringOf(2)]) {
      for (const dbid of [0n, 1n, 256n, 0xffff_ffff_ffff_ffffn]) {
        for (const peerId of [PEER, PEER.with(32, 0)]) {
          names.add(toHex(one.channelPublicKeys({ peerId, dbid }).fundingPubkey));
        }
      }
    }
    expect(names.size).toBe(16);
  });

  it('gives the same points however often and in whatever order they are asked for', () => {
    const ring = ringOf(7);
    const channel = { peerId: PEER, dbid: 3n };
    const numbers = Array.from({ length: 30 }, (_, n) => n);
    const first = numbers.map((n) => toHex(ring.perCommitmentPoint(channel, n)));
    expect(new Set(first).size).toBe(30);
    for (const n of [...numbers].reverse()) {
      const point = ring.perCommitmentPoint(channel, BigInt(n));
      expect(toHex(point)).toBe(first[n]);
      // A caller may do with its copy what it likes.
      point.fill(0);
      expect(toHex(ring.perCommitmentPoint(channel, n))).toBe(first[n]);
    }
  });

  it('refuses channel ids and commitment numbers that cannot be', () => {
    expect(() => ring.channelPublicKeys({ peerId: PEER.subarray(1), dbid: 1n })).toThrow(FormError);
    expect(() => ring.channelPublicKeys({ peerId: PEER, dbid: -1n })).toThrow(FormError);
    expect(() => ring.channelPublicKeys({ peerId: PEER, dbid: 1n << 64n })).toThrow(FormError);
    // Nor one that is written like another whose keys are in memory: the same keys under two names would have two ratchets.
    ring.channelPublicKeys({ peerId: PEER, dbid: 12n });
    const written = { peerId: Uint8Array.of(...PEER, 0x31), dbid: 2n };
    expect(() => ring.channelPublicKeys(written)).toThrow(FormError);
    for (const number of [-1, 2 ** 48, 1n << 48n, 0.5]) {
      expect(() => ring.perCommitmentPoint({ peerId: PEER, dbid: 1n }, number)).toThrow(FormError);
    }
  });

  it('keeps at most so many channels, and wipes what it drops', () => {
    const small = ringOf(1, 2);
    const channel = (dbid: bigint) => ({ peerId: PEER, dbid });
    const first = channelKeys(small, channel(1n));
    const second = channelKeys(small, channel(2n));
    expect(channelKeys(small, channel(1n))).toBe(first);
    channelKeys(small, channel(3n));
    expect(small.channelsCached).toBe(2);
    expect(Object.values(second.secrets).every((secret) => secret.isWiped)).toBe(true);
    expect(Object.values(first.secrets).some((secret) => secret.isWiped)).toBe(false);
    expect(small.channelPublicKeys(channel(2n)).fundingPubkey).toEqual(second.fundingPubkey);
    expect(() => ringOf(1, 0)).toThrow(InvariantError);
  });

  it('gives each name its keys, also where its bytes were changed in place', () => {
    const ring = ringOf(1);
    const peerId = PEER.slice();
    const first = channelKeys(ring, { peerId, dbid: 1n });
    expect(channelKeys(ring, { peerId: PEER, dbid: 1n })).toBe(first);
    peerId[32]! ^= 1;
    const second = channelKeys(ring, { peerId, dbid: 1n });
    expect(second.fundingPubkey).not.toEqual(first.fundingPubkey);
    expect(channelKeys(ring, { peerId: PEER, dbid: 1n })).toBe(first);
    expect(channelKeys(ring, { peerId: PEER, dbid: 2n }).fundingPubkey).not.toEqual(first.fundingPubkey);
  });

  it('forced channel secrets survive eviction and the caller’s wiping', () => {
    const funding = Secret.own(new Uint8Array(32).fill(1), 32);
    const forced = new KeyRing({
      secp256k1: secp,
      seed: Secret.own(new Uint8Array(32).fill(9), 32),
      bip32PublicVersion: TESTNET,
      force: { channelSecrets: { funding } },
      channelsCachedMax: 1,
    });
    funding.wipe();
    const generator = secp.publicKey(new Uint8Array(32).fill(1));
    for (const dbid of [1n, 2n, 1n]) {
      expect(forced.channelPublicKeys({ peerId: PEER, dbid }).fundingPubkey).toEqual(generator);
    }
  });

  it('is of no use after wiping', () => {
    const gone = ringOf(4);
    const keys = channelKeys(gone, { peerId: PEER, dbid: 1n });
    gone.wipe();
    expect(ringSecrets(gone).node.isWiped).toBe(true);
    expect(keys.secrets.funding.isWiped).toBe(true);
    expect(() => ecdh(gone, PEER)).toThrow(InvariantError);
    expect(() => gone.channelPublicKeys({ peerId: PEER, dbid: 1n })).toThrow(InvariantError);
  });

  it('ECDH refuses what is no point', () => {
    expect(() => ecdh(ring, new Uint8Array(33))).toThrow(FormError);
    expect(() => ecdh(ring, PEER.subarray(1))).toThrow(FormError);
  });
});
