/**
 * The transactions of claims as the hsmd wire carries them: one input, and a PSBT that says what it spends. The amount
 * needs no proof: with a false one the only signature is worth nothing.
 */
import { psbtSpentOutput, segwitV0Sighash, type Transaction, type TxOutput } from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import { malformed } from '../form.ts';

/** bitcoin_tx: the transaction, and a PSBT with what its inputs spend. */
export type WireTx = MessageOf<'hsmd_sign_penalty_to_us'>['tx'];

/** A request names the input it means; these transactions have only one. */
export function requireOnlyInput(tx: Transaction, input: number): void {
  if (input !== 0 || tx.inputs.length !== 1) {
    malformed('the transaction has not exactly one input', { input, inputs: tx.inputs.length });
  }
}

/** What the only input spends, as the PSBT says. */
export function onlySpent({ psbt }: WireTx): TxOutput {
  return psbtSpentOutput(psbt, 0) ?? malformed('the PSBT does not say what the input spends');
}

/** BIP 143 hash of the only input. The witness script must be the one the spent output commits to. */
export function onlyInputSighash(wire: WireTx, witnessScript: Uint8Array, sighashType: number): Uint8Array {
  return segwitV0Sighash(wire.tx, 0, witnessScript, onlySpent(wire).value, sighashType);
}
