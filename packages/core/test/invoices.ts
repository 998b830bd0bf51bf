/**
 * Invoices as payees make them: BOLT 11 and BOLT 12 strings with real signatures, written without the reader's code.
 */
import { concat, fromHex, taggedHash } from '@countersign/bitcoin';
import { bech32 } from '@scure/base';
import { bolt11Digest } from '../src/keys/digests.ts';
import { bytesOf, regtest, secp } from './test-signer.ts';

const utf8 = new TextEncoder();

export const PAYEE_SECRET = bytesOf('the payee');
export const PAYEE = secp.publicKey(PAYEE_SECRET);

/** A tagged field: its type's bech32 letter, and its words. */
export type Field = readonly [type: string, words: readonly number[]];

const LETTERS = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
export const words = (bytes: Uint8Array): number[] => bech32.toWords(bytes);
const numberWords = (value: number, length: number): number[] =>
  Array.from({ length }, (_, i) => Math.floor(value / 32 ** (length - 1 - i)) % 32);

export function encodeFields(createdAtSeconds: number, fields: readonly Field[]): Uint8Array {
  const encoded = fields.flatMap(([letter, data]) => [
    LETTERS.indexOf(letter),
    ...numberWords(data.length, 2),
    ...data,
  ]);
  return Uint8Array.from([...numberWords(createdAtSeconds, 7), ...encoded]);
}

export interface Bolt11Options {
  readonly hrp?: string;
  readonly hash?: Uint8Array;
  readonly createdAtSeconds?: number;
  readonly description?: string;
  /** Beside hash, secret and description. */
  readonly more?: readonly Field[];
  /** In the place of all fields. */
  readonly fields?: readonly Field[];
  readonly secret?: Uint8Array;
  /** What becomes of the 65 bytes of the signature. */
  readonly change?: (signature: Uint8Array) => Uint8Array;
}

export const CREATED_AT_SECONDS = 1_700_000_000;

export const bolt11Fields = ({ hash, description, more = [] }: Bolt11Options): readonly Field[] => [
  ['s', words(bytesOf('payment secret'))],
  ['p', words(hash ?? bytesOf('payment hash'))],
  ['d', words(utf8.encode(description ?? 'one coffee'))],
  ...more,
];

export function bolt11(options: Bolt11Options = {}): string {
  const { hrp = 'lnbcrt10u', createdAtSeconds = CREATED_AT_SECONDS, secret = PAYEE_SECRET } = options;
  const data = encodeFields(createdAtSeconds, options.fields ?? bolt11Fields(options));
  const { signature, recoveryId } = secp.signEcdsaRecoverable(bolt11Digest(utf8.encode(hrp), data), secret);
  const signed = concat(signature, Uint8Array.of(recoveryId));
  return bech32.encode(hrp, [...data, ...words(options.change?.(signed) ?? signed)], false);
}

export interface Bolt12Options {
  readonly chain?: Uint8Array | null;
  readonly hash?: Uint8Array;
  readonly amount?: string;
  readonly createdAtSeconds?: number;
  readonly expiry?: string | null;
  readonly secret?: Uint8Array;
  readonly payee?: Uint8Array;
  /** Records in hex beside these; null drops one. */
  readonly more?: Readonly<Record<number, string | null>>;
  readonly change?: (signature: Uint8Array) => Uint8Array;
}

const bigsize = (value: number): Uint8Array =>
  value < 0xfd ? Uint8Array.of(value) : Uint8Array.of(0xfd, value >> 8, value & 0xff);

export const tlv = (type: number, value: Uint8Array): Uint8Array =>
  concat(bigsize(type), bigsize(value.length), value);

/** BOLT 12's tree, from its text, as a recursion over halves that are powers of two. */
function root(leaves: readonly Uint8Array[]): Uint8Array {
  const [only] = leaves;
  if (leaves.length === 1) return only!;
  let half = 1;
  while (half * 2 < leaves.length) half *= 2;
  return pair(root(leaves.slice(0, half)), root(leaves.slice(half)));
}

const pair = (a: Uint8Array, b: Uint8Array): Uint8Array =>
  Buffer.compare(a, b) < 0 ? taggedHash('LnBranch', a, b) : taggedHash('LnBranch', b, a);

export function bolt12(options: Bolt12Options = {}): string {
  const { secret = PAYEE_SECRET } = options;
  const values = new Map<number, string | Uint8Array | null>([
    [0, '0102'],
    [10, utf8.encode('an offer')],
    [80, options.chain === undefined ? regtest.chainHash : options.chain],
    [164, (options.createdAtSeconds ?? CREATED_AT_SECONDS).toString(16).padStart(8, '0')],
    [166, options.expiry ?? null],
    [168, options.hash ?? bytesOf('payment hash')],
    [170, options.amount ?? '0f4240'],
    [176, options.payee ?? secp.publicKey(secret)],
    ...Object.entries(options.more ?? {}).map(([type, value]) => [Number(type), value] as const),
  ]);
  const records = [...values]
    .filter(([, value]) => value !== null)
    .sort(([a], [b]) => a - b)
    .map(([type, value]) => ({
      type,
      bytes: tlv(type, typeof value === 'string' ? fromHex(value) : value!),
    }));
  const signedRecords = records.filter(({ type }) => type < 240 || type > 1000);
  const nonce = concat(utf8.encode('LnNonce'), signedRecords[0]!.bytes);
  const leaves = signedRecords.map(({ type, bytes }) =>
    pair(taggedHash('LnLeaf', bytes), taggedHash(nonce, bigsize(type))),
  );
  const digest = taggedHash('lightninginvoicesignature', root(leaves));
  const signature = secp.signSchnorr(digest, secret, new Uint8Array(32));
  const stream = [
    ...records.filter(({ type }) => type < 240),
    ...(values.has(240) ? [] : [{ type: 240, bytes: tlv(240, options.change?.(signature) ?? signature) }]),
    ...records.filter(({ type }) => type >= 240),
  ];
  return encodeBolt12('lni', concat(...stream.map(({ bytes }) => bytes)));
}

/** bech32 without a checksum. */
export function encodeBolt12(prefix: string, bytes: Uint8Array): string {
  return `${prefix}1${words(bytes)
    .map((word) => LETTERS[word])
    .join('')}`;
}
