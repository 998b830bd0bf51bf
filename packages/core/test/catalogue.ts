/**
 * The catalogue of rules as the specification has it: tag, severity, whether the promise rests on it, operations, and for
 * optional rules the presets that switch them on. `catalogue.test.ts` holds the registry against it.
 */
import type { Operation, Preset, Rule } from '@countersign/core';

export interface CatalogueEntry {
  readonly tag: string;
  readonly severity: Rule['severity'];
  readonly carriesPromise: boolean;
  /** The specification's; a rule may name more where a law judges the same thing. */
  readonly operations: readonly Operation[];
  readonly presets?: readonly Preset[];
}

type More = Partial<Pick<CatalogueEntry, 'presets'>>;

const entries =
  (severity: Rule['severity'], carriesPromise: boolean) =>
  (operations: string, tags: readonly string[], more: More = {}): readonly CatalogueEntry[] =>
    tags.map((tag) => {
      const list = operations.split(' ') as Operation[];
      return { tag, severity, carriesPromise, operations: list, ...more };
    });

const hard = entries('hard', false);
const soft = entries('soft', false);
const promised = entries('soft', true);
const approver = entries('approver', false);

/** `policy-commitment-` before each. */
const commitment = (...names: readonly string[]): readonly string[] =>
  names.map((name) => `policy-commitment-${name}`);
/** `policy-htlc-` before each. */
const secondLevel = (...names: readonly string[]): readonly string[] =>
  names.map((name) => `policy-htlc-${name}`);

const OPENING = [
  hard('init', ['policy-init-binding']),
  hard('cc rev fc', ['policy-channel-funding-onchain']),
  hard('setup onchain', ['policy-candidate-exclusive']),
  hard('rpc', ['policy-channel-forget']),
  hard('all', ['policy-channel-frozen']),
  soft('setup', ['policy-channel-safe-type']),
  promised('setup', [
    'policy-channel-contest-delay-range-holder',
    'policy-channel-contest-delay-range-counterparty',
  ]),
  hard('setup', ['policy-channel-original-channel-id-reuse']),
  soft('new', ['policy-channel-count-limit']),
  hard('setup', ['policy-channel-reuse-keys']),
  soft('setup cc hc', ['policy-funding-max']),
  promised('onchain', ['policy-velocity-funding']),
];

const ONCHAIN = [
  soft('onchain', ['policy-onchain-format-standard']),
  soft('onchain', ['policy-onchain-max-size']),
  promised('onchain', ['policy-onchain-fee-range']),
  promised('onchain fc mc htlc sweep', ['policy-onchain-fee-velocity']),
  soft('onchain', ['policy-onchain-anchor-reserve']),
  hard('onchain cc fc htlc mc sweep', ['policy-sighash']),
  hard('all', ['policy-key-use']),
  hard('onchain', [
    'policy-onchain-input-amounts-proven',
    'policy-onchain-funding-non-malleable',
    'policy-onchain-output-scriptpubkey',
    'policy-onchain-output-match-commitment',
    'policy-onchain-initial-commitment-countersigned',
  ]),
  promised('onchain', ['policy-onchain-no-fund-inbound']),
  soft('onchain', ['policy-onchain-no-channel-push']),
  approver('onchain', ['policy-onchain-no-unknown-outputs']),
  soft('onchain sweep mc', ['policy-onchain-wallet-path-predictable']),
  soft('onchain mc', ['policy-onchain-shared-allowlist']),
];

const COMMITMENTS = [
  hard(
    'cc hc',
    commitment(
      ...['version', 'locktime', 'sequence', 'input-single', 'input-match-funding'],
      ...['singular-to-holder', 'singular-to-counterparty', 'no-unrecognized-outputs'],
      ...['revocation-pubkey', 'broadcaster-pubkey', 'countersignatory-pubkey', 'to-self-delay-range'],
      ...['htlc-revocation-pubkey', 'htlc-counterparty-htlc-pubkey', 'htlc-holder-htlc-pubkey'],
      ...['anchors-not-when-off', 'anchor-to-holder', 'anchor-to-counterparty', 'anchor-amount'],
      ...['anchor-static-remotekey', 'anchor-match-fundingkey'],
      ...['outputs-trimmed', 'initial-funding-value', 'first-no-htlcs', 'balance-conserved'],
    ),
  ),
  promised('cc', commitment('dust-exposure', 'dust-outflow', 'payment-settled-preimage', 'fee-range')),
  soft('cc', commitment('htlc-count-limit', 'htlc-inflight-limit')),
  promised('cc', commitment('htlc-cltv-range', 'spends-active-utxo')),
  hard('cc', commitment('previous-revoked')),
  hard('hc', commitment('holder-not-revoked')),
  hard('cc hc', commitment('retry-same')),
  hard('rev', [
    'policy-revoke-new-commitment-signed',
    'policy-revoke-new-commitment-valid',
    'policy-revoke-not-closed',
  ]),
];

const PAYMENTS = [
  hard('cc', [
    ...commitment('htlc-routing-balance', 'htlc-offered-hash-matches', 'payment-invoiced'),
    'policy-routing-balanced',
    'policy-routing-deltas-only-htlc',
  ]),
  promised('cc', commitment('htlc-received-spends-active-utxo')),
  promised('cc', ['policy-routing-cltv-delta']),
  soft('cc', ['policy-routing-abandon-unresolved', 'policy-routing-fee-min']),
  promised('cc', commitment('payment-approved', 'payment-velocity')),
  soft('cc', commitment('payment-allowlisted'), { presets: [] }),
  soft('pay', ['policy-invoice-not-expired']),
  hard('pay', ['policy-invoice-signature']),
  soft('cc', ['policy-payment-fee-budget']),
  soft('cc', ['policy-no-routing'], { presets: ['wallet', 'merchant'] }),
  soft('cc', ['policy-merchant-no-sends'], { presets: ['merchant'] }),
  promised('cc', ['policy-velocity-transferred'], { presets: [] }),
  hard('all', ['policy-generic-error']),
];

const SPENDS = [
  hard(
    'htlc',
    secondLevel('version', 'locktime', 'sequence', 'to-self-delay', 'revocation-pubkey', 'delayed-pubkey'),
  ),
  promised('htlc', secondLevel('cltv-range', 'fee-range')),
  hard('htlc sweep', ['policy-htlc-belongs']),
  hard('mc', ['policy-mutual-value-matches-commitment', 'policy-mutual-no-pending-htlcs']),
  promised('mc', ['policy-mutual-fee-range']),
  promised('setup mc', ['policy-mutual-destination-allowlisted']),
  soft('sweep', ['policy-sweep-version', 'policy-sweep-sequence', 'policy-sweep-locktime']),
  promised('sweep', ['policy-sweep-destination-allowlisted', 'policy-sweep-fee-range']),
];

const CHAIN = [
  promised('block', ['policy-chain-validated']),
  hard('block', ['policy-chain-proof']),
  soft('block', ['policy-chain-oracle-quorum', 'policy-chain-hashrate']),
];

export const CATALOGUE: readonly CatalogueEntry[] = [
  ...OPENING,
  ...ONCHAIN,
  ...COMMITMENTS,
  ...PAYMENTS,
  ...SPENDS,
  ...CHAIN,
].flat();

/** Ours beside the catalogue, each with what it is for. */
export const ADDITIONS: Readonly<Record<string, string>> = {
  'policy-client-permission': 'a client of the node asks for what it holds no permission for',
};
