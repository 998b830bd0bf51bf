/**
 * Bitcoin transactions: the value, its strict parsing and its two serializations. Parsing accepts only the one
 * canonical encoding, so `serializeTransaction(parseTransaction(b))` is always `b`.
 */
import { SAT_MAX, type Sat, sat } from './amount.ts';
import { ByteReader, ByteWriter, equalBytes, fromHex, toHex } from './bytes.ts';
import { FormError } from './error.ts';
import { hash256 } from './hash.ts';

export interface TxInput {
  /** Internal byte order (as on the wire), 32 bytes. */
  readonly txid: Uint8Array;
  readonly vout: number;
  readonly scriptSig: Uint8Array;
  readonly sequence: number;
  readonly witness: readonly Uint8Array[];
}

export interface TxOutput {
  readonly value: Sat;
  readonly script: Uint8Array;
}

export interface Transaction {
  /** Signed 32-bit. */
  readonly version: number;
  readonly inputs: readonly TxInput[];
  readonly outputs: readonly TxOutput[];
  readonly locktime: number;
}

export interface OutPoint {
  /** Internal byte order, 32 bytes. */
  readonly txid: Uint8Array;
  readonly vout: number;
}

/** Larger than any transaction a block can hold (4,000,000 weight units). */
export const TRANSACTION_BYTES_MAX = 4_000_000;
const INPUT_BYTES_MIN = 32 + 4 + 1 + 4;
const OUTPUT_BYTES_MIN = 8 + 1;

/** Bitcoin's variable-length integer; only the shortest form is accepted, and only up to 2^53 − 1. */
export function readCompactSize(reader: ByteReader, what = 'compact size'): number {
  const first = reader.u8(what);
  if (first < 0xfd) return first;
  const value =
    first === 0xfd ? reader.u16le(what) : first === 0xfe ? reader.u32le(what) : Number(reader.u64le(what));
  if (value < (first === 0xfd ? 0xfd : first === 0xfe ? 0x1_0000 : 0x1_0000_0000)) {
    throw new FormError(`not minimal: ${what}`, { value });
  }
  if (!Number.isSafeInteger(value)) throw new FormError(`too large: ${what}`, { value });
  return value;
}

export function writeCompactSize(writer: ByteWriter, value: number): void {
  if (value < 0xfd) writer.u8(value);
  else if (value <= 0xffff) writer.u8(0xfd).u16le(value);
  else if (value <= 0xffff_ffff) writer.u8(0xfe).u32le(value);
  else writer.u8(0xff).u64le(BigInt(value));
}

export const compactSizeLength = (value: number): number =>
  value < 0xfd ? 1 : value <= 0xffff ? 3 : value <= 0xffff_ffff ? 5 : 9;

/** A count of things that take at least `bytesMin` each: refused before anything is allocated for them. */
function readCount(reader: ByteReader, bytesMin: number, what: string): number {
  const count = readCompactSize(reader, what);
  if (count * bytesMin > reader.remaining) {
    throw new FormError(`truncated: ${what}`, { count, left: reader.remaining });
  }
  return count;
}

const readVarBytes = (reader: ByteReader, what: string): Uint8Array =>
  reader.take(readCompactSize(reader, what), what);

const NO_WITNESS: readonly Uint8Array[] = [];

function readInputs(reader: ByteReader, count: number): TxInput[] {
  const inputs: TxInput[] = [];
  for (let i = 0; i < count; i++) {
    inputs.push({
      txid: reader.take(32, 'input txid'),
      vout: reader.u32le('input vout'),
      scriptSig: readVarBytes(reader, 'scriptSig'),
      sequence: reader.u32le('sequence'),
      witness: NO_WITNESS,
    });
  }
  return inputs;
}

function readOutputs(reader: ByteReader): TxOutput[] {
  const count = readCount(reader, OUTPUT_BYTES_MIN, 'output count');
  const outputs: TxOutput[] = [];
  let total = 0n;
  for (let i = 0; i < count; i++) {
    const value = sat(reader.u64le('output value'));
    total += value;
    outputs.push({ value, script: readVarBytes(reader, 'output script') });
  }
  if (total > SAT_MAX) throw new FormError('outputs exceed the money supply', { total_sat: total });
  return outputs;
}

function readWitness(reader: ByteReader): Uint8Array[] {
  const count = readCount(reader, 1, 'witness count');
  const items: Uint8Array[] = [];
  for (let i = 0; i < count; i++) items.push(readVarBytes(reader, 'witness item'));
  return items;
}

/** `allowWitness` false reads the pre-BIP 144 form only (as the global transaction of a PSBT must be). */
export interface ParseTransactionOptions {
  readonly allowWitness: boolean;
}

/** The start of BIP 144's form, told from a transaction without inputs and outputs. */
function readMarker(reader: ByteReader): 'witness' | 'empty' {
  const flag = reader.u8('segwit flag');
  if (flag === 1) return 'witness';
  if (flag === 0) return 'empty';
  throw new FormError('unknown segwit flag', { flag });
}

/**
 * One whole transaction. Throws `FormError` for anything but the canonical encoding: compact sizes minimal, the
 * BIP 144 form exactly when some witness is non-empty, no trailing bytes, amounts within 21 million coins.
 * A transaction without inputs but with outputs has no unambiguous BIP 144 reading: it parses with
 * `allowWitness: false` only.
 */
export function parseTransaction(
  bytes: Uint8Array,
  options: ParseTransactionOptions = { allowWitness: true },
): Transaction {
  if (bytes.length > TRANSACTION_BYTES_MAX) {
    throw new FormError('transaction too large', { bytes: bytes.length, bytes_max: TRANSACTION_BYTES_MAX });
  }
  const reader = new ByteReader(bytes);
  const version = reader.i32le('version');
  let count = readCount(reader, INPUT_BYTES_MIN, 'input count');
  let inputs: TxInput[] = [];
  let outputs: TxOutput[] = [];
  if (count > 0 || !options.allowWitness) {
    inputs = readInputs(reader, count);
    outputs = readOutputs(reader);
  } else if (readMarker(reader) === 'witness') {
    count = readCount(reader, INPUT_BYTES_MIN, 'input count');
    const bare = readInputs(reader, count);
    outputs = readOutputs(reader);
    inputs = bare.map((input) => ({ ...input, witness: readWitness(reader) }));
    if (inputs.every((input) => input.witness.length === 0)) {
      throw new FormError('segwit marker without a witness');
    }
  }
  const locktime = reader.u32le('locktime');
  reader.end('transaction');
  return { version, inputs, outputs, locktime };
}

export const hasWitness = (tx: Transaction): boolean => tx.inputs.some((input) => input.witness.length > 0);

function writeVarBytes(writer: ByteWriter, bytes: Uint8Array): void {
  writeCompactSize(writer, bytes.length);
  writer.put(bytes);
}

/** 36 bytes: txid in internal order, vout little-endian. */
export function writeOutPoint(writer: ByteWriter, { txid, vout }: OutPoint): void {
  if (txid.length !== 32) throw new FormError('txid has the wrong length', { bytes: txid.length });
  writer.put(txid).u32le(vout);
}

/** 8 bytes value and the script with its length, as it stands in a transaction and in PSBT_IN_WITNESS_UTXO. */
export function writeTxOutput(writer: ByteWriter, output: TxOutput): void {
  writer.u64le(output.value);
  writeVarBytes(writer, output.script);
}

/** Reads what `writeTxOutput` writes; `FormError` otherwise. */
export function readTxOutput(reader: ByteReader): TxOutput {
  return { value: sat(reader.u64le('output value')), script: readVarBytes(reader, 'output script') };
}

function serialize(tx: Transaction, form: 'witness' | 'bare'): Uint8Array {
  const writer = new ByteWriter(form === 'witness' ? totalBytes(tx) : bareBytes(tx));
  writer.i32le(tx.version);
  if (form === 'witness') writer.u8(0).u8(1);
  writeCompactSize(writer, tx.inputs.length);
  for (const input of tx.inputs) {
    writeOutPoint(writer, input);
    writeVarBytes(writer, input.scriptSig);
    writer.u32le(input.sequence);
  }
  writeCompactSize(writer, tx.outputs.length);
  for (const output of tx.outputs) writeTxOutput(writer, output);
  if (form === 'witness') {
    for (const { witness } of tx.inputs) {
      writeCompactSize(writer, witness.length);
      for (const item of witness) writeVarBytes(writer, item);
    }
  }
  writer.u32le(tx.locktime);
  return writer.finish();
}

/** BIP 144's form when some input has a witness, else the bare one. */
export const serializeTransaction = (tx: Transaction): Uint8Array =>
  serialize(tx, hasWitness(tx) ? 'witness' : 'bare');
/** The form the txid commits to. */
export const serializeNoWitness = (tx: Transaction): Uint8Array => serialize(tx, 'bare');

/** Internal byte order; see `txidToHex` for what explorers and RPCs show. */
export const txid = (tx: Transaction): Uint8Array => hash256(serializeNoWitness(tx));
/** BIP 141, internal byte order; equals the txid when there is no witness. */
export const wtxid = (tx: Transaction): Uint8Array => hash256(serializeTransaction(tx));

const varBytesLength = (bytes: Uint8Array): number => compactSizeLength(bytes.length) + bytes.length;

function bareBytes(tx: Transaction): number {
  let bytes = 8 + compactSizeLength(tx.inputs.length) + compactSizeLength(tx.outputs.length);
  for (const input of tx.inputs) bytes += 40 + varBytesLength(input.scriptSig);
  for (const output of tx.outputs) bytes += 8 + varBytesLength(output.script);
  return bytes;
}

function totalBytes(tx: Transaction): number {
  if (!hasWitness(tx)) return bareBytes(tx);
  let bytes = bareBytes(tx) + 2;
  for (const { witness } of tx.inputs) {
    bytes += compactSizeLength(witness.length);
    for (const item of witness) bytes += varBytesLength(item);
  }
  return bytes;
}

/** BIP 141 weight units: three times the bare size plus the whole size. */
export const weight = (tx: Transaction): number => 3 * bareBytes(tx) + totalBytes(tx);

/** The reversed hex that explorers and RPCs show. */
export const txidToHex = (id: Uint8Array): string => toHex(Uint8Array.from(id).reverse());

/** Inverse of `txidToHex`; `FormError` unless 64 hex digits. */
export function txidFromHex(text: string): Uint8Array {
  const bytes = fromHex(text);
  if (bytes.length !== 32) throw new FormError('txid has the wrong length', { bytes: bytes.length });
  return bytes.reverse();
}

export const equalOutPoints = (a: OutPoint, b: OutPoint): boolean =>
  a.vout === b.vout && equalBytes(a.txid, b.txid);

/** `<txid as shown by explorers>:<vout>`, usable as a map key. */
export const outPointToString = ({ txid: id, vout }: OutPoint): string => `${txidToHex(id)}:${vout}`;

/** Inverse of `outPointToString`; `FormError` for any other text. */
export function outPointFromString(text: string): OutPoint {
  const match = /^([0-9a-f]{64}):(0|[1-9][0-9]{0,9})$/.exec(text);
  const vout = Number(match?.[2]);
  if (match?.[1] === undefined || vout > 0xffff_ffff) throw new FormError('not an outpoint');
  return { txid: txidFromHex(match[1]), vout };
}
