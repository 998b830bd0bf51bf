/**
 * What the owner of every attacked signer wrote and where his seed comes from. The referee knows the same terms as plain
 * values; both begin here.
 */
import { createHash } from 'node:crypto';
import { loadSecp256k1, toHex } from '@countersign/bitcoin';
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

export interface OwnerFile {
  /** Node ids, 33 bytes. */
  readonly payees?: readonly Uint8Array[];
  readonly addresses?: readonly string[];
  /** More lines of [policy]. */
  readonly policyLines?: readonly string[];
  /** More lines of [policy.rules]. */
  readonly ruleLines?: readonly string[];
}

/** The whole of countersign.toml. Every rule refuses; the limits are mainnet's where regtest's are too wide to hurt. */
export function ownerToml(file: OwnerFile = {}): string {
  const { payees = [PAYEE], addresses = [ALLOWLISTED_ADDRESS], policyLines = [], ruleLines = [] } = file;
  const list = (texts: readonly string[]) => texts.map((text) => `"${text}"`).join(', ');
  return `[policy]
preset = "hub"
payment_depth_blocks = 3
feerate_max_per_kw = 25_000
feerate_max_peer_pays_per_kw = 250_000
onchain_feerate_max_per_kw = 50_000
onchain_fee_max_sat = 200_000
${policyLines.join('\n')}

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
