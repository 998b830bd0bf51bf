/**
 * The PSBTs (BIP 174, version 0) that accompany transactions on the wire: made for requests, and signatures read out of
 * replies. Here alone plain amounts become the wire's branded ones.
 */
import type { BitcoinTx, MessageOf } from '@countersign/wire';
import { EMPTY } from './bytes.ts';
import { isP2sh, isP2tr, isP2wsh, p2wpkh, pushScript } from './scripts.ts';
import { serializeTx, type Tx, type TxInput, type TxOutput } from './transaction.ts';

export type WireTx = BitcoinTx['tx'];
export type WirePsbt = MessageOf<'hsmd_sign_withdrawal'>['psbt'];
type Entry = WirePsbt['global'][number];

const GLOBAL_UNSIGNED_TX = 0x00;
const INPUT = {
  NON_WITNESS_UTXO: 0x00,
  WITNESS_UTXO: 0x01,
  PARTIAL_SIG: 0x02,
  SIGHASH_TYPE: 0x03,
  REDEEM_SCRIPT: 0x04,
  WITNESS_SCRIPT: 0x05,
  TAP_KEY_SIG: 0x13,
} as const;
const OUTPUT_WITNESS_SCRIPT = 0x01;

export interface PsbtInputInfo {
  /** The output spent, as witness_utxo. */
  readonly utxo?: TxOutput | undefined;
  /** The transaction spent from, as non_witness_utxo. */
  readonly previous?: Tx | undefined;
  readonly sighashType?: number | undefined;
  readonly redeemScript?: Uint8Array | undefined;
  readonly witnessScript?: Uint8Array | undefined;
}

/** Amounts are checked where they are encoded: a value out of range cannot be sent. */
export const toWireTx = (tx: Tx): WireTx => tx as WireTx;

const entry = (type: number, value: Uint8Array): Entry => ({ type, keyData: EMPTY, value });

function le32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** Amount, then the script behind its length: none here is longer than 252 bytes. */
function serializeOutput({ value, script }: TxOutput): Uint8Array {
  if (script.length > 0xfc) throw new Error('a script this long has no place here');
  const bytes = new Uint8Array(9 + script.length);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  bytes[8] = script.length;
  bytes.set(script, 9);
  return bytes;
}

function inputEntries(info: PsbtInputInfo): Entry[] {
  const entries: Entry[] = [];
  if (info.previous !== undefined) entries.push(entry(INPUT.NON_WITNESS_UTXO, serializeTx(info.previous)));
  if (info.utxo !== undefined) entries.push(entry(INPUT.WITNESS_UTXO, serializeOutput(info.utxo)));
  if (info.sighashType !== undefined) entries.push(entry(INPUT.SIGHASH_TYPE, le32(info.sighashType)));
  if (info.redeemScript !== undefined) entries.push(entry(INPUT.REDEEM_SCRIPT, info.redeemScript));
  if (info.witnessScript !== undefined) entries.push(entry(INPUT.WITNESS_SCRIPT, info.witnessScript));
  return entries;
}

/** Inputs and outputs without information get an empty map. */
export function makePsbt(
  tx: Tx,
  inputs: readonly PsbtInputInfo[],
  outputWitnessScripts: readonly (Uint8Array | undefined)[] = [],
): WirePsbt {
  const unsigned: Tx = {
    ...tx,
    inputs: tx.inputs.map((input) => ({ ...input, scriptSig: EMPTY, witness: [] })),
  };
  return {
    unsignedTx: toWireTx(unsigned),
    global: [entry(GLOBAL_UNSIGNED_TX, serializeTx(unsigned))],
    inputs: tx.inputs.map((_, i) => inputEntries(inputs[i] ?? {})),
    outputs: tx.outputs.map((_, i) => {
      const script = outputWitnessScripts[i];
      return script === undefined ? [] : [entry(OUTPUT_WITNESS_SCRIPT, script)];
    }),
  };
}

/** A `bitcoin_tx`: the transaction itself and its PSBT. */
export function makeBitcoinTx(
  tx: Tx,
  inputs: readonly PsbtInputInfo[],
  outputWitnessScripts: readonly (Uint8Array | undefined)[] = [],
): BitcoinTx {
  return { tx: toWireTx(tx), psbt: makePsbt(tx, inputs, outputWitnessScripts) };
}

export interface PartialSignature {
  readonly publicKey: Uint8Array;
  /** DER and the sighash byte. */
  readonly signature: Uint8Array;
}

export function partialSignatures(psbt: WirePsbt, index: number): PartialSignature[] {
  return (psbt.inputs[index] ?? [])
    .filter(({ type }) => type === INPUT.PARTIAL_SIG)
    .map(({ keyData, value }) => ({ publicKey: keyData, signature: value }));
}

const inputField = (psbt: WirePsbt, index: number, wanted: number): Uint8Array | undefined =>
  psbt.inputs[index]?.find(({ type }) => type === wanted)?.value;

/** The BIP 340 signature of the key path, if there is one. */
export const taprootSignature = (psbt: WirePsbt, index: number): Uint8Array | undefined =>
  inputField(psbt, index, INPUT.TAP_KEY_SIG);

function completedInput(input: TxInput, script: Uint8Array, psbt: WirePsbt, index: number): TxInput {
  const schnorr = taprootSignature(psbt, index);
  if (isP2tr(script)) return schnorr === undefined ? input : { ...input, witness: [schnorr] };
  const [found] = partialSignatures(psbt, index);
  if (found === undefined) return input;
  const witnessScript = inputField(psbt, index, INPUT.WITNESS_SCRIPT);
  if (isP2wsh(script))
    return witnessScript === undefined ? input : { ...input, witness: [found.signature, witnessScript] };
  const scriptSig = isP2sh(script) ? pushScript(p2wpkh(found.publicKey)) : input.scriptSig;
  return { ...input, scriptSig, witness: [found.signature, found.publicKey] };
}

/**
 * The transaction with its inputs completed from a reply: p2wpkh, the same inside p2sh, p2tr by key, and p2wsh whose
 * script wants one signature and nothing else (to_remote and anchor). `spent`: the outputs that the inputs spend. An
 * input whose signature is not there stays as it is.
 */
export function withWalletWitnesses(tx: Tx, psbt: WirePsbt, spent: readonly TxOutput[]): Tx {
  const inputs = tx.inputs.map((input, i) => {
    const script = spent[i]?.script;
    return script === undefined ? input : completedInput(input, script, psbt, i);
  });
  return { ...tx, inputs };
}
