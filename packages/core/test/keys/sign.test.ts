import {
  type ByteReader,
  decodeScriptSignature,
  FormError,
  fromHex,
  fundingScript,
  hash160,
  loadSecp256k1,
  type Psbt,
  p2pkhScript,
  p2trScript,
  parsePsbt,
  parseTransaction,
  psbtPartialSigs,
  psbtSpentOutput,
  psbtTapKeySig,
  psbtWitnessScript,
  type Secp256k1,
  SIGHASH,
  segwitV0Sighash,
  type TxOutput,
  taprootKeySighash,
  taprootMidstate,
  taprootOutputKey,
  toHex,
} from '@countersign/bitcoin';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ChannelRef } from '../../src/keys/channel-keys.ts';
import { KeyRing } from '../../src/keys/keyring.ts';
import { Secret } from '../../src/keys/secret.ts';
import {
  signAnchor,
  signDelayed,
  signFunding,
  signHtlc,
  signLowR,
  signLowRPlainFirst,
  signRevocation,
  signToRemote,
  signWallet,
  signWalletTaproot,
} from '../../src/keys/sign.ts';
import { type Exchange, exchangesOf } from './recordings.ts';

const secp = loadSecp256k1();

/** The load test repeats itself two thousand times: its first exchanges say as much. */
async function sample(type: number): Promise<readonly Exchange[]> {
  const all = await exchangesOf(type);
  let fromLoad = 0;
  return all.filter(({ where }) => !where.startsWith('20-') || fromLoad++ < 60);
}

const clientChannel = ({ client }: Exchange): ChannelRef => ({
  peerId: fromHex(client.peer_id),
  dbid: BigInt(client.dbid),
});
const namedChannel = (request: ByteReader): ChannelRef => ({
  peerId: request.take(33),
  dbid: request.u64be(),
});

interface WireTransaction {
  readonly tx: ReturnType<typeof parseTransaction>;
  readonly psbt: Psbt;
}

function readTransaction(request: ByteReader): WireTransaction {
  const tx = parseTransaction(request.take(request.u32be()));
  return { tx, psbt: parsePsbt(request.take(request.u32be())) };
}

const readScript = (request: ByteReader): Uint8Array => request.take(request.u16be());

function sighashOf(
  { tx, psbt }: WireTransaction,
  script: Uint8Array,
  input = 0,
  type: number = SIGHASH.ALL,
): Uint8Array {
  return segwitV0Sighash(tx, input, script, psbtSpentOutput(psbt, input)!.value, type);
}

/** bitcoin_signature: 64 bytes and the sighash type. */
function expectReply({ reply, where }: Exchange, signature: Uint8Array, type: number = SIGHASH.ALL): void {
  expect(toHex(signature) + type.toString(16).padStart(2, '0'), where).toBe(toHex(reply.rest()));
}

const htlcType = (isAnchors: boolean): number =>
  isAnchors ? SIGHASH.SINGLE | SIGHASH.ANYONECANPAY : SIGHASH.ALL;

describe('signatures of transactions, byte for byte as CLN recorded them', () => {
  it('SIGN_COMMITMENT_TX (5): funding key', async () => {
    const exchanges = await sample(5);
    expect(exchanges.length).toBe(19);
    for (const exchange of exchanges) {
      const { ring, request } = exchange;
      const channel = namedChannel(request);
      const transaction = readTransaction(request);
      const script = fundingScript(ring.channelPublicKeys(channel).fundingPubkey, request.take(33));
      expectReply(exchange, signFunding(ring, channel, sighashOf(transaction, script)));
    }
  });

  it.each([
    ['SIGN_REMOTE_COMMITMENT_TX', 19, 100],
    ['SIGN_MUTUAL_CLOSE_TX', 21, 15],
    ['SIGN_SPLICE_TX', 29, 8],
  ])('%s (%i): funding key', async (_name, type, countMin) => {
    const exchanges = await sample(type);
    expect(exchanges.length).toBeGreaterThanOrEqual(countMin);
    for (const exchange of exchanges) {
      const { ring, request } = exchange;
      const channel = clientChannel(exchange);
      const transaction = readTransaction(request);
      const script = fundingScript(ring.channelPublicKeys(channel).fundingPubkey, request.take(33));
      const input = type === 29 ? request.u32be() : 0;
      expectReply(exchange, signFunding(ring, channel, sighashOf(transaction, script, input)));
    }
  });

  it('SIGN_REMOTE_HTLC_TX (20): HTLC key at the peer’s point', async () => {
    const exchanges = await sample(20);
    expect(exchanges.length).toBeGreaterThan(100);
    for (const exchange of exchanges) {
      const { ring, request } = exchange;
      const transaction = readTransaction(request);
      const script = readScript(request);
      const point = request.take(33);
      const type = htlcType(request.u8() === 1);
      const sighash = sighashOf(transaction, script, 0, type);
      expectReply(exchange, signHtlc(ring, clientChannel(exchange), point, sighash), type);
    }
  });

  it.each([
    ['SIGN_REMOTE_HTLC_TO_US', 13, 4],
    ['SIGN_ANY_REMOTE_HTLC_TO_US', 143, 25],
  ])('%s (%i): HTLC key at the peer’s point', async (_name, type, count) => {
    const exchanges = await sample(type);
    expect(exchanges.length).toBe(count);
    for (const exchange of exchanges) {
      const { ring, request } = exchange;
      const point = request.take(33);
      const transaction = readTransaction(request);
      const script = readScript(request);
      const sighashType = htlcType(request.u8() === 1);
      if (type === 143) request.take(4);
      const channel = type === 143 ? namedChannel(request) : clientChannel(exchange);
      const sighash = sighashOf(transaction, script, 0, sighashType);
      expectReply(exchange, signHtlc(ring, channel, point, sighash), sighashType);
    }
  });

  it('SIGN_ANY_LOCAL_HTLC_TX (146): HTLC key at our point', async () => {
    const exchanges = await sample(146);
    expect(exchanges.length).toBe(5);
    for (const exchange of exchanges) {
      const { ring, request } = exchange;
      const number = request.u64be();
      const transaction = readTransaction(request);
      const script = readScript(request);
      const type = htlcType(request.u8() === 1);
      request.take(4);
      const channel = namedChannel(request);
      const point = ring.perCommitmentPoint(channel, number);
      expectReply(exchange, signHtlc(ring, channel, point, sighashOf(transaction, script, 0, type)), type);
    }
  });

  it.each([
    ['SIGN_DELAYED_PAYMENT_TO_US', 12, 2],
    ['SIGN_ANY_DELAYED_PAYMENT_TO_US', 142, 17],
  ])('%s (%i): delayed payment key', async (_name, type, count) => {
    const exchanges = await sample(type);
    expect(exchanges.length).toBe(count);
    for (const exchange of exchanges) {
      const { ring, request } = exchange;
      const number = request.u64be();
      const transaction = readTransaction(request);
      const script = readScript(request);
      if (type === 142) request.take(4);
      const channel = type === 142 ? namedChannel(request) : clientChannel(exchange);
      const point = ring.perCommitmentPoint(channel, number);
      expectReply(exchange, signDelayed(ring, channel, point, sighashOf(transaction, script)));
    }
  });

  it.each([
    ['SIGN_PENALTY_TO_US', 14, 100],
    ['SIGN_ANY_PENALTY_TO_US', 144, 2],
  ])('%s (%i): revocation key', async (_name, type, countMin) => {
    const exchanges = await sample(type);
    expect(exchanges.length).toBeGreaterThanOrEqual(countMin);
    for (const exchange of exchanges) {
      const { ring, request } = exchange;
      const secret = request.take(32);
      const transaction = readTransaction(request);
      const script = readScript(request);
      if (type === 144) request.take(4);
      const channel = type === 144 ? namedChannel(request) : clientChannel(exchange);
      expectReply(exchange, signRevocation(ring, channel, secret, sighashOf(transaction, script)));
    }
  });
});

interface Utxo {
  readonly txid: string;
  readonly vout: number;
  readonly keyIndex: number;
  readonly close: { readonly channel: ChannelRef; readonly point: Uint8Array | undefined } | undefined;
}

/** hsm_utxo. */
function readUtxo(request: ByteReader): Utxo {
  const txid = toHex(request.take(32));
  const vout = request.u32be();
  request.take(8);
  const keyIndex = request.u32be();
  request.take(1);
  request.take(request.u16be());
  const close = request.u8() === 1 ? readClose(request) : undefined;
  request.take(1);
  return { txid, vout, keyIndex, close };
}

function readClose(request: ByteReader) {
  const dbid = request.u64be();
  const peerId = request.take(33);
  const point = request.u8() === 1 ? request.take(33) : undefined;
  request.take(1 + 4);
  return { channel: { peerId, dbid }, point };
}

const seen = { taproot: 0, p2wpkh: 0, toRemote: 0, anchor: 0 };

/** What we would sign for this input of a PSBT reply, and what CLN did. */
function checkInput(ring: KeyRing, psbt: Psbt, input: number, utxo: Utxo, where: string): void {
  const spent = psbtSpentOutput(psbt, input)!;
  const { keyIndex, close } = utxo;
  const publicKey = close
    ? ring.toRemotePublicKey(close.channel, close.point)
    : ring.walletPublicKey(keyIndex);
  const taproot = psbtTapKeySig(psbt, input);
  if (taproot !== undefined) {
    seen.taproot++;
    expect(toHex(spent.script)).toBe(
      toHex(p2trScript(taprootOutputKey(secp, publicKey.subarray(1)).outputKey)),
    );
    const all: TxOutput[] = psbt.inputs.map((_, at) => psbtSpentOutput(psbt, at)!);
    const sighash = taprootKeySighash(taprootMidstate(psbt.unsignedTx, all), input);
    expect(toHex(signWalletTaproot(ring, keyIndex, sighash)), where).toBe(toHex(taproot));
    return;
  }
  const theirs = signatureBy(psbt, input, publicKey, where);
  const scriptCode = psbtWitnessScript(psbt, input) ?? p2pkhScript(hash160(publicKey));
  const sighash = segwitV0Sighash(psbt.unsignedTx, input, scriptCode, spent.value);
  seen[close ? 'toRemote' : 'p2wpkh']++;
  const ours = close
    ? signToRemote(ring, close.channel, sighash, close.point)
    : signWallet(ring, keyIndex, sighash);
  expect(toHex(ours), where).toBe(theirs);
}

function signatureBy(psbt: Psbt, input: number, publicKey: Uint8Array, where: string): string {
  const found = psbtPartialSigs(psbt, input).find((one) => toHex(one.publicKey) === toHex(publicKey));
  expect(found, `${where} input ${input}`).toBeDefined();
  return toHex(decodeScriptSignature(found!.signature).signature);
}

describe('signatures inside PSBT replies, byte for byte as CLN recorded them', () => {
  it.each([
    ['SIGN_WITHDRAWAL', 7, 50],
    ['SIGN_ANCHORSPEND', 147, 3],
    ['SIGN_HTLC_TX_MINGLE', 149, 8],
  ])('%s (%i): wallet, to_remote and anchor keys', async (_name, type, count) => {
    const exchanges = await exchangesOf(type);
    expect(exchanges.length).toBe(count);
    for (const { ring, request, reply, where } of exchanges) {
      const channel = type === 7 ? undefined : namedChannel(request);
      const utxos = Array.from({ length: request.u16be() }, () => readUtxo(request));
      const psbt = parsePsbt(reply.take(reply.u32be()));
      const signed = new Set<number>();
      for (const utxo of utxos) {
        const input = psbt.unsignedTx.inputs.findIndex(
          ({ txid, vout }) => toHex(txid) === utxo.txid && vout === utxo.vout,
        );
        if (input === -1) continue;
        signed.add(input);
        checkInput(ring, psbt, input, utxo, where);
      }
      if (type !== 147) continue;
      const anchor = psbt.inputs.findIndex((_, at) => !signed.has(at));
      const { fundingPubkey } = ring.channelPublicKeys(channel!);
      const { value } = psbtSpentOutput(psbt, anchor)!;
      const sighash = segwitV0Sighash(psbt.unsignedTx, anchor, psbtWitnessScript(psbt, anchor)!, value);
      seen.anchor++;
      expect(toHex(signAnchor(ring, channel!, sighash)), where).toBe(
        signatureBy(psbt, anchor, fundingPubkey, where),
      );
    }
  });

  it('met every kind of input', () => {
    for (const [kind, count] of Object.entries(seen)) expect(count, kind).toBeGreaterThan(0);
  });
});

/** A backend whose first tries have a high R, to see what extra entropy is asked for. */
function recordingBackend(highR_tries: number): { secp: Secp256k1; asked: (string | undefined)[] } {
  const asked: (string | undefined)[] = [];
  const fake: Secp256k1 = {
    ...secp,
    signEcdsa(_hash, _key, extraEntropy) {
      asked.push(extraEntropy && toHex(extraEntropy));
      return new Uint8Array(64).fill(asked.length <= highR_tries ? 0x80 : 0x7f);
    },
  };
  return { secp: fake, asked };
}

describe('to_remote without option_static_remotekey', () => {
  it('signs for the basepoint tweaked with the peer’s point', () => {
    const ring = new KeyRing({
      secp256k1: secp,
      seed: Secret.own(new Uint8Array(32).fill(6), 32),
      bip32PublicVersion: 0x043587cf,
    });
    const channel = { peerId: ring.nodeId, dbid: 5n };
    const sighash = new Uint8Array(32).fill(1);
    const [point, other] = [4, 5].map((n) => ring.perCommitmentPoint(channel, n)) as [Uint8Array, Uint8Array];
    const tweaked = signToRemote(ring, channel, sighash, point);
    expect(secp.verifyEcdsa(sighash, tweaked, ring.toRemotePublicKey(channel, point))).toBe(true);
    expect(secp.verifyEcdsa(sighash, tweaked, ring.toRemotePublicKey(channel, other))).toBe(false);
    expect(secp.verifyEcdsa(sighash, tweaked, ring.toRemotePublicKey(channel))).toBe(false);
    const plain = signToRemote(ring, channel, sighash);
    expect(secp.verifyEcdsa(sighash, plain, ring.toRemotePublicKey(channel))).toBe(true);
  });
});

describe('grinding for low R', () => {
  const hash = new Uint8Array(32).fill(1);
  const key = new Uint8Array(32).fill(2);
  const counter = (low: string) => low.padEnd(64, '0');

  it('CLN’s rule: 32 zero bytes at first, then a little-endian counter', () => {
    const { secp: fake, asked } = recordingBackend(258);
    signLowR(fake, hash, key);
    expect(asked).toHaveLength(259);
    expect(asked[0]).toBe(counter('00'));
    expect(asked[1]).toBe(counter('01'));
    expect(asked[256]).toBe(counter('0001'));
    expect(asked[258]).toBe(counter('0201'));
  });

  it('libwally’s rule: nothing at first, then the counter from 1', () => {
    const { secp: fake, asked } = recordingBackend(2);
    signLowRPlainFirst(fake, hash, key);
    expect(asked).toEqual([undefined, counter('01'), counter('02')]);
  });

  it('always gives a low R that verifies, the same each time', () => {
    const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(bytes, (message) => {
        for (const sign of [signLowR, signLowRPlainFirst]) {
          const signature = sign(secp, message, key);
          expect(signature[0]).toBeLessThan(0x80);
          expect(secp.verifyEcdsa(message, signature, secp.publicKey(key))).toBe(true);
          expect(sign(secp, message, key)).toEqual(signature);
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('what cannot be signed', () => {
  const ring = new KeyRing({
    secp256k1: secp,
    seed: Secret.own(new Uint8Array(64).fill(3), 64),
    bip32PublicVersion: 0x043587cf,
  });
  const channel = { peerId: ring.nodeId, dbid: 1n };
  const hash = new Uint8Array(32).fill(9);

  it('is refused as malformed', () => {
    const short = hash.subarray(1);
    expect(() => signFunding(ring, channel, short)).toThrow(FormError);
    expect(() => signHtlc(ring, channel, ring.nodeId, short)).toThrow(FormError);
    expect(() => signRevocation(ring, channel, new Uint8Array(32), hash)).toThrow(FormError);
    expect(() => signRevocation(ring, channel, new Uint8Array(32).fill(0xff), hash)).toThrow(FormError);
    expect(() => signWallet(ring, 0x8000_0000, hash)).toThrow(FormError);
    expect(() => signWalletTaproot(ring, -1, hash)).toThrow(FormError);
  });

  it.each([
    ['of the wrong length', new Uint8Array(32).fill(2)],
    ['with bytes after it', new Uint8Array(66).fill(2)],
    ['not on the curve', new Uint8Array(33).fill(0xff)],
  ])('a per-commitment point %s is refused by each key that is tweaked with one', (_name, point) => {
    expect(() => signHtlc(ring, channel, point, hash)).toThrow(FormError);
    expect(() => signDelayed(ring, channel, point, hash)).toThrow(FormError);
    expect(() => signToRemote(ring, channel, hash, point)).toThrow(FormError);
  });
});
