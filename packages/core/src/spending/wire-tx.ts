/**
 * Transactions whose inputs are signed one at a time, as the hsmd wire carries them, with a PSBT that says what they spend.
 * The amount of the input being signed needs no proof: with a false one its signature is worth nothing.
 */
import {
  psbtSighashType,
  psbtSpentOutput,
  SIGHASH,
  segwitV0Sighash,
  type Transaction,
  type TxInput,
  type TxOutput,
} from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import { malformed } from '../form.ts';

/** bitcoin_tx: the transaction, and a PSBT with what its inputs spend. */
export type WireTx = MessageOf<'hsmd_sign_penalty_to_us'>['tx'];

/** CLN's daemons name no input: their transactions have only one. */
export function requireOnlyInput(tx: Transaction): void {
  if (tx.inputs.length !== 1)
    malformed('the transaction has not exactly one input', { inputs: tx.inputs.length });
}

/** The input that a request names. */
export function requireInput(tx: Transaction, input: number): TxInput {
  return (
    tx.inputs[input] ?? malformed('the transaction has no such input', { input, inputs: tx.inputs.length })
  );
}

/** What an input spends, as the PSBT says. */
export function spentAt({ psbt }: WireTx, input: number): TxOutput {
  return psbtSpentOutput(psbt, input) ?? malformed('the PSBT does not say what the input spends', { input });
}

/**
 * Whether our HTLC key signs this second level as BOLT 3 has it for anchors, SINGLE|ANYONECANPAY: CLN's transactions, of one input
 * and one output, to which others may add. LDK builds the whole transaction and has it signed whole: it has more of either, or
 * its PSBT asks for ALL.
 */
export function isSignedAlone({ tx, psbt }: WireTx, input: number): boolean {
  const isAlone = tx.inputs.length === 1 && tx.outputs.length === 1;
  return isAlone && psbtSighashType(psbt, input) !== SIGHASH.ALL;
}

/** BIP 143 hash of an input. The witness script must be the one the spent output commits to. */
export function inputSighash(
  wire: WireTx,
  input: number,
  witnessScript: Uint8Array,
  sighashType: number,
): Uint8Array {
  return segwitV0Sighash(wire.tx, input, witnessScript, spentAt(wire, input).value, sighashType);
}
