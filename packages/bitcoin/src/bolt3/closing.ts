/**
 * Mutual closes: the legacy closing transaction of `closing_signed` and the one of option_simple_close (BOLT 3
 * "Legacy Closing Transaction", "Closing Transaction"). Impossible closes are typed results, not exceptions.
 */
import type { Msat, Sat } from '../amount.ts';
import { msatToSatFloor, sat } from '../amount.ts';
import { FormError } from '../error.ts';
import { isWitnessProgram, OP } from '../script.ts';
import type { OutPoint, Transaction, TxOutput } from '../transaction.ts';
import { compactSizeLength } from '../transaction.ts';
import { compareOutputs } from './order.ts';

/** Elements, signatures of 73 bytes and the 71-byte script with their lengths, as BOLT 3 Appendix A counts them. */
const FUNDING_WITNESS_WEIGHT = 222;
const SEGWIT_MARKER_WEIGHT = 2;
const BARE_BYTES_WITHOUT_OUTPUTS = 4 + 1 + (36 + 1 + 4) + 1 + 4;

/** Legacy: final, no locktime. */
const LEGACY_SEQUENCE = 0xffff_ffff;
/** option_simple_close: replaceable, nLockTime in force. */
const SIMPLE_SEQUENCE = 0xffff_fffd;

/** One side's share and where it goes. */
export interface ClosingShare {
  readonly balanceMsat: Msat;
  readonly script: Uint8Array;
}

export type ClosingResult =
  | { readonly ok: true; readonly transaction: Transaction }
  | {
      readonly ok: false;
      readonly reason: 'fee-exceeds-balance';
      readonly balanceSat: Sat;
      readonly feeSat: Sat;
    }
  | { readonly ok: false; readonly reason: 'no-outputs' };

export interface LegacyClosing {
  readonly funding: OutPoint;
  /** Pays the fee. */
  readonly funder: ClosingShare;
  readonly fundee: ClosingShare;
  readonly feeSat: Sat;
  /** Of the side whose variant this is: outputs below it are left out. */
  readonly dustLimitSat: Sat;
  /** A side may leave out its own output whatever it is worth. */
  readonly omit?: 'funder' | 'fundee';
}

export interface SimpleClosing {
  readonly funding: OutPoint;
  /** The sender of `closing_complete`: pays the fee. */
  readonly closer: ClosingShare;
  readonly closee: ClosingShare;
  readonly feeSat: Sat;
  readonly locktime: number;
  /** Which of the three variants of `closing_complete`. */
  readonly outputs: 'closer' | 'closee' | 'both';
}

/** The payer's balance less the fee, or null where it is not enough. */
function afterFee(share: ClosingShare, feeSat: Sat): Sat | null {
  const balance = msatToSatFloor(share.balanceMsat);
  return balance < feeSat ? null : sat(balance - feeSat);
}

function feeExceeds(share: ClosingShare, feeSat: Sat): ClosingResult {
  return { ok: false, reason: 'fee-exceeds-balance', balanceSat: msatToSatFloor(share.balanceMsat), feeSat };
}

function closing(
  funding: OutPoint,
  outputs: readonly TxOutput[],
  sequence: number,
  locktime: number,
): ClosingResult {
  if (outputs.length === 0) return { ok: false, reason: 'no-outputs' };
  const input = {
    txid: funding.txid,
    vout: funding.vout,
    scriptSig: new Uint8Array(0),
    sequence,
    witness: [],
  };
  return {
    ok: true,
    transaction: { version: 2, inputs: [input], outputs: outputs.toSorted(compareOutputs), locktime },
  };
}

/** `closing_signed`: the funder's output pays the fee, dust is left out, sequence 0xFFFFFFFF, locktime 0. */
export function buildLegacyClosing(params: LegacyClosing): ClosingResult {
  const { funding, funder, fundee, feeSat, dustLimitSat, omit } = params;
  const funderSat = afterFee(funder, feeSat);
  if (funderSat === null) return feeExceeds(funder, feeSat);
  const outputs: TxOutput[] = [];
  if (omit !== 'funder' && funderSat >= dustLimitSat)
    outputs.push({ value: funderSat, script: funder.script });
  const fundeeSat = msatToSatFloor(fundee.balanceMsat);
  if (omit !== 'fundee' && fundeeSat >= dustLimitSat)
    outputs.push({ value: fundeeSat, script: fundee.script });
  return closing(funding, outputs, LEGACY_SEQUENCE, 0);
}

/** The close of `closing_signed` that has these outputs; those of 0 sat are left out. Null when none is left. */
export function closingWithOutputs(funding: OutPoint, outputs: readonly TxOutput[]): Transaction | null {
  const paid = outputs.filter(({ value }) => value > 0n);
  const built = closing(funding, paid, LEGACY_SEQUENCE, 0);
  return built.ok ? built.transaction : null;
}

/** An OP_RETURN output carries nothing: its whole balance goes to fees. */
const closingOutput = (value: Sat, script: Uint8Array): TxOutput => ({
  value: script[0] === OP.OP_RETURN ? sat(0) : value,
  script,
});

/** `closing_complete`: the closer's output pays the fee; sequence 0xFFFFFFFD and the message's locktime. */
export function buildSimpleClosing(params: SimpleClosing): ClosingResult {
  const { funding, closer, closee, feeSat, locktime, outputs: variant } = params;
  if (!Number.isInteger(locktime) || locktime < 0 || locktime > 0xffff_ffff)
    throw new FormError('locktime is not a 32-bit number', { locktime });
  const closerSat = afterFee(closer, feeSat);
  if (closerSat === null) return feeExceeds(closer, feeSat);
  const outputs: TxOutput[] = [];
  if (variant !== 'closee') outputs.push(closingOutput(closerSat, closer.script));
  if (variant !== 'closer') outputs.push(closingOutput(msatToSatFloor(closee.balanceMsat), closee.script));
  return closing(funding, outputs, SIMPLE_SEQUENCE, locktime);
}

/** Weight of the signed close with these output scripts, signatures at their largest. */
export function closingWeight(outputScripts: readonly Uint8Array[]): number {
  let bytes = BARE_BYTES_WITHOUT_OUTPUTS;
  for (const script of outputScripts) bytes += 8 + compactSizeLength(script.length) + script.length;
  return 4 * bytes + SEGWIT_MARKER_WEIGHT + FUNDING_WITNESS_WEIGHT;
}

/** Bytes of the input that spends an output, as Bitcoin Core's dust rule assumes them. */
const WITNESS_INPUT_BYTES = 67;
const LEGACY_INPUT_BYTES = 148;
const DUST_SAT_PER_BYTE = 3;

/** BOLT 3 "Dust Limits": the least amount Bitcoin Core relays to this script; 0 for OP_RETURN. */
export function scriptDustLimitSat(script: Uint8Array): Sat {
  if (script[0] === OP.OP_RETURN) return sat(0);
  const inputBytes = isWitnessProgram(script) ? WITNESS_INPUT_BYTES : LEGACY_INPUT_BYTES;
  return sat(DUST_SAT_PER_BYTE * (8 + compactSizeLength(script.length) + script.length + inputBytes));
}
