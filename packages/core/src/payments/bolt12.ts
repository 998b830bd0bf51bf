/**
 * BOLT 12 invoices (`lni1…`): the TLV stream, its Merkle root, and the signature of `invoice_node_id`. Reads what must
 * be known to approve a payment; whatever is not well formed is a `FormError`.
 */
import {
  ByteReader,
  compareBytes,
  concat,
  FormError,
  type Msat,
  msat,
  type Secp256k1,
  taggedHash,
} from '@countersign/bitcoin';
import { bech32 } from '@scure/base';
import { bolt12Digest } from '../keys/digests.ts';
import { networkByName } from '../network.ts';
import { shortText } from './description.ts';

export interface TlvRecord {
  readonly type: bigint;
  readonly value: Uint8Array;
  /** Type as encoded, for the nonce leaves. */
  readonly encodedType: Uint8Array;
  /** The whole record as encoded. */
  readonly encoded: Uint8Array;
}

export interface Bolt12Invoice {
  /** Genesis block hash in internal byte order. */
  readonly chainHash: Uint8Array;
  readonly amountMsat: Msat;
  readonly createdAtSeconds: number;
  readonly expirySeconds: number;
  readonly paymentHash: Uint8Array;
  /** `invoice_node_id`: the payee's node id, or a blinded one. */
  readonly payee: Uint8Array;
  readonly description: string;
  readonly merkleRoot: Uint8Array;
  readonly signature: Uint8Array;
}

const TYPE = {
  description: 10n,
  chain: 80n,
  createdAt: 164n,
  relativeExpiry: 166n,
  paymentHash: 168n,
  amount: 170n,
  nodeId: 176n,
  signature: 240n,
} as const;
const EXPIRY_DEFAULT_SECONDS = 7200;
/** BOLT 12: types that sign and are not signed. */
const isSignatureType = (type: bigint): boolean => type >= 240n && type <= 1000n;
/** Far beyond any invoice; keeps sums of times exact. */
const SECONDS_MAX = 2n ** 48n;

const CONTINUATION = /(?<=[a-z0-9])\+\s*(?=[a-z0-9])/gi;

/** The bytes of a BOLT 12 string with this prefix: bech32 without a checksum, in one case, joined over `+`. */
export function bolt12Bytes(text: string, prefix: string): Uint8Array {
  const joined = text.replace(CONTINUATION, '');
  const lower = joined.toLowerCase();
  if (joined !== lower && joined !== joined.toUpperCase())
    throw new FormError('a BOLT 12 string is in one case', { characters: text.length });
  if (!lower.startsWith(`${prefix}1`)) throw new FormError(`not a BOLT 12 string of ${prefix}`);
  const words: number[] = [];
  for (const character of lower.slice(prefix.length + 1)) {
    const word = BECH32_ALPHABET.indexOf(character);
    if (word < 0) throw new FormError('not a bech32 string', { characters: text.length });
    words.push(word);
  }
  const bytes = bech32.fromWordsUnsafe(words);
  if (!(bytes instanceof Uint8Array)) throw new FormError('a BOLT 12 string that ends within a byte');
  return bytes;
}

const BECH32_ALPHABET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';

/** BOLT 1 bigsize, only in its shortest form. */
function bigsize(reader: ByteReader): bigint {
  const first = reader.u8('bigsize');
  if (first < 0xfd) return BigInt(first);
  const [value, least] =
    first === 0xfd
      ? [BigInt(reader.u16be('bigsize')), 0xfdn]
      : first === 0xfe
        ? [BigInt(reader.u32be('bigsize')), 0x1_0000n]
        : [reader.u64be('bigsize'), 0x1_0000_0000n];
  if (value < least) throw new FormError('a bigsize that is not in its shortest form');
  return value;
}

/** The records of a TLV stream, types rising (BOLT 1). */
export function readTlvStream(bytes: Uint8Array): readonly TlvRecord[] {
  const reader = new ByteReader(bytes);
  const records: TlvRecord[] = [];
  let last = -1n;
  while (reader.remaining > 0) {
    const begin = reader.offset;
    const type = bigsize(reader);
    if (type <= last) throw new FormError('TLV types that do not rise', { type, type_before: last });
    last = type;
    const encodedType = bytes.subarray(begin, reader.offset);
    const length = bigsize(reader);
    if (length > BigInt(reader.remaining))
      throw new FormError('a TLV record reaches beyond the stream', { type, bytes: length });
    const value = reader.take(Number(length));
    records.push({ type, value, encodedType, encoded: bytes.subarray(begin, reader.offset) });
  }
  return records;
}

const branch = (a: Uint8Array, b: Uint8Array): Uint8Array =>
  compareBytes(a, b) < 0 ? taggedHash('LnBranch', a, b) : taggedHash('LnBranch', b, a);

/** BOLT 12 "Signature Calculation": over every record that is not a signature. */
export function merkleRoot(records: readonly TlvRecord[]): Uint8Array {
  const signed = records.filter(({ type }) => !isSignatureType(type));
  const [first] = signed;
  if (first === undefined) throw new FormError('nothing to sign in this TLV stream');
  const nonceTag = concat(new TextEncoder().encode('LnNonce'), first.encoded);
  let level = signed.map(({ encoded, encodedType }) =>
    branch(taggedHash('LnLeaf', encoded), taggedHash(nonceTag, encodedType)),
  );
  // Pairs from the lowest: where one is left over, it goes up alone, so the deepest tree is on the lowest leaves.
  while (level.length > 1) {
    const above: Uint8Array[] = [];
    for (let at = 0; at < level.length; at += 2) {
      const right = level[at + 1];
      above.push(right === undefined ? level[at]! : branch(level[at]!, right));
    }
    level = above;
  }
  return level[0]!;
}

/** Truncated big-endian unsigned integer: no leading zero bytes. */
function truncated(value: Uint8Array, bytesMax: number, what: string): bigint {
  if (value.length > bytesMax || value[0] === 0)
    throw new FormError(`the ${what} is no truncated integer`, { bytes: value.length });
  return value.reduce((total, byte) => total * 256n + BigInt(byte), 0n);
}

function seconds(value: Uint8Array, bytesMax: number, what: string): number {
  const number = truncated(value, bytesMax, what);
  if (number > SECONDS_MAX) throw new FormError(`the ${what} is beyond any calendar`, { seconds: number });
  return Number(number);
}

function exactly(value: Uint8Array, bytes: number, what: string): Uint8Array {
  if (value.length === bytes) return value;
  throw new FormError(`the ${what} of the invoice has the wrong length`, { bytes: value.length });
}

/** A whole invoice as a string; its signature is read, not yet judged (`isSignedByPayee`). */
export function readBolt12(text: string): Bolt12Invoice {
  const records = readTlvStream(bolt12Bytes(text, 'lni'));
  const values = new Map(records.map(({ type, value }) => [type, value]));
  const required = (type: bigint, what: string): Uint8Array => {
    const value = values.get(type);
    if (value === undefined) throw new FormError(`the invoice has no ${what}`);
    return value;
  };
  const expiry = values.get(TYPE.relativeExpiry);
  const description = values.get(TYPE.description);
  const chain = values.get(TYPE.chain);
  return {
    // BOLT 12: without invreq_chain it is bitcoin.
    chainHash: chain === undefined ? networkByName('bitcoin')!.chainHash : exactly(chain, 32, 'chain'),
    amountMsat: msat(truncated(required(TYPE.amount, 'amount'), 8, 'amount')),
    createdAtSeconds: seconds(required(TYPE.createdAt, 'time of creation'), 8, 'time of creation'),
    expirySeconds: expiry === undefined ? EXPIRY_DEFAULT_SECONDS : seconds(expiry, 4, 'expiry'),
    paymentHash: exactly(required(TYPE.paymentHash, 'payment hash'), 32, 'payment hash'),
    payee: exactly(required(TYPE.nodeId, 'node id'), 33, 'node id'),
    description: description === undefined ? '' : shortText(new TextDecoder().decode(description)),
    merkleRoot: merkleRoot(records),
    signature: exactly(required(TYPE.signature, 'signature'), 64, 'signature'),
  };
}

/** Whether `invoice_node_id` signed it. BIP 340 knows the key by its x coordinate. */
export function isSignedByPayee(secp: Secp256k1, invoice: Bolt12Invoice): boolean {
  const digest = bolt12Digest('invoice', 'signature', invoice.merkleRoot);
  if (!secp.isPublicKey(invoice.payee)) return false;
  return secp.verifySchnorr(digest, invoice.signature, invoice.payee.subarray(1));
}
