/**
 * The policy as the operator set it: values only, already validated by the configuration loader. Every limit the rules
 * use is here, with its unit in its name, so that `countersign policy show` can print all of them.
 */
import { toHex } from '@countersign/bitcoin';
import type { Network } from '../network.ts';
import type { AllowlistEntry } from '../records/approval.ts';
import type { Rule } from './registry.ts';

/**
 * `permissive`: soft rules warn and everything that needs an approval is approved (tests, migration).
 * `wallet`, `merchant`, `hub`: every rule refuses; they differ only in the optional rules they switch on.
 */
export type Preset = 'permissive' | 'wallet' | 'merchant' | 'hub';

/** `off` only for optional rules (`Rule.presets`), or where the operator wrote it for one. */
export type Severity = 'error' | 'warn' | 'off';

/** So much in any window of that length; windows slide in 24 buckets. */
export interface VelocityLimit {
  readonly amountSat: bigint;
  readonly per: 'hour' | 'day' | 'week';
}

/** Amounts in satoshi, times in blocks, fee rates in satoshi per 1000 weight. Null: no such limit. */
export interface Limits {
  readonly contestDelayMinBlocks: number;
  readonly contestDelayMaxBlocks: number;
  readonly channelsMax: number;
  readonly fundingMaxSat: bigint;
  /** Commitment fee rates; `feerateMaxPeerPaysPerKw` binds where the peer pays and HTLC transactions pay no fee. */
  readonly feerateMinPerKw: number;
  readonly feerateMaxPerKw: number;
  readonly feerateMaxPeerPaysPerKw: number;
  readonly htlcCountMax: number;
  readonly htlcInflightMaxSat: bigint;
  /** Trimmed value in flight: the larger of a floor and a multiple of the fee rate. */
  readonly dustExposureSat: bigint;
  readonly dustExposurePerFeerateSat: bigint;
  readonly cltvDeltaBlocks: number;
  readonly cltvMarginBlocks: number;
  readonly cltvMaxBlocks: number;
  readonly routingFeeMinMsat: bigint;
  readonly abandonUnresolvedMaxSat: bigint;
  /** What a payment may cost beyond its amount: base + ppm of it; never beyond `routingFeeMaxPpm` or the base. */
  readonly routingFeeBaseSat: bigint;
  readonly routingFeePpm: bigint;
  readonly routingFeeMaxPpm: bigint;
  readonly paymentDepthBlocks: number;
  readonly fundingDepthBlocks: number;
  /** How deep a close is buried before it alone decides what the channel's HTLCs are worth. */
  readonly resolveDepthBlocks: number;
  /** How long after its expiry an HTLC that we offered may stay before the channel is taken to the chain. */
  readonly deadlineGraceBlocks: number;
  /** How long before its expiry an HTLC whose preimage we know must be claimed. */
  readonly claimMarginBlocks: number;
  /** The deepest reorg that is followed; a deeper one locks the view of the chain. */
  readonly reorgDepthBlocksMax: number;
  /** Blocks whose header is known and whose content is not. */
  readonly chainLagBlocksMax: number;
  /** Since the last block's own time. */
  readonly chainSilenceSecondsMax: number;
  readonly onchainWeightMax: number;
  readonly onchainFeerateMinPerKw: number;
  readonly onchainFeerateMaxPerKw: number;
  readonly onchainFeeMaxSat: bigint;
  /** Of a sweep of uncontested outputs, in percent of their value. */
  readonly sweepFeeMaxPercent: number;
  /** Kept in the wallet for each channel with anchors while any lives. */
  readonly anchorReserveSat: bigint;
  /** How far above the highest wallet index seen a destination may lie. */
  readonly walletIndexWindow: number;
  readonly feeVelocity: VelocityLimit;
  readonly dustOutflowVelocity: VelocityLimit;
  readonly fundingVelocity: VelocityLimit | null;
  readonly paymentVelocity: VelocityLimit | null;
  readonly transferVelocity: VelocityLimit | null;
}

/** What one peer or one channel has of its own. */
export interface Override {
  readonly limits: Partial<Limits>;
  readonly severities: ReadonlyMap<string, Severity>;
  /** The funding need not be buried: the operator trusts this peer not to double-spend. */
  readonly zeroConf: boolean;
  /** A node of the same owner's team: only wallet outputs count as ours in transactions with it. */
  readonly sharedAllowlist: boolean;
}

/** Who approves what nobody has approved: nobody; for allowlisted payees; also within the budget; everything. */
export type AutoApproval = 'none' | 'allowlist' | 'velocity' | 'all';

/** What may be paid without asking, and how long an approval holds. */
export interface ApprovalPolicy {
  readonly auto: AutoApproval;
  /** With `velocity`: payments approved unasked, amounts and fee budgets together. */
  readonly autoPaymentVelocity: VelocityLimit | null;
  /** How long an approval waits to be used, seconds. */
  readonly expirySeconds: number;
}

/** All that the operator decides: network, preset, limits, severities, approvals. */
export interface Policy {
  readonly network: Network;
  readonly preset: Preset;
  readonly limits: Limits;
  /** By tag, as the operator set them; a hard rule never stands here. */
  readonly severities: ReadonlyMap<string, Severity>;
  /** By node id of the peer, hex. */
  readonly peers: ReadonlyMap<string, Override>;
  /** By funding outpoint, `<txid>:<vout>`. */
  readonly channels: ReadonlyMap<string, Override>;
  readonly approvals: ApprovalPolicy;
  /** Configured entries; those that the operator added while the signer ran stand in `allowlistRecords`. */
  readonly allowlist: readonly AllowlistEntry[];
}

const PER_DAY = (amountSat: bigint): VelocityLimit => ({ amountSat, per: 'day' });

const MAINNET_LIMITS: Limits = {
  contestDelayMinBlocks: 144,
  contestDelayMaxBlocks: 2016,
  channelsMax: 1000,
  fundingMaxSat: 1_000_000_001n,
  feerateMinPerKw: 253,
  feerateMaxPerKw: 25_000,
  feerateMaxPeerPaysPerKw: 250_000,
  htlcCountMax: 483,
  htlcInflightMaxSat: 16_777_216n,
  dustExposureSat: 50_000n,
  dustExposurePerFeerateSat: 10n,
  cltvDeltaBlocks: 34,
  cltvMarginBlocks: 6,
  cltvMaxBlocks: 2016,
  routingFeeMinMsat: 0n,
  abandonUnresolvedMaxSat: 0n,
  routingFeeBaseSat: 50n,
  routingFeePpm: 10_000n,
  routingFeeMaxPpm: 50_000n,
  paymentDepthBlocks: 3,
  fundingDepthBlocks: 1,
  resolveDepthBlocks: 6,
  deadlineGraceBlocks: 6,
  claimMarginBlocks: 12,
  reorgDepthBlocksMax: 144,
  chainLagBlocksMax: 2,
  chainSilenceSecondsMax: 6 * 3600,
  onchainWeightMax: 400_000,
  onchainFeerateMinPerKw: 253,
  onchainFeerateMaxPerKw: 250_000,
  onchainFeeMaxSat: 1_000_000n,
  sweepFeeMaxPercent: 50,
  anchorReserveSat: 25_000n,
  walletIndexWindow: 1000,
  feeVelocity: PER_DAY(1_000_000n),
  dustOutflowVelocity: PER_DAY(20_000n),
  fundingVelocity: null,
  paymentVelocity: null,
  transferVelocity: null,
};

const TEST_LIMITS: Limits = {
  ...MAINNET_LIMITS,
  contestDelayMinBlocks: 4,
  feerateMaxPeerPaysPerKw: 333_333,
  cltvDeltaBlocks: 6,
  cltvMarginBlocks: 2,
  deadlineGraceBlocks: 2,
  claimMarginBlocks: 2,
  paymentDepthBlocks: 1,
  onchainFeerateMaxPerKw: 333_333,
};

/** The limits where the operator sets none. */
export function defaultLimits(network: Network): Limits {
  return network.isMainnet ? MAINNET_LIMITS : TEST_LIMITS;
}

/** Approvals wait for three days, as long as people take over a weekend. */
export const APPROVAL_EXPIRY_SECONDS = 3 * 24 * 3600;

/** The policy of a preset with its defaults, and what is set beside them. */
export function policyOf(
  network: Network,
  preset: Preset,
  set: Partial<Omit<Policy, 'network' | 'preset' | 'limits'>> & { readonly limits?: Partial<Limits> } = {},
): Policy {
  return {
    network,
    preset,
    severities: set.severities ?? new Map(),
    peers: set.peers ?? new Map(),
    channels: set.channels ?? new Map(),
    approvals: set.approvals ?? {
      auto: preset === 'permissive' ? 'all' : 'allowlist',
      autoPaymentVelocity: null,
      expirySeconds: APPROVAL_EXPIRY_SECONDS,
    },
    allowlist: set.allowlist ?? [],
    limits: { ...defaultLimits(network), ...set.limits },
  };
}

/** Whose overrides count: a channel's go before its peer's, and those before the rest. */
export interface PolicyScope {
  /** 33 bytes. */
  readonly peerId: Uint8Array;
  /** `<txid>:<vout>` of the channel's fundings, the one in use first. */
  readonly fundings: readonly string[];
}

function overridesOf(policy: Policy, scope: PolicyScope | null): readonly Override[] {
  if (scope === null || (policy.peers.size === 0 && policy.channels.size === 0)) return [];
  const found = scope.fundings.map((funding) => policy.channels.get(funding));
  return [...found, policy.peers.get(toHex(scope.peerId))].filter((one) => one !== undefined);
}

/** What the operator set for a soft rule, the nearest scope first; undefined where nobody set anything. */
export function severitySet(policy: Policy, tag: string, scope: PolicyScope | null): Severity | undefined {
  for (const { severities } of overridesOf(policy, scope)) {
    const own = severities.get(tag);
    if (own !== undefined) return own;
  }
  return policy.severities.get(tag);
}

/** What a rule does under this policy; hard rules always refuse. */
export function severityOf(policy: Policy, rule: Rule, scope: PolicyScope | null = null): Severity {
  if (rule.severity !== 'soft') return 'error';
  const set = severitySet(policy, rule.tag, scope);
  if (set !== undefined) return set;
  if (rule.presets !== undefined && !rule.presets.includes(policy.preset)) return 'off';
  return policy.preset === 'permissive' ? 'warn' : 'error';
}

/** The limits that bind a channel. */
export function limitsFor(policy: Policy, scope: PolicyScope | null): Limits {
  const [channel, ...wider] = overridesOf(policy, scope).map((own) => own.limits);
  if (channel === undefined) return policy.limits;
  return Object.assign({}, policy.limits, ...wider.reverse(), channel);
}

export function isZeroConf(policy: Policy, scope: PolicyScope): boolean {
  return overridesOf(policy, scope).some((own) => own.zeroConf);
}

export function isTeamPeer(policy: Policy, scope: PolicyScope): boolean {
  return overridesOf(policy, scope).some((own) => own.sharedAllowlist);
}
