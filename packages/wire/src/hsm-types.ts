/**
 * The named types of the hsmd protocol (CLN `hsmd/hsmd_wire.csv`) as codecs: keys, hashes, signatures, amounts,
 * transactions. They check form only; whether a point lies on the curve is for the signer to find out.
 */
import {
  MSAT_MAX,
  type Msat,
  type OutPoint,
  type Psbt,
  parsePsbt,
  parseTransaction,
  SAT_MAX,
  type Sat,
  serializePsbt,
  serializeTransaction,
  type Transaction,
  msat as toMsat,
  sat as toSat,
} from '@countersign/bitcoin';
import {
  bool,
  bytes,
  type Codec,
  i64,
  named,
  octets,
  oneOf,
  option,
  secretNamed,
  struct,
  u8,
  u32,
  u32le,
  u64,
  type ValueOf,
} from './codec.ts';
import { choice, mapped } from './record.ts';
import { wirestring } from './text.ts';

const COMPRESSED_POINT = [0x02, 0x03];

/** 33 bytes, compressed. */
export const pubkey: Codec<Uint8Array> = named('pubkey', bytes(33, COMPRESSED_POINT));
/** 33 bytes, compressed. */
export const nodeId: Codec<Uint8Array> = named('node_id', bytes(33, COMPRESSED_POINT));

/** First byte of a channel's name where no node id of the peer is known: LDK tells its signer none. */
const NAMED_WITHOUT_NODE = 0x00;
/**
 * The peer in the name of a channel: its node id; or 00 and 32 bytes that a node without such knowledge names the channel by
 * (LDK's channel_keys_id; VLS's client for LDK sends zeros).
 */
export const peerId: Codec<Uint8Array> = named(
  'peer_id',
  bytes(33, [NAMED_WITHOUT_NODE, ...COMPRESSED_POINT]),
);

/** Whether the name of a channel says which node the peer is. */
export const namesNode = (peer: Uint8Array): boolean => peer[0] !== NAMED_WITHOUT_NODE;

export const secret: Codec<Uint8Array> = secretNamed('secret', bytes(32));
export const privkey: Codec<Uint8Array> = secretNamed('privkey', bytes(32));
/** The seed of a channel's per-commitment secrets; the csv calls it a sha256. */
export const shaseed: Codec<Uint8Array> = secretNamed('shaseed', bytes(32));
/** What a payment hash is the SHA-256 of; whoever knows it first can claim the payment. */
export const preimage: Codec<Uint8Array> = secretNamed('preimage', bytes(32));
export const passphrase: Codec<string> = secretNamed('passphrase', wirestring);

export const sha256: Codec<Uint8Array> = named('sha256', bytes(32));
/** Internal byte order, as in a transaction's inputs. */
export const txid: Codec<Uint8Array> = named('bitcoin_txid', bytes(32));
/** Internal byte order. */
export const blockHash: Codec<Uint8Array> = named('block_hash', bytes(32));
/** The genesis block's hash, internal byte order. */
export const chainparams: Codec<Uint8Array> = named('chainparams', bytes(32));

/** ECDSA, compact: r ‖ s. */
export const ecdsaSignature: Codec<Uint8Array> = named('secp256k1_ecdsa_signature', bytes(64));
/** BIP 340. */
export const bip340sig: Codec<Uint8Array> = named('bip340sig', bytes(64));

/** Compact signature, then the recovery id 0–3. */
export const recoverableSignature = named(
  'secp256k1_ecdsa_recoverable_signature',
  struct({ signature: bytes(64), recoveryId: oneOf([0, 1, 2, 3], 'recovery id') }),
);
export type RecoverableSignature = ValueOf<typeof recoverableSignature>;

export const SIGHASH_ALL = 0x01;
export const SIGHASH_SINGLE_ANYONECANPAY = 0x83;

/** Compact signature, then the sighash byte; CLN (`bitcoin/signature.h`) knows these two only. */
export const bitcoinSignature = named(
  'bitcoin_signature',
  struct({ signature: bytes(64), sighash: oneOf([SIGHASH_ALL, SIGHASH_SINGLE_ANYONECANPAY], 'sighash') }),
);
export type BitcoinSignature = ValueOf<typeof bitcoinSignature>;

/** BIP 32 serialization of a public key. */
export const extKey: Codec<Uint8Array> = named('ext_key', bytes(78));
export const bip32KeyVersion = named(
  'bip32_key_version',
  struct({ pubkeyVersion: u32, privkeyVersion: u32 }),
);

/** Satoshis, at most 21 million coins. */
export const amountSat: Codec<Sat> = named(
  'amount_sat',
  mapped(u64, toSat, (value): bigint => toSat(value), { kind: 'u64', max: SAT_MAX }),
);
/** Millisatoshis, at most 21 million coins. */
export const amountMsat: Codec<Msat> = named(
  'amount_msat',
  mapped(u64, toMsat, (value): bigint => toMsat(value), { kind: 'u64', max: MSAT_MAX }),
);

/**
 * Millisatoshis with a sign. The csv says amount_msat, but CLN's splicing passes differences that wrap below zero
 * (`update_hsmd_with_splice` in `channeld/channeld.c`).
 */
export const pushValue: Codec<bigint> = named('push_value', i64(-MSAT_MAX, MSAT_MAX));

export const basepoints = named(
  'basepoints',
  struct({ revocation: pubkey, payment: pubkey, htlc: pubkey, delayedPayment: pubkey }),
);
export type Basepoints = ValueOf<typeof basepoints>;

/** CLN `common/derive_basepoints.c`; a developer option of init. */
export const channelSecrets = named(
  'secrets',
  struct({
    fundingPrivkey: privkey,
    revocationBasepointSecret: secret,
    paymentBasepointSecret: secret,
    delayedPaymentBasepointSecret: secret,
    htlcBasepointSecret: secret,
  }),
);

/** BOLT 9 feature bits, big-endian, behind a u16 length. Bit 12 static_remotekey, 20 anchors, 22 zero-fee anchors. */
export const channelType: Codec<Uint8Array> = named('channel_type', octets);

/** Whether `bit` is set in a BOLT 9 feature vector. */
export function hasFeature(features: Uint8Array, bit: number): boolean {
  const byte = features[features.length - 1 - Math.floor(bit / 8)];
  return byte !== undefined && (byte & (1 << (bit % 8))) !== 0;
}

/** The bits set in a BOLT 9 feature vector, ascending. */
export function featureBits(features: Uint8Array): readonly number[] {
  const bits: number[] = [];
  for (let bit = 0; bit < features.length * 8; bit++) if (hasFeature(features, bit)) bits.push(bit);
  return bits;
}

/** `local` is the node the signer belongs to, whichever side's commitment the message is about. */
export const side = choice({ local: 0, remote: 1 }, 'side');
export type Side = ValueOf<typeof side>;

export const hsmHtlc = named(
  'hsm_htlc',
  struct({ side, amount: amountMsat, paymentHash: sha256, cltvExpiry: u32 }),
);
export type HsmHtlc = ValueOf<typeof hsmHtlc>;

/** CLN's outpoint: txid, then a big-endian u32. */
export const outpoint: Codec<OutPoint> = named('bitcoin_outpoint', struct({ txid, vout: u32 }));
/** Bitcoin's own outpoint, little-endian: in VLS's chain messages. */
export const outpointLe: Codec<OutPoint> = named('outpoint', struct({ txid, vout: u32le }));

/** What is needed to find the key of an output that a unilateral close left to us. */
const unilateralCloseInfo = named(
  'unilateral_close_info',
  struct({
    channelId: u64,
    peerId,
    commitmentPoint: option(pubkey),
    optionAnchors: bool,
    csv: u32,
  }),
);

/** CLN `hsmd/hsm_utxo.c`. It ignores `isP2sh` and `isInCoinbase`. */
export const hsmUtxo = named(
  'hsm_utxo',
  struct({
    outpoint,
    amount: amountSat,
    keyindex: u32,
    isP2sh: bool,
    scriptPubkey: octets,
    closeInfo: option(unilateralCloseInfo),
    isInCoinbase: bool,
  }),
);
export type HsmUtxo = ValueOf<typeof hsmUtxo>;

/** u32 length and bytes that another parser understands. */
function sized<T>(
  parse: (bytes: Uint8Array) => T,
  serialize: (value: T) => Uint8Array,
  describe: Codec<T>['describe'],
): Codec<T> {
  return {
    // A copy, so that the parsed value doesn't hold on to the frame.
    read: (reader) => parse(reader.take(reader.u32be('length'))),
    write(writer, value) {
      const body = serialize(value);
      writer.u32be(body.length).put(body);
    },
    describe,
    bytesMin: 4,
  };
}

const transaction: Codec<Transaction> = sized(parseTransaction, serializeTransaction, {
  kind: 'transaction',
});

/** BIP 174 behind a u32 length. CLN sends version 0. */
export const wallyPsbt: Codec<Psbt> = named('wally_psbt', sized(parsePsbt, serializePsbt, { kind: 'psbt' }));

/** A transaction and the PSBT with the amounts and scripts its inputs spend, each behind a u32 length. */
export const bitcoinTx = named('bitcoin_tx', struct({ tx: transaction, psbt: wallyPsbt }));
export type BitcoinTx = ValueOf<typeof bitcoinTx>;

/** CLN `common/status_levels.h`. */
export const logLevel = named(
  'log_level',
  choice({ ioOut: 0, ioIn: 1, trace: 2, debug: 3, info: 4, unusual: 5, broken: 6 }, 'log level'),
);
export type LogLevel = ValueOf<typeof logLevel>;

/** CLN `common/status_levels.h`. */
export const failReason = named(
  'status_failreason',
  choice({ masterIo: 0, hsmIo: 1, gossipIo: 2, internalError: 3 }, 'fail reason'),
);

/** The kind of hsm_secret a signer holds, as init's reply names it. CLN doesn't bound it. */
export const hsmSecretType: Codec<number> = named('hsm_secret_type', u8);
