/** Mutual closes: BOLT 3, "Legacy Closing Transaction" and "Closing Transaction". */
import { EMPTY } from '../bitcoin/bytes.ts';
import type { OutPoint, Tx, TxOutput } from '../bitcoin/transaction.ts';
import { sortedOutputs } from './commitment.ts';

export interface ClosingSide {
  readonly amountMsat: bigint;
  readonly script: Uint8Array;
}

const OP_RETURN = 0x6a;
const SIMPLE_CLOSE_SEQUENCE = 0xfffffffd;
const LEGACY_SEQUENCE = 0xffffffff;

function closingTx(funding: OutPoint, outputs: readonly TxOutput[], sequence: number, locktime: number): Tx {
  return {
    version: 2,
    inputs: [{ ...funding, scriptSig: EMPTY, sequence, witness: [] }],
    outputs: sortedOutputs(outputs),
    locktime,
  };
}

/** `dustLimitSat`: of the side that offers the signature. The funder pays the fee; short of it, it gets nothing. */
export function buildLegacyClose(terms: {
  readonly funding: OutPoint;
  readonly funder: ClosingSide;
  readonly other: ClosingSide;
  readonly feeSat: bigint;
  readonly dustLimitSat: bigint;
}): Tx {
  const outputs = [
    { value: terms.funder.amountMsat / 1000n - terms.feeSat, script: terms.funder.script },
    { value: terms.other.amountMsat / 1000n, script: terms.other.script },
  ].filter(({ value }) => value >= terms.dustLimitSat && value > 0n);
  return closingTx(terms.funding, outputs, LEGACY_SEQUENCE, 0);
}

/** option_simple_close. Null for a side whose output is left out. */
export function buildSimpleClose(terms: {
  readonly funding: OutPoint;
  readonly closer: ClosingSide | null;
  readonly closee: ClosingSide | null;
  readonly feeSat: bigint;
  readonly locktime: number;
}): Tx {
  const output = (side: ClosingSide | null, feeSat: bigint): TxOutput[] => {
    if (side === null) return [];
    const value = side.script[0] === OP_RETURN ? 0n : side.amountMsat / 1000n - feeSat;
    return [{ value, script: side.script }];
  };
  const outputs = [...output(terms.closer, terms.feeSat), ...output(terms.closee, 0n)];
  return closingTx(terms.funding, outputs, SIMPLE_CLOSE_SEQUENCE, terms.locktime);
}
