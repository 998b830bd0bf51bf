/**
 * What a signature signs: BIP 143 (segwit version 0) and BIP 341 (taproot key path, no annex). The parts that
 * inputs of one transaction share are computed once, when first needed, in a midstate object.
 */
import type { Sat } from './amount.ts';
import { ByteWriter } from './bytes.ts';
import { FormError } from './error.ts';
import { hash256, publicSha256, taggedHash } from './hash.ts';
import { once } from './once.ts';
import {
  compactSizeLength,
  type Transaction,
  type TxInput,
  type TxOutput,
  writeCompactSize,
  writeOutPoint,
  writeTxOutput,
} from './transaction.ts';

export const SIGHASH = {
  /** BIP 341 only: everything, as ALL, but without a byte in the signature. */
  DEFAULT: 0x00,
  ALL: 0x01,
  NONE: 0x02,
  SINGLE: 0x03,
  ANYONECANPAY: 0x80,
} as const;

const SIGHASH_OUTPUT_MASK = 0x03;
const ZERO_HASH = new Uint8Array(32);

/** ALL, NONE or SINGLE, alone or with ANYONECANPAY: the six types BIP 143 and BIP 341 share. */
export const isSighashType = (type: number): boolean => [0x01, 0x02, 0x03, 0x81, 0x82, 0x83].includes(type);

const anyoneCanPay = (type: number): boolean => (type & SIGHASH.ANYONECANPAY) !== 0;
const signsAllOutputs = (type: number): boolean =>
  type === SIGHASH.DEFAULT || (type & SIGHASH_OUTPUT_MASK) === SIGHASH.ALL;
const signsOneOutput = (type: number): boolean => (type & SIGHASH_OUTPUT_MASK) === SIGHASH.SINGLE;

const outputLength = ({ script }: TxOutput): number => 8 + compactSizeLength(script.length) + script.length;

function outPointsOf(tx: Transaction): Uint8Array {
  const writer = new ByteWriter(36 * tx.inputs.length);
  for (const input of tx.inputs) writeOutPoint(writer, input);
  return writer.finish();
}

function sequencesOf(tx: Transaction): Uint8Array {
  const writer = new ByteWriter(4 * tx.inputs.length);
  for (const input of tx.inputs) writer.u32le(input.sequence);
  return writer.finish();
}

function serializeOutputs(outputs: readonly TxOutput[]): Uint8Array {
  const writer = new ByteWriter(outputs.reduce((sum, output) => sum + outputLength(output), 0));
  for (const output of outputs) writeTxOutput(writer, output);
  return writer.finish();
}

function inputAt(tx: Transaction, index: number): TxInput {
  const input = tx.inputs[index];
  if (input === undefined) {
    throw new FormError('no such input to sign', { input_index: index, inputs: tx.inputs.length });
  }
  return input;
}

/** What BIP 143 signatures of one transaction share; made by `segwitV0Midstate`. */
export interface SegwitV0Midstate {
  readonly tx: Transaction;
  readonly hashPrevouts: () => Uint8Array;
  readonly hashSequence: () => Uint8Array;
  readonly hashOutputs: () => Uint8Array;
}

export function segwitV0Midstate(tx: Transaction): SegwitV0Midstate {
  return {
    tx,
    hashPrevouts: once(() => hash256(outPointsOf(tx))),
    hashSequence: once(() => hash256(sequencesOf(tx))),
    hashOutputs: once(() => hash256(serializeOutputs(tx.outputs))),
  };
}

function segwitV0OutputsHash({ tx, hashOutputs }: SegwitV0Midstate, index: number, type: number): Uint8Array {
  if (signsAllOutputs(type)) return hashOutputs();
  const output = signsOneOutput(type) ? tx.outputs[index] : undefined;
  return output === undefined ? ZERO_HASH : hash256(serializeOutputs([output]));
}

/**
 * BIP 143. `scriptCode` is the witness script, or for p2wpkh `p2pkhScript(keyHash)`, without a length in front;
 * `value` of the output spent. Several inputs of one transaction share a midstate; for one the transaction
 * itself will do. Throws `FormError` for an input that is not there or an undefined sighash type.
 */
export function segwitV0Sighash(
  signed: Transaction | SegwitV0Midstate,
  inputIndex: number,
  scriptCode: Uint8Array,
  value: Sat,
  sighashType: number = SIGHASH.ALL,
): Uint8Array {
  if (!isSighashType(sighashType))
    throw new FormError('undefined sighash type', { sighash_type: sighashType });
  const midstate = 'tx' in signed ? signed : segwitV0Midstate(signed);
  const { tx } = midstate;
  const input = inputAt(tx, inputIndex);
  const shared = !anyoneCanPay(sighashType);
  const writer = new ByteWriter(4 + 32 + 32 + 36 + 9 + scriptCode.length + 8 + 4 + 32 + 4 + 4);
  writer.i32le(tx.version);
  writer.put(shared ? midstate.hashPrevouts() : ZERO_HASH);
  writer.put(shared && signsAllOutputs(sighashType) ? midstate.hashSequence() : ZERO_HASH);
  writeOutPoint(writer, input);
  writeCompactSize(writer, scriptCode.length);
  writer.put(scriptCode).u64le(value).u32le(input.sequence);
  writer.put(segwitV0OutputsHash(midstate, inputIndex, sighashType));
  writer.u32le(tx.locktime).u32le(sighashType);
  return hash256(writer.finish());
}

/** What BIP 341 signatures of one transaction share; made by `taprootMidstate`. */
export interface TaprootMidstate {
  readonly tx: Transaction;
  readonly spent: readonly TxOutput[];
  readonly shaPrevouts: () => Uint8Array;
  readonly shaAmounts: () => Uint8Array;
  readonly shaScripts: () => Uint8Array;
  readonly shaSequences: () => Uint8Array;
  readonly shaOutputs: () => Uint8Array;
}

function amountsOf(outputs: readonly TxOutput[]): Uint8Array {
  const writer = new ByteWriter(8 * outputs.length);
  for (const { value } of outputs) writer.u64le(value);
  return writer.finish();
}

function scriptsOf(outputs: readonly TxOutput[]): Uint8Array {
  const writer = new ByteWriter(outputs.reduce((sum, output) => sum + outputLength(output) - 8, 0));
  for (const { script } of outputs) {
    writeCompactSize(writer, script.length);
    writer.put(script);
  }
  return writer.finish();
}

/** `spent` holds the output each input spends, in the order of the inputs; `FormError` when the counts differ. */
export function taprootMidstate(tx: Transaction, spent: readonly TxOutput[]): TaprootMidstate {
  if (spent.length !== tx.inputs.length) {
    throw new FormError('taproot needs every spent output', {
      inputs: tx.inputs.length,
      spent: spent.length,
    });
  }
  return {
    tx,
    spent,
    shaPrevouts: once(() => publicSha256(outPointsOf(tx))),
    shaAmounts: once(() => publicSha256(amountsOf(spent))),
    shaScripts: once(() => publicSha256(scriptsOf(spent))),
    shaSequences: once(() => publicSha256(sequencesOf(tx))),
    shaOutputs: once(() => publicSha256(serializeOutputs(tx.outputs))),
  };
}

/** Enough for every combination of fields, the spent script aside. */
const TAPROOT_MESSAGE_BYTES_MAX = 256;

/**
 * BIP 341 "common signature message" for the key path, without annex. Throws `FormError` for an input that is not
 * there, an undefined sighash type, and SINGLE without an output of the same index.
 */
export function taprootKeySighash(
  midstate: TaprootMidstate,
  inputIndex: number,
  sighashType: number = SIGHASH.DEFAULT,
): Uint8Array {
  if (sighashType !== SIGHASH.DEFAULT && !isSighashType(sighashType)) {
    throw new FormError('undefined sighash type', { sighash_type: sighashType });
  }
  const { tx } = midstate;
  const input = inputAt(tx, inputIndex);
  const spent = midstate.spent[inputIndex]!;
  const output = tx.outputs[inputIndex];
  if (signsOneOutput(sighashType) && output === undefined) {
    throw new FormError('SIGHASH_SINGLE without its output', { input_index: inputIndex });
  }
  const writer = new ByteWriter(TAPROOT_MESSAGE_BYTES_MAX + spent.script.length);
  writer.u8(0).u8(sighashType).i32le(tx.version).u32le(tx.locktime);
  if (!anyoneCanPay(sighashType)) {
    writer.put(midstate.shaPrevouts()).put(midstate.shaAmounts());
    writer.put(midstate.shaScripts()).put(midstate.shaSequences());
  }
  if (signsAllOutputs(sighashType)) writer.put(midstate.shaOutputs());
  writer.u8(0);
  if (anyoneCanPay(sighashType)) {
    writeOutPoint(writer, input);
    writeTxOutput(writer, spent);
    writer.u32le(input.sequence);
  } else writer.u32le(inputIndex);
  if (signsOneOutput(sighashType) && output !== undefined)
    writer.put(publicSha256(serializeOutputs([output])));
  return taggedHash('TapSighash', writer.finish());
}
