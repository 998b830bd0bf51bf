/**
 * PSBT version 0 (BIP 174) as lists of key-value entries that keep their order, so `serializePsbt(parsePsbt(b))`
 * is always `b`. Setters return a new PSBT and put fields where libwally does, so replies equal CLN's bytes.
 */
import { ByteReader, ByteWriter, equalBytes, toHex } from './bytes.ts';
import { FormError } from './error.ts';
import {
  type Bip32Derivation,
  decodeBip32Derivation,
  decodeTapBip32Derivation,
  decodeTxOutput,
  decodeU32,
  encodePath,
  encodeTapBip32Derivation,
  encodeTxOutput,
  encodeU32,
  GLOBAL_CHECKS,
  INPUT_CHECKS,
  OUTPUT_CHECKS,
  PSBT_GLOBAL,
  PSBT_IN,
  PSBT_OUT,
  type TapBip32Derivation,
} from './psbt-fields.ts';
import {
  compactSizeLength,
  parseTransaction,
  readCompactSize,
  serializeNoWitness,
  type Transaction,
  type TxOutput,
  txid,
  writeCompactSize,
} from './transaction.ts';

export interface PsbtEntry {
  /** The field type (a compact size, one byte for every known field). */
  readonly type: number;
  /** What follows the type in the key: a public key for signatures, nothing for most fields. */
  readonly keyData: Uint8Array;
  readonly value: Uint8Array;
}

export type PsbtMap = readonly PsbtEntry[];

export interface Psbt {
  /** Decoded from the global map: no scriptSigs, no witnesses; inputs and outputs match the maps one to one. */
  readonly unsignedTx: Transaction;
  readonly global: PsbtMap;
  readonly inputs: readonly PsbtMap[];
  readonly outputs: readonly PsbtMap[];
}

const MAGIC = Uint8Array.of(0x70, 0x73, 0x62, 0x74, 0xff);
export const PSBT_BYTES_MAX = 16 * 1024 * 1024;

/** One entry, or nothing at the 0x00 that ends a map. */
function readEntry(reader: ByteReader): PsbtEntry | undefined {
  const keyBytes = readCompactSize(reader, 'PSBT key length');
  if (keyBytes === 0) return undefined;
  const key = new ByteReader(reader.view(keyBytes, 'PSBT key'));
  const type = readCompactSize(key, 'PSBT key type');
  const keyData = key.rest();
  const value = reader.take(readCompactSize(reader, 'PSBT value length'), 'PSBT value');
  return { type, keyData, value };
}

type Checks = ReadonlyMap<number, (keyData: Uint8Array, value: Uint8Array) => void>;

function readMap(reader: ByteReader, checks: Checks): PsbtEntry[] {
  const entries: PsbtEntry[] = [];
  const seen = new Set<string>();
  for (let entry = readEntry(reader); entry !== undefined; entry = readEntry(reader)) {
    const name = `${entry.type}:${toHex(entry.keyData)}`;
    if (seen.has(name)) throw new FormError('duplicate PSBT key', { type: entry.type });
    seen.add(name);
    checks.get(entry.type)?.(entry.keyData, entry.value);
    entries.push(entry);
  }
  return entries;
}

function fieldValue(map: PsbtMap, type: number): Uint8Array | undefined {
  return map.find((entry) => entry.type === type)?.value;
}

function readUnsignedTx(global: PsbtMap): Transaction {
  const bytes = fieldValue(global, PSBT_GLOBAL.UNSIGNED_TX);
  if (bytes === undefined) throw new FormError('PSBT without an unsigned transaction');
  const tx = parseTransaction(bytes, { allowWitness: false });
  if (tx.inputs.some((input) => input.scriptSig.length > 0)) {
    throw new FormError('PSBT with a scriptSig in its unsigned transaction');
  }
  return tx;
}

/** BIP 174: the whole previous transaction must be the one spent, and both utxo fields must say the same. */
function checkUtxos(tx: Transaction, inputs: readonly PsbtMap[]): void {
  inputs.forEach((map, index) => {
    const previousBytes = fieldValue(map, PSBT_IN.NON_WITNESS_UTXO);
    const input = tx.inputs[index];
    if (previousBytes === undefined || input === undefined) return;
    const previous = parseTransaction(previousBytes);
    if (!equalBytes(txid(previous), input.txid)) {
      throw new FormError('PSBT input with another previous transaction', { input_index: index });
    }
    const spent = previous.outputs[input.vout];
    if (spent === undefined) {
      throw new FormError('PSBT input spends a missing output', { input_index: index, vout: input.vout });
    }
    const claimed = fieldValue(map, PSBT_IN.WITNESS_UTXO);
    if (claimed !== undefined && !equalBytes(claimed, encodeTxOutput(spent))) {
      throw new FormError('PSBT input with two different utxos', { input_index: index });
    }
  });
}

/**
 * A whole PSBT version 0. Throws `FormError` for a duplicate key, a wrong number of maps, a known field that is
 * not well-formed, a previous transaction that is not the one spent, a compact size that is not minimal, or
 * bytes missing or left over. Unknown and proprietary fields are kept as they are.
 */
export function parsePsbt(bytes: Uint8Array): Psbt {
  if (bytes.length > PSBT_BYTES_MAX) {
    throw new FormError('PSBT too large', { bytes: bytes.length, bytes_max: PSBT_BYTES_MAX });
  }
  const reader = new ByteReader(bytes);
  if (!equalBytes(reader.view(MAGIC.length, 'PSBT magic'), MAGIC)) throw new FormError('not a PSBT');
  const global = readMap(reader, GLOBAL_CHECKS);
  const unsignedTx = readUnsignedTx(global);
  const inputs = unsignedTx.inputs.map(() => readMap(reader, INPUT_CHECKS));
  const outputs = unsignedTx.outputs.map(() => readMap(reader, OUTPUT_CHECKS));
  reader.end('PSBT');
  checkUtxos(unsignedTx, inputs);
  return { unsignedTx, global, inputs, outputs };
}

function mapLength(map: PsbtMap): number {
  let bytes = 1;
  for (const { type, keyData, value } of map) {
    const keyBytes = compactSizeLength(type) + keyData.length;
    bytes += compactSizeLength(keyBytes) + keyBytes + compactSizeLength(value.length) + value.length;
  }
  return bytes;
}

function writeMap(writer: ByteWriter, map: PsbtMap): void {
  for (const { type, keyData, value } of map) {
    writeCompactSize(writer, compactSizeLength(type) + keyData.length);
    writeCompactSize(writer, type);
    writer.put(keyData);
    writeCompactSize(writer, value.length);
    writer.put(value);
  }
  writer.u8(0);
}

export function serializePsbt(psbt: Psbt): Uint8Array {
  const maps = [psbt.global, ...psbt.inputs, ...psbt.outputs];
  const bytes = maps.reduce((sum, map) => sum + mapLength(map), MAGIC.length);
  const writer = new ByteWriter(bytes, PSBT_BYTES_MAX).put(MAGIC);
  for (const map of maps) writeMap(writer, map);
  return writer.finish();
}

/** A PSBT without any field but the transaction, whose scriptSigs and witnesses are left out. */
export function createPsbt(tx: Transaction): Psbt {
  const none = new Uint8Array(0);
  const inputs = tx.inputs.map((input) => ({ ...input, scriptSig: none, witness: [] }));
  const unsignedTx = { ...tx, inputs };
  const value = serializeNoWitness(unsignedTx);
  return {
    unsignedTx,
    global: [{ type: PSBT_GLOBAL.UNSIGNED_TX, keyData: none, value }],
    inputs: tx.inputs.map(() => []),
    outputs: tx.outputs.map(() => []),
  };
}

function mapAt(maps: readonly PsbtMap[], index: number, what: string): PsbtMap {
  const map = maps[index];
  if (map === undefined) throw new FormError(`no such PSBT ${what}`, { index, count: maps.length });
  return map;
}

/** The value of an input field without key data, `undefined` when absent. `FormError` for a bad index. */
export const psbtInputField = (psbt: Psbt, index: number, type: number): Uint8Array | undefined =>
  fieldValue(mapAt(psbt.inputs, index, 'input'), type);
/** As `psbtInputField`, of an output. */
export const psbtOutputField = (psbt: Psbt, index: number, type: number): Uint8Array | undefined =>
  fieldValue(mapAt(psbt.outputs, index, 'output'), type);

/** What the input says it spends, unverified: the signature commits to it, its truth does not follow. */
export function psbtWitnessUtxo(psbt: Psbt, index: number): TxOutput | undefined {
  const value = psbtInputField(psbt, index, PSBT_IN.WITNESS_UTXO);
  return value === undefined ? undefined : decodeTxOutput(value);
}

/** The previous transaction; its txid is the one the input spends (checked when parsed). */
export function psbtNonWitnessUtxo(psbt: Psbt, index: number): Transaction | undefined {
  const value = psbtInputField(psbt, index, PSBT_IN.NON_WITNESS_UTXO);
  return value === undefined ? undefined : parseTransaction(value);
}

/** The output an input spends, from the previous transaction when there, else from the witness utxo. */
export function psbtSpentOutput(psbt: Psbt, index: number): TxOutput | undefined {
  const previous = psbtNonWitnessUtxo(psbt, index);
  if (previous === undefined) return psbtWitnessUtxo(psbt, index);
  return previous.outputs[psbt.unsignedTx.inputs[index]?.vout ?? -1];
}

export interface PsbtPartialSig {
  readonly publicKey: Uint8Array;
  /** DER and the sighash byte, as in a witness. */
  readonly signature: Uint8Array;
}

export const psbtPartialSigs = (psbt: Psbt, index: number): PsbtPartialSig[] =>
  mapAt(psbt.inputs, index, 'input')
    .filter((entry) => entry.type === PSBT_IN.PARTIAL_SIG)
    .map((entry) => ({ publicKey: entry.keyData, signature: entry.value }));

/** `undefined` where the field is absent: SIGHASH_ALL, or SIGHASH_DEFAULT for taproot. */
export function psbtSighashType(psbt: Psbt, index: number): number | undefined {
  const value = psbtInputField(psbt, index, PSBT_IN.SIGHASH_TYPE);
  return value === undefined ? undefined : decodeU32(value);
}

export const psbtRedeemScript = (psbt: Psbt, index: number): Uint8Array | undefined =>
  psbtInputField(psbt, index, PSBT_IN.REDEEM_SCRIPT);
export const psbtWitnessScript = (psbt: Psbt, index: number): Uint8Array | undefined =>
  psbtInputField(psbt, index, PSBT_IN.WITNESS_SCRIPT);
/** 64 bytes, or 65 with a sighash byte. */
export const psbtTapKeySig = (psbt: Psbt, index: number): Uint8Array | undefined =>
  psbtInputField(psbt, index, PSBT_IN.TAP_KEY_SIG);
export const psbtOutputWitnessScript = (psbt: Psbt, index: number): Uint8Array | undefined =>
  psbtOutputField(psbt, index, PSBT_OUT.WITNESS_SCRIPT);

/** Whether the input carries a final scriptSig or witness. */
export const psbtInputIsFinal = (psbt: Psbt, index: number): boolean =>
  mapAt(psbt.inputs, index, 'input').some(
    ({ type }) => type === PSBT_IN.FINAL_SCRIPTSIG || type === PSBT_IN.FINAL_SCRIPTWITNESS,
  );

const derivationsIn = (map: PsbtMap, type: number): Bip32Derivation[] =>
  map.filter((entry) => entry.type === type).map((e) => decodeBip32Derivation(e.keyData, e.value));
const tapDerivationsIn = (map: PsbtMap, type: number): TapBip32Derivation[] =>
  map.filter((entry) => entry.type === type).map((e) => decodeTapBip32Derivation(e.keyData, e.value));

export const psbtBip32Derivations = (psbt: Psbt, index: number): Bip32Derivation[] =>
  derivationsIn(mapAt(psbt.inputs, index, 'input'), PSBT_IN.BIP32_DERIVATION);
export const psbtTapBip32Derivations = (psbt: Psbt, index: number): TapBip32Derivation[] =>
  tapDerivationsIn(mapAt(psbt.inputs, index, 'input'), PSBT_IN.TAP_BIP32_DERIVATION);
export const psbtOutputBip32Derivations = (psbt: Psbt, index: number): Bip32Derivation[] =>
  derivationsIn(mapAt(psbt.outputs, index, 'output'), PSBT_OUT.BIP32_DERIVATION);
export const psbtOutputTapBip32Derivations = (psbt: Psbt, index: number): TapBip32Derivation[] =>
  tapDerivationsIn(mapAt(psbt.outputs, index, 'output'), PSBT_OUT.TAP_BIP32_DERIVATION);

/** libwally drops these from an input that is final (BIP 174, input finalizer), so none is added to one. */
const droppedWhenFinal = (type: number): boolean =>
  type >= PSBT_IN.PARTIAL_SIG && type <= PSBT_IN.BIP32_DERIVATION;

/** Known fields stand in ascending order of type; whatever libwally does not know follows them all. */
const rank = (type: number): number => (INPUT_CHECKS.has(type) || type <= 0x18 ? type : Infinity);

/** What to do with a key that is there already: libwally keeps the first of a repeated field, replaces others. */
type OnExisting = 'keep' | 'replace';

function putEntry(map: PsbtMap, entry: PsbtEntry, onExisting: OnExisting): PsbtMap {
  const at = map.findIndex((e) => e.type === entry.type && equalBytes(e.keyData, entry.keyData));
  if (at >= 0) return onExisting === 'keep' ? map : map.with(at, entry);
  const before = map.findIndex((e) => rank(e.type) > rank(entry.type));
  return before < 0 ? [...map, entry] : map.toSpliced(before, 0, entry);
}

function putInputField(psbt: Psbt, index: number, entry: PsbtEntry, onExisting: OnExisting): Psbt {
  const map = mapAt(psbt.inputs, index, 'input');
  INPUT_CHECKS.get(entry.type)?.(entry.keyData, entry.value);
  if (droppedWhenFinal(entry.type) && psbtInputIsFinal(psbt, index)) return psbt;
  return { ...psbt, inputs: psbt.inputs.with(index, putEntry(map, entry, onExisting)) };
}

const NO_KEY_DATA = new Uint8Array(0);

/** Adds a signature (DER and sighash byte); one the key already has stays, as in libwally. */
export const addPsbtPartialSig = (psbt: Psbt, index: number, sig: PsbtPartialSig): Psbt =>
  putInputField(
    psbt,
    index,
    { type: PSBT_IN.PARTIAL_SIG, keyData: sig.publicKey, value: sig.signature },
    'keep',
  );

/** Adds a derivation; one the key already has stays, as in libwally. */
export const addPsbtBip32Derivation = (psbt: Psbt, index: number, d: Bip32Derivation): Psbt =>
  putInputField(
    psbt,
    index,
    { type: PSBT_IN.BIP32_DERIVATION, keyData: d.publicKey, value: encodePath(d.fingerprint, d.path) },
    'keep',
  );

/** Adds a derivation; one the key already has stays, as in libwally. */
export const addPsbtTapBip32Derivation = (psbt: Psbt, index: number, d: TapBip32Derivation): Psbt =>
  putInputField(
    psbt,
    index,
    { type: PSBT_IN.TAP_BIP32_DERIVATION, keyData: d.xOnlyKey, value: encodeTapBip32Derivation(d) },
    'keep',
  );

/** Sets, or replaces, an input field that has no key data. */
export const setPsbtInputField = (psbt: Psbt, index: number, type: number, value: Uint8Array): Psbt =>
  putInputField(psbt, index, { type, keyData: NO_KEY_DATA, value }, 'replace');

export const setPsbtWitnessUtxo = (psbt: Psbt, index: number, output: TxOutput): Psbt =>
  setPsbtInputField(psbt, index, PSBT_IN.WITNESS_UTXO, encodeTxOutput(output));
export const setPsbtWitnessScript = (psbt: Psbt, index: number, script: Uint8Array): Psbt =>
  setPsbtInputField(psbt, index, PSBT_IN.WITNESS_SCRIPT, script);
export const setPsbtSighashType = (psbt: Psbt, index: number, type: number): Psbt =>
  setPsbtInputField(psbt, index, PSBT_IN.SIGHASH_TYPE, encodeU32(type));
/** 64 bytes for SIGHASH_DEFAULT, else 65. */
export const setPsbtTapKeySig = (psbt: Psbt, index: number, signature: Uint8Array): Psbt =>
  setPsbtInputField(psbt, index, PSBT_IN.TAP_KEY_SIG, signature);
