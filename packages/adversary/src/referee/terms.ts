/**
 * What the owner agreed to, as the referee knows it: from the owner, never from the signer. Whatever leaves beyond it is theft.
 */
import type { Times } from './problem.ts';

export interface OwnerTerms {
  /** Node ids whose invoices are paid without asking. */
  readonly payees: readonly Uint8Array[];
  /** Output scripts that coins may go to. */
  readonly scripts: readonly Uint8Array[];
  /** The routing fee of a payment: the larger of the two. */
  readonly routingFeeBaseSat: number;
  readonly routingFeePpm: number;
  /** Trimmed value in flight, for each channel. */
  readonly dustExposureSat: number;
  /** Value that may leave by trimmed HTLCs and rounding, in each period of `windowSeconds`. */
  readonly dustOutflowSat: number;
  /** Fees of spends of the wallet, in each period. */
  readonly feeVelocitySat: number;
  readonly windowSeconds: number;
  /** Of a commitment that the owner pays for, and of second-level transactions that pay a fee. */
  readonly commitmentFeeratePerKwMax: number;
  /** Of spends, sweeps and closes. */
  readonly onchainFeeratePerKwMax: number;
  readonly onchainFeeSatMax: number;
  /** Between these, both delays of a channel give the owner time and do not lock its money up. */
  readonly contestDelayBlocksMin: number;
  readonly contestDelayBlocksMax: number;
  /** How deep a transaction is that the attacker can't take back. */
  readonly finalDepthBlocks: number;
  readonly times: Omit<Times, 'heightBlocks'>;
}

/** What an approved amount may cost with its fee, in satoshi, rounded up. */
export function approvedWithFeeSat(amountMsat: bigint, terms: OwnerTerms): number {
  const amountSat = Number((amountMsat + 999n) / 1000n);
  const feeSat = Math.max(terms.routingFeeBaseSat, Math.ceil((amountSat * terms.routingFeePpm) / 1e6));
  return amountSat + feeSat;
}

/** The most of a fee that the owner agreed to. */
export function agreedFeeSat(feeSat: number, weight: number, feeratePerKwMax: number): number {
  return Math.min(feeSat, Math.ceil((weight * feeratePerKwMax) / 1000));
}
