/** Weights, fees and trimming: BOLT 3, "Fee Calculation", "Trimmed Outputs" and "Dust Limits". */
import { isP2sh, isP2wpkh } from '../bitcoin/scripts.ts';
import type { ChannelKind } from './scripts.ts';

export const ANCHOR_VALUE = 330n;

const COMMITMENT_WEIGHT = { static_remotekey: 724n, anchors_zero_fee_htlc: 1124n } as const;
const HTLC_OUTPUT_WEIGHT = 172n;
const HTLC_TIMEOUT_WEIGHT = 663n;
const HTLC_SUCCESS_WEIGHT = 703n;

export interface FeeTerms {
  readonly kind: ChannelKind;
  readonly feeratePerKw: number;
}

/** What the funder pays, anchors apart. */
export function commitmentFeeSat({ kind, feeratePerKw }: FeeTerms, untrimmedHtlcs: number): bigint {
  const weight = COMMITMENT_WEIGHT[kind] + HTLC_OUTPUT_WEIGHT * BigInt(untrimmedHtlcs);
  return (BigInt(feeratePerKw) * weight) / 1000n;
}

/** Of the HTLC-timeout transaction (offered) or the HTLC-success transaction (received). */
export function htlcFeeSat({ kind, feeratePerKw }: FeeTerms, isOffered: boolean): bigint {
  if (kind === 'anchors_zero_fee_htlc') return 0n;
  return (BigInt(feeratePerKw) * (isOffered ? HTLC_TIMEOUT_WEIGHT : HTLC_SUCCESS_WEIGHT)) / 1000n;
}

export function isTrimmed(
  terms: FeeTerms & { readonly dustLimitSat: bigint },
  htlc: { readonly isOffered: boolean; readonly amountMsat: bigint },
): boolean {
  return htlc.amountMsat / 1000n < terms.dustLimitSat + htlcFeeSat(terms, htlc.isOffered);
}

/** Bitcoin Core's threshold for an output of this script, at its usual dust relay fee. */
export function dustThresholdSat(script: Uint8Array): bigint {
  const [first] = script;
  if (first === 0x6a) return 0n;
  if (isP2wpkh(script)) return 294n;
  if (first === 0x00 && script.length === 34) return 330n;
  if (isP2sh(script)) return 540n;
  if (first !== undefined && first >= 0x51 && first <= 0x60 && script[1] === script.length - 2)
    return script.length === 4 && first === 0x51 ? 240n : script.length === 34 ? 330n : 354n;
  return 546n;
}
