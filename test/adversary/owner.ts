/**
 * What the owner of every attacked signer agreed to, twice: as the file that the signer reads, and as the plain terms that the
 * referee knows. Whoever changes one changes the other; where a rule rounds, the referee is the more generous.
 */
import { createHash } from 'node:crypto';
import type { OwnerTerms } from '@countersign/adversary';
import { addressToScript, loadSecp256k1, toHex } from '@countersign/bitcoin';
import { type Network, networkByName } from '@countersign/core';

export const NETWORK: Network = networkByName('regtest')!;

const sha256 = (text: string): Uint8Array => new Uint8Array(createHash('sha256').update(text).digest());

/** CLN's plain kind of hsm_secret: 32 bytes. Of value to nobody. */
export const TEST_SEED: Uint8Array = sha256('countersign adversary: the owner');

/** Whose invoices the owner's allowlist admits; the attacker runs that node too. */
export const PAYEE_SECRET: Uint8Array = sha256('countersign adversary: the payee on the allowlist');
export const PAYEE: Uint8Array = loadSecp256k1().publicKey(PAYEE_SECRET);

/** P2WPKH of a key that nobody in the game holds. */
export const ALLOWLISTED_ADDRESS = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080';

const FEERATE_MAX_PER_KW = 25_000;
const ONCHAIN_FEERATE_MAX_PER_KW = 50_000;
const ONCHAIN_FEE_MAX_SAT = 200_000;
const DUST_EXPOSURE_SAT = 50_000;
const DUST_OUTFLOW_SAT = 20_000;
const FEE_VELOCITY_SAT = 500_000;
const CONTEST_DELAY_BLOCKS = { min: 6, max: 2016 } as const;
const PAYMENT_DEPTH_BLOCKS = 3;
/**
 * A reorg of two blocks brings three, takes back a commitment with the HTLC transaction that has to wait for it, and may keep both out: so
 * the defaults of a test network, 2 and 6, are too short for an attacker who reorganizes.
 */
const CLAIM_MARGIN_BLOCKS = 6;
const CLTV_DELTA_BLOCKS = 12;

export interface OwnerFile {
  /** Node ids, 33 bytes. */
  readonly payees?: readonly Uint8Array[];
  readonly addresses?: readonly string[];
  /** More lines of [policy]; one that names a limit of the owner's takes its place. */
  readonly policyLines?: readonly string[];
  /** More lines of [policy.rules]. */
  readonly ruleLines?: readonly string[];
}

const POLICY: readonly string[] = [
  'preset = "hub"',
  `payment_depth_blocks = ${PAYMENT_DEPTH_BLOCKS}`,
  // A splice that is locked ends what it replaced: not before the attacker can't take it back.
  `funding_depth_blocks = ${PAYMENT_DEPTH_BLOCKS}`,
  `claim_margin_blocks = ${CLAIM_MARGIN_BLOCKS}`,
  `cltv_delta_blocks = ${CLTV_DELTA_BLOCKS}`,
  `feerate_max_per_kw = ${FEERATE_MAX_PER_KW}`,
  'feerate_max_peer_pays_per_kw = 250_000',
  `onchain_feerate_max_per_kw = ${ONCHAIN_FEERATE_MAX_PER_KW}`,
  `onchain_fee_max_sat = ${ONCHAIN_FEE_MAX_SAT}`,
  `dust_exposure_sat = ${DUST_EXPOSURE_SAT}`,
  'dust_exposure_per_feerate_sat = 0',
  `dust_outflow_velocity = { amount_sat = ${DUST_OUTFLOW_SAT}, per = "day" }`,
  `fee_velocity = { amount_sat = ${FEE_VELOCITY_SAT}, per = "day" }`,
  'routing_fee_base_sat = 1',
  'routing_fee_ppm = 10_000',
  `contest_delay_min_blocks = ${CONTEST_DELAY_BLOCKS.min}`,
  `contest_delay_max_blocks = ${CONTEST_DELAY_BLOCKS.max}`,
];

const keyOf = (line: string): string => line.split('=')[0]!.trim();

/** The whole of countersign.toml. Every rule refuses; the limits are tighter than regtest's, which hurt nobody. */
export function ownerToml(file: OwnerFile = {}): string {
  const { payees = [PAYEE], addresses = [ALLOWLISTED_ADDRESS], policyLines = [], ruleLines = [] } = file;
  const list = (texts: readonly string[]) => texts.map((text) => `"${text}"`).join(', ');
  const replaced = new Set(policyLines.map(keyOf));
  const policy = [...POLICY.filter((line) => !replaced.has(keyOf(line))), ...policyLines];
  return `[policy]
${policy.join('\n')}

[policy.rules]
"policy-commitment-payment-settled-preimage" = "error"
${ruleLines.join('\n')}

[approvals]
auto = "allowlist"

[allowlist]
payees = [${list(payees.map(toHex))}]
destinations = [${list(addresses)}]

[chain]
source = "node"
birthday_height = 1
`;
}

function scriptOf(address: string): Uint8Array {
  const read = addressToScript(address, 'regtest');
  if (!read.ok) throw new Error(`${address} is no address of regtest`);
  return read.script;
}

/** A limit that a mutant's lines changed, else the owner's. */
function amountIn(lines: readonly string[], key: string, usual: number): number {
  const line = lines.find((one) => keyOf(one) === key);
  const found = line === undefined ? null : /(?:amount_sat = |= )(\d[\d_]*)/.exec(line);
  return found === null ? usual : Number(found[1]!.replaceAll('_', ''));
}

/**
 * The same for the referee. The signer's windows slide in 24 buckets, so a budget may come back after 23 of them; a fee
 * budget of one satoshi and 1 % is the larger of six satoshi and 1.2 % at least.
 */
export function ownerTerms({
  addresses = [ALLOWLISTED_ADDRESS],
  payees = [PAYEE],
  policyLines = [],
}: OwnerFile = {}): OwnerTerms {
  return {
    payees,
    scripts: addresses.map(scriptOf),
    routingFeeBaseSat: 6,
    routingFeePpm: 12_000,
    dustExposureSat: amountIn(policyLines, 'dust_exposure_sat', DUST_EXPOSURE_SAT),
    dustOutflowSat: amountIn(policyLines, 'dust_outflow_velocity', DUST_OUTFLOW_SAT),
    feeVelocitySat: amountIn(policyLines, 'fee_velocity', FEE_VELOCITY_SAT),
    windowSeconds: 23 * 3600,
    commitmentFeeratePerKwMax: FEERATE_MAX_PER_KW,
    onchainFeeratePerKwMax: ONCHAIN_FEERATE_MAX_PER_KW,
    onchainFeeSatMax: ONCHAIN_FEE_MAX_SAT,
    contestDelayBlocksMin: CONTEST_DELAY_BLOCKS.min,
    contestDelayBlocksMax: CONTEST_DELAY_BLOCKS.max,
    finalDepthBlocks: PAYMENT_DEPTH_BLOCKS,
    // A preimage may be shown until the owner's timeout is mined: two blocks of grace, then its commitment, then the timeout. What is known
    // when the claim margin begins is claimed two blocks later, after the commitment, or as many later again as a reorg takes.
    times: { reactBlocks: 1, graceBlocks: 4, deltaBlocks: CLTV_DELTA_BLOCKS },
  };
}
