/**
 * The typed values inside a PSBT's key-value maps (BIP 174, 370, 371): one strict decoder per known field, run on
 * every entry when a PSBT is parsed, so that reading a parsed PSBT's fields cannot fail later.
 */
import { ByteReader, ByteWriter, concat } from './bytes.ts';
import { FormError } from './error.ts';
import {
  parseTransaction,
  readCompactSize,
  readTxOutput,
  type TxOutput,
  writeCompactSize,
  writeTxOutput,
} from './transaction.ts';

export const PSBT_GLOBAL = { UNSIGNED_TX: 0x00, XPUB: 0x01, VERSION: 0xfb, PROPRIETARY: 0xfc } as const;

export const PSBT_IN = {
  NON_WITNESS_UTXO: 0x00,
  WITNESS_UTXO: 0x01,
  PARTIAL_SIG: 0x02,
  SIGHASH_TYPE: 0x03,
  REDEEM_SCRIPT: 0x04,
  WITNESS_SCRIPT: 0x05,
  BIP32_DERIVATION: 0x06,
  FINAL_SCRIPTSIG: 0x07,
  FINAL_SCRIPTWITNESS: 0x08,
  TAP_KEY_SIG: 0x13,
  TAP_BIP32_DERIVATION: 0x16,
  TAP_INTERNAL_KEY: 0x17,
  TAP_MERKLE_ROOT: 0x18,
  PROPRIETARY: 0xfc,
} as const;

export const PSBT_OUT = {
  REDEEM_SCRIPT: 0x00,
  WITNESS_SCRIPT: 0x01,
  BIP32_DERIVATION: 0x02,
  TAP_INTERNAL_KEY: 0x05,
  TAP_BIP32_DERIVATION: 0x07,
  PROPRIETARY: 0xfc,
} as const;

export interface Bip32Derivation {
  /** Compressed (33 bytes), or uncompressed as BIP 174 also allows. */
  readonly publicKey: Uint8Array;
  /** Of the master key, 4 bytes. */
  readonly fingerprint: Uint8Array;
  /** Child numbers, the hardened bit included. */
  readonly path: readonly number[];
}

export interface TapBip32Derivation {
  /** 32 bytes. */
  readonly xOnlyKey: Uint8Array;
  /** 32 bytes each; empty for the internal key. */
  readonly leafHashes: readonly Uint8Array[];
  readonly fingerprint: Uint8Array;
  readonly path: readonly number[];
}

function fail(what: string): never {
  throw new FormError(`malformed PSBT field: ${what}`);
}

function readPath(reader: ByteReader): { fingerprint: Uint8Array; path: number[] } {
  const fingerprint = reader.take(4, 'fingerprint');
  const path: number[] = [];
  while (reader.remaining > 0) path.push(reader.u32le('derivation path'));
  return { fingerprint, path };
}

export function decodeBip32Derivation(publicKey: Uint8Array, value: Uint8Array): Bip32Derivation {
  requirePublicKeyLength(publicKey);
  return { publicKey, ...readPath(new ByteReader(value)) };
}

export function encodePath(fingerprint: Uint8Array, path: readonly number[]): Uint8Array {
  if (fingerprint.length !== 4) fail('fingerprint');
  const writer = new ByteWriter(4 + 4 * path.length).put(fingerprint);
  for (const child of path) writer.u32le(child);
  return writer.finish();
}

/** BIP 371: the number of leaf hashes, the hashes, then fingerprint and path. */
export function decodeTapBip32Derivation(xOnlyKey: Uint8Array, value: Uint8Array): TapBip32Derivation {
  if (xOnlyKey.length !== 32) fail('x-only key length');
  const reader = new ByteReader(value);
  const count = readCompactSize(reader, 'leaf hash count');
  if (count * 32 > reader.remaining) fail('leaf hash count');
  const leafHashes: Uint8Array[] = [];
  for (let i = 0; i < count; i++) leafHashes.push(reader.take(32, 'leaf hash'));
  return { xOnlyKey, leafHashes, ...readPath(reader) };
}

export function encodeTapBip32Derivation(derivation: TapBip32Derivation): Uint8Array {
  const { leafHashes, fingerprint, path } = derivation;
  const count = new ByteWriter(9);
  writeCompactSize(count, leafHashes.length);
  if (leafHashes.some((hash) => hash.length !== 32)) fail('leaf hash length');
  return concat(count.finish(), ...leafHashes, encodePath(fingerprint, path));
}

export function decodeTxOutput(value: Uint8Array): TxOutput {
  const reader = new ByteReader(value);
  const output = readTxOutput(reader);
  reader.end('witness utxo');
  return output;
}

export function encodeTxOutput(output: TxOutput): Uint8Array {
  const writer = new ByteWriter(17 + output.script.length);
  writeTxOutput(writer, output);
  return writer.finish();
}

export function decodeU32(value: Uint8Array): number {
  const reader = new ByteReader(value);
  const number = reader.u32le();
  reader.end('u32');
  return number;
}

export const encodeU32 = (value: number): Uint8Array => new ByteWriter(4).u32le(value).finish();

export function requirePublicKeyLength(publicKey: Uint8Array): void {
  if (publicKey.length !== 33 && publicKey.length !== 65) fail('public key length');
}

/** Checks one entry, given the key without its type. Throws `FormError`. */
type FieldCheck = (keyData: Uint8Array, value: Uint8Array) => void;

const bare =
  (check: (value: Uint8Array) => void): FieldCheck =>
  (keyData, value) => {
    if (keyData.length !== 0) fail('unexpected key data');
    check(value);
  };

const anything = bare(() => {});
const exactly = (...lengths: readonly number[]): FieldCheck =>
  bare((value) => {
    if (!lengths.includes(value.length)) fail('value length');
  });
const notInVersion0: FieldCheck = () => fail('field of another PSBT version');

/** 0x30 … plus the sighash byte: 9 to 73 bytes. What is inside is for whoever verifies it. */
const partialSig: FieldCheck = (publicKey, value) => {
  requirePublicKeyLength(publicKey);
  if (value.length < 9 || value.length > 73) fail('signature length');
};

const xpub: FieldCheck = (keyData, value) => {
  if (keyData.length !== 78) fail('xpub length');
  readPath(new ByteReader(value));
};

const onlyVersion0 = bare((value) => {
  if (decodeU32(value) !== 0) throw new FormError('unsupported PSBT version', { version: decodeU32(value) });
});

/** PSBT_GLOBAL_UNSIGNED_TX itself is read by `parsePsbt`, which needs its value. */
export const GLOBAL_CHECKS: ReadonlyMap<number, FieldCheck> = new Map<number, FieldCheck>([
  [PSBT_GLOBAL.UNSIGNED_TX, anything],
  [PSBT_GLOBAL.XPUB, xpub],
  [PSBT_GLOBAL.VERSION, onlyVersion0],
  ...[0x02, 0x03, 0x04, 0x05, 0x06].map((type): [number, FieldCheck] => [type, notInVersion0]),
]);

export const INPUT_CHECKS: ReadonlyMap<number, FieldCheck> = new Map<number, FieldCheck>([
  [PSBT_IN.NON_WITNESS_UTXO, bare((value) => void parseTransaction(value))],
  [PSBT_IN.WITNESS_UTXO, bare((value) => void decodeTxOutput(value))],
  [PSBT_IN.PARTIAL_SIG, partialSig],
  [PSBT_IN.SIGHASH_TYPE, exactly(4)],
  [PSBT_IN.REDEEM_SCRIPT, anything],
  [PSBT_IN.WITNESS_SCRIPT, anything],
  [PSBT_IN.BIP32_DERIVATION, decodeBip32Derivation],
  [PSBT_IN.FINAL_SCRIPTSIG, anything],
  [PSBT_IN.FINAL_SCRIPTWITNESS, anything],
  [PSBT_IN.TAP_KEY_SIG, exactly(64, 65)],
  [PSBT_IN.TAP_BIP32_DERIVATION, decodeTapBip32Derivation],
  [PSBT_IN.TAP_INTERNAL_KEY, exactly(32)],
  [PSBT_IN.TAP_MERKLE_ROOT, exactly(32)],
  ...[0x0e, 0x0f, 0x10, 0x11, 0x12].map((type): [number, FieldCheck] => [type, notInVersion0]),
]);

export const OUTPUT_CHECKS: ReadonlyMap<number, FieldCheck> = new Map<number, FieldCheck>([
  [PSBT_OUT.REDEEM_SCRIPT, anything],
  [PSBT_OUT.WITNESS_SCRIPT, anything],
  [PSBT_OUT.BIP32_DERIVATION, decodeBip32Derivation],
  [PSBT_OUT.TAP_INTERNAL_KEY, exactly(32)],
  [PSBT_OUT.TAP_BIP32_DERIVATION, decodeTapBip32Derivation],
  ...[0x03, 0x04].map((type): [number, FieldCheck] => [type, notInVersion0]),
]);
