/** The obscured commitment number: BOLT 3, "Commitment Transaction". */
import { concatBytes } from '../bitcoin/bytes.ts';
import { sha256 } from '../bitcoin/hash.ts';
import type { Tx } from '../bitcoin/transaction.ts';

const TWO_24 = 2 ** 24;

/** Lower 48 bits of SHA256(opener's payment basepoint || accepter's), as two halves of 24 bits. */
export interface Obscurer {
  readonly upper: number;
  readonly lower: number;
}

export function makeObscurer(openerPayment: Uint8Array, accepterPayment: Uint8Array): Obscurer {
  const digest = sha256(concatBytes(openerPayment, accepterPayment));
  const view = new DataView(digest.buffer, digest.byteOffset);
  return { upper: view.getUint32(26) >>> 8, lower: view.getUint32(28) & 0xffffff };
}

/** The locktime and the sequence that say which commitment it is. */
export function numberFields(
  commitmentNumber: number,
  { upper, lower }: Obscurer,
): { readonly locktime: number; readonly sequence: number } {
  return {
    locktime: 0x20000000 + ((commitmentNumber % TWO_24) ^ lower),
    sequence: 0x80000000 + (Math.floor(commitmentNumber / TWO_24) ^ upper),
  };
}

/** Undefined when the transaction has not the form of a commitment. */
export function commitmentNumberOf(tx: Tx, { upper, lower }: Obscurer): number | undefined {
  const [input, another] = tx.inputs;
  if (input === undefined || another !== undefined) return undefined;
  if (tx.locktime >>> 24 !== 0x20 || input.sequence >>> 24 !== 0x80) return undefined;
  return ((input.sequence & 0xffffff) ^ upper) * TWO_24 + ((tx.locktime & 0xffffff) ^ lower);
}
