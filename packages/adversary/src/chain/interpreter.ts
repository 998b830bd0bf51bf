/**
 * Whether an input may spend its output: p2wpkh, p2wsh, both inside p2sh, p2tr by key, and scripts from before segwit.
 * Sources: BIP 16, 141, 341. Where relay is stricter than consensus, relay's rule holds.
 */
import { EMPTY, equalBytes } from '../bitcoin/bytes.ts';
import { hash160, sha256 } from '../bitcoin/hash.ts';
import { verifySchnorr } from '../bitcoin/keys.ts';
import { isP2sh, isP2tr, isP2wpkh, isP2wsh, p2pkhScript } from '../bitcoin/scripts.ts';
import { SIGHASH, sighashTaproot } from '../bitcoin/sighash.ts';
import type { Tx, TxInput, TxOutput } from '../bitcoin/transaction.ts';
import { checkResult, pushesOf, runScript, ScriptFailure } from './machine.ts';

const SCHNORR_SIGHASH_TYPES: readonly number[] = [0x01, 0x02, 0x03, 0x81, 0x82, 0x83];

interface Spending {
  readonly tx: Tx;
  readonly index: number;
  readonly input: TxInput;
  readonly spent: readonly TxOutput[];
  readonly value: bigint;
}

/** Undefined when it may; else why not. `spent`: the outputs that all the inputs spend, in their order. */
export function whyInputFails(tx: Tx, index: number, spent: readonly TxOutput[]): string | undefined {
  const input = tx.inputs[index];
  const output = spent[index];
  if (input === undefined || output === undefined) return 'no such input';
  try {
    checkInput({ tx, index, input, spent, value: output.value }, output.script);
    return undefined;
  } catch (error) {
    if (error instanceof ScriptFailure) return error.message;
    throw error;
  }
}

function fail(reason: string): never {
  throw new ScriptFailure(reason);
}

function checkInput(spending: Spending, script: Uint8Array): void {
  const { input } = spending;
  if (isP2sh(script)) checkP2sh(spending, script);
  else if (!isWitnessProgram(script)) checkBase(spending, script, pushesOf(input.scriptSig));
  else if (input.scriptSig.length > 0) fail('scriptSig beside a witness');
  else checkProgram(spending, script);
}

/** BIP 141: a version from 0 to 16, then one push of 2 to 40 bytes. */
function isWitnessProgram(script: Uint8Array): boolean {
  const [version, length] = script;
  if (version === undefined || length === undefined || length !== script.length - 2) return false;
  return (version === 0 || (version >= 0x51 && version <= 0x60)) && length >= 2 && length <= 40;
}

function checkBase(spending: Spending, script: Uint8Array, stack: Uint8Array[]): void {
  if (spending.input.witness.length > 0) fail('witness for a script without');
  runScript(script, stack, { ...spending, version: 'base' });
  checkResult(stack);
}

function checkP2sh(spending: Spending, script: Uint8Array): void {
  const stack = pushesOf(spending.input.scriptSig);
  const redeem = stack.pop() ?? fail('no redeem script');
  if (!equalBytes(hash160(redeem), script.subarray(2, 22))) fail('another redeem script');
  if (!isWitnessProgram(redeem)) checkBase(spending, redeem, stack);
  else if (stack.length > 0) fail('more than the redeem script');
  else checkProgram(spending, redeem);
}

function checkProgram(spending: Spending, program: Uint8Array): void {
  // BIP 341: inside p2sh, version 1 is not taproot.
  const isTaproot = isP2tr(program) && isP2tr(spending.spent[spending.index]?.script ?? EMPTY);
  if (isP2wpkh(program)) checkP2wpkh(spending, program);
  else if (isP2wsh(program)) checkP2wsh(spending, program);
  else if (isTaproot) checkTaproot(spending, program.subarray(2));
  else fail('witness program unknown');
}

function checkP2wpkh(spending: Spending, program: Uint8Array): void {
  const stack = [...spending.input.witness];
  if (stack.length !== 2) fail('p2wpkh takes a signature and a key');
  runScript(p2pkhScript(program.subarray(2)), stack, { ...spending, version: 'v0' });
  checkResult(stack);
}

function checkP2wsh(spending: Spending, program: Uint8Array): void {
  const stack = [...spending.input.witness];
  const script = stack.pop() ?? fail('no witness script');
  if (!equalBytes(sha256(script), program.subarray(2))) fail('another witness script');
  if (stack.some(({ length }) => length > 520)) fail('witness element too long');
  runScript(script, stack, { ...spending, version: 'v0' });
  checkResult(stack);
}

/** By key only; what goes by a script tree or has an annex does not pass. */
function checkTaproot({ tx, index, input, spent }: Spending, outputKey: Uint8Array): void {
  const [signature, more] = input.witness;
  if (signature === undefined || more !== undefined) fail('p2tr by key takes one signature');
  const type = signature.length === 64 ? SIGHASH.DEFAULT : signature[64];
  if (signature.length !== 64 && (signature.length !== 65 || !SCHNORR_SIGHASH_TYPES.includes(type ?? 0)))
    fail('malformed signature');
  if (((type ?? 0) & 3) === SIGHASH.SINGLE && index >= tx.outputs.length) fail('single output missing');
  const digest = sighashTaproot(tx, index, spent, type ?? 0);
  if (!verifySchnorr(signature.subarray(0, 64), digest, outputKey)) fail('not signed');
}
