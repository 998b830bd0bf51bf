/**
 * The commitment number in a commitment's locktime and sequence (BOLT 3 "Commitment Transaction"), and the form
 * that tells a commitment from every other transaction that spends a funding output.
 */
import { FormError } from '../error.ts';
import { publicSha256 } from '../hash.ts';
import type { Transaction } from '../transaction.ts';
import { COMMITMENT_NUMBER_MAX } from './secrets.ts';

const LOCKTIME_MARK = 0x20;
const SEQUENCE_MARK = 0x80;
const LOW_24 = 0xff_ffffn;

/** Lower 48 bits of SHA256(opener's payment_basepoint || accepter's payment_basepoint). */
export function commitmentObscureFactor(
  openerPaymentBasepoint: Uint8Array,
  accepterPaymentBasepoint: Uint8Array,
): bigint {
  const digest = publicSha256(openerPaymentBasepoint, accepterPaymentBasepoint);
  let factor = 0n;
  for (const byte of digest.subarray(26)) factor = (factor << 8n) | BigInt(byte);
  return factor;
}

/** The number as the transaction carries it, 48 bits. Throws `FormError` outside 0 … 2^48−1. */
export function obscuredNumber(commitmentNumber: number | bigint, obscureFactor: bigint): bigint {
  if (typeof commitmentNumber === 'number' && !Number.isSafeInteger(commitmentNumber))
    throw new FormError('commitment number is not an integer', { number: commitmentNumber });
  const number = BigInt(commitmentNumber);
  for (const value of [number, obscureFactor]) {
    if (value < 0n || value > COMMITMENT_NUMBER_MAX)
      throw new FormError('commitment number out of range', { value, max: COMMITMENT_NUMBER_MAX });
  }
  return number ^ obscureFactor;
}

export function commitmentLocktime(commitmentNumber: number | bigint, obscureFactor: bigint): number {
  return LOCKTIME_MARK * 0x100_0000 + Number(obscuredNumber(commitmentNumber, obscureFactor) & LOW_24);
}

export function commitmentSequence(commitmentNumber: number | bigint, obscureFactor: bigint): number {
  return SEQUENCE_MARK * 0x100_0000 + Number(obscuredNumber(commitmentNumber, obscureFactor) >> 24n);
}

/**
 * Whether the upper bytes of locktime and of the sequence of input `inputIndex` (the one that spends the funding)
 * mark a commitment. Says nothing about the rest: version, other inputs and outputs are judged elsewhere.
 */
export function isCommitmentForm(tx: Transaction, inputIndex = 0): boolean {
  const input = tx.inputs[inputIndex];
  return (
    input !== undefined && tx.locktime >>> 24 === LOCKTIME_MARK && input.sequence >>> 24 === SEQUENCE_MARK
  );
}

/** The commitment number; null where the transaction has not the form of a commitment. */
export function commitmentNumberFrom(tx: Transaction, obscureFactor: bigint, inputIndex = 0): bigint | null {
  const input = tx.inputs[inputIndex];
  if (input === undefined || !isCommitmentForm(tx, inputIndex)) return null;
  const obscured = (BigInt(input.sequence & 0xff_ffff) << 24n) | BigInt(tx.locktime & 0xff_ffff);
  return obscured ^ obscureFactor;
}
