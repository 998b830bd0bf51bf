/**
 * What Alice agreed to, twice: as the file that her signer reads, and as the plain terms that the referee goes by. Nothing here
 * is switched to warn.
 */
import type { OwnerTerms } from '@countersign/adversary';
import { toHex } from '@countersign/bitcoin';

const FEERATE_MAX_PER_KW = 25_000;
const FEE_MAX_SAT = 200_000;
const DUST_EXPOSURE_SAT = 50_000;
const DUST_OUTFLOW_SAT = 20_000;
const FEE_VELOCITY_SAT = 500_000;
const CONTEST_DELAY_BLOCKS = { min: 6, max: 2016 } as const;
const DEPTH_BLOCKS = 3;

/** countersign.toml, without the places of state and chain. Invoices of Bob's are paid without asking Alice: a play of one second per payment needs that. */
export function ownerToml(payee: Uint8Array): string {
  return `[policy]
preset = "wallet"
funding_depth_blocks = ${DEPTH_BLOCKS}
payment_depth_blocks = ${DEPTH_BLOCKS}
claim_margin_blocks = ${DEPTH_BLOCKS}
feerate_max_per_kw = ${FEERATE_MAX_PER_KW}
onchain_feerate_max_per_kw = ${FEERATE_MAX_PER_KW}
onchain_fee_max_sat = ${FEE_MAX_SAT}
dust_exposure_sat = ${DUST_EXPOSURE_SAT}
dust_exposure_per_feerate_sat = 0
dust_outflow_velocity = { amount_sat = ${DUST_OUTFLOW_SAT}, per = "day" }
fee_velocity = { amount_sat = ${FEE_VELOCITY_SAT}, per = "day" }
contest_delay_min_blocks = ${CONTEST_DELAY_BLOCKS.min}
contest_delay_max_blocks = ${CONTEST_DELAY_BLOCKS.max}

[policy.rules]
"policy-commitment-payment-settled-preimage" = "error"

[approvals]
auto = "allowlist"

[allowlist]
payees = ["${toHex(payee)}"]
`;
}

export function ownerTerms(payee: Uint8Array): OwnerTerms {
  return {
    payees: [payee],
    scripts: [],
    routingFeeBaseSat: 60,
    routingFeePpm: 12_000,
    dustExposureSat: DUST_EXPOSURE_SAT,
    dustOutflowSat: DUST_OUTFLOW_SAT,
    feeVelocitySat: FEE_VELOCITY_SAT,
    windowSeconds: 23 * 3600,
    commitmentFeeratePerKwMax: FEERATE_MAX_PER_KW,
    onchainFeeratePerKwMax: FEERATE_MAX_PER_KW,
    onchainFeeSatMax: FEE_MAX_SAT,
    contestDelayBlocksMin: CONTEST_DELAY_BLOCKS.min,
    contestDelayBlocksMax: CONTEST_DELAY_BLOCKS.max,
    finalDepthBlocks: DEPTH_BLOCKS,
    times: { reactBlocks: 1, graceBlocks: 4, deltaBlocks: 6 },
  };
}
