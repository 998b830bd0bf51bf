/**
 * Spending the 2-of-2 funding output (BOLT 3 "Funding Transaction Output"): the hash both sides sign on a
 * commitment or closing transaction, and its witness.
 */
import type { Sat } from '../amount.ts';
import { compareBytes } from '../bytes.ts';
import { SIGHASH, segwitV0Sighash } from '../sighash.ts';
import { encodeScriptSignature } from '../signature.ts';
import type { Transaction } from '../transaction.ts';
import { fundingScript } from './scripts.ts';

/** SIGHASH_ALL of the input (the first, unless a splice has others before it) that spends the funding. */
export function fundingSighash(
  tx: Transaction,
  fundingWitnessScript: Uint8Array,
  fundingSat: Sat,
  inputIndex = 0,
): Uint8Array {
  return segwitV0Sighash(tx, inputIndex, fundingWitnessScript, fundingSat, SIGHASH.ALL);
}

/** A funding key and its signature, 64 bytes compact. */
export interface FundingSignature {
  readonly fundingKey: Uint8Array;
  readonly signature: Uint8Array;
}

/** 0 <signature_for_pubkey1> <signature_for_pubkey2> <witness script>, in the order of the keys. */
export function fundingWitness(a: FundingSignature, b: FundingSignature): readonly Uint8Array[] {
  const [first, second] = compareBytes(a.fundingKey, b.fundingKey) < 0 ? [a, b] : [b, a];
  const script = fundingScript(a.fundingKey, b.fundingKey);
  const signatures = [first, second].map(({ signature }) => encodeScriptSignature(signature, SIGHASH.ALL));
  return [new Uint8Array(0), ...signatures, script];
}
