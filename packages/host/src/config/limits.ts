/**
 * The limits as `countersign.toml` names them: key, unit, range, what each one bounds, and whether it may differ between
 * channels. The compiler sees that no limit of the policy is missing.
 */
import { SAT_MAX } from '@countersign/bitcoin';
import type { Limits } from '@countersign/core';

export interface CountForm {
  readonly kind: 'count';
  readonly min: number;
  readonly max: number;
}

export interface AmountForm {
  readonly kind: 'amount';
  readonly min: bigint;
  readonly max: bigint;
}

export interface VelocityForm {
  readonly kind: 'velocity';
}

export interface LimitForm {
  readonly form: CountForm | AmountForm | VelocityForm;
  readonly unit: string;
  /** `channel`: peers and channels may have their own; `node`: one for all. */
  readonly scope: 'channel' | 'node';
  readonly meaning: string;
}

const count = (
  min: number,
  max: number,
  unit: string,
  scope: LimitForm['scope'],
  meaning: string,
): LimitForm => ({ form: { kind: 'count', min, max }, unit, scope, meaning });

const amount = (
  min: bigint,
  max: bigint,
  unit: string,
  scope: LimitForm['scope'],
  meaning: string,
): LimitForm => ({ form: { kind: 'amount', min, max }, unit, scope, meaning });

const velocity = (scope: LimitForm['scope'], meaning: string): LimitForm => ({
  form: { kind: 'velocity' },
  unit: 'sat in a sliding window',
  scope,
  meaning,
});

/** BOLT 2: to_self_delay has 16 bits. */
const DELAY_MAX = 65_535;
/** Ten times what Bitcoin Core's wallet ever pays: beyond it a fee rate is a mistake. */
const FEERATE_MAX = 10_000_000;
const DEPTH_MAX = 144;
/** The signer keeps the headers of two periods of 2,016; a deeper reorg could not be judged. */
const REORG_DEPTH_MAX = 2000;
const PER_KW = 'sat per 1000 weight';

export const LIMIT_FORMS: { readonly [Name in keyof Limits]: LimitForm } = {
  contestDelayMinBlocks: count(1, DELAY_MAX, 'blocks', 'channel', 'shortest to_self_delay of either side'),
  contestDelayMaxBlocks: count(1, DELAY_MAX, 'blocks', 'channel', 'longest to_self_delay of either side'),
  channelsMax: count(1, 100_000, 'channels', 'node', 'live channels'),
  fundingMaxSat: amount(1n, SAT_MAX, 'sat', 'channel', 'value of a channel'),
  feerateMinPerKw: count(0, FEERATE_MAX, PER_KW, 'channel', 'lowest fee rate of a commitment'),
  feerateMaxPerKw: count(
    1,
    FEERATE_MAX,
    PER_KW,
    'channel',
    'highest fee rate of a commitment where we pay, or where HTLC transactions pay fees',
  ),
  feerateMaxPeerPaysPerKw: count(
    1,
    FEERATE_MAX,
    PER_KW,
    'channel',
    'highest fee rate of a commitment where the peer pays and HTLC transactions pay none',
  ),
  htlcCountMax: count(1, 483, 'HTLCs', 'channel', 'HTLCs in one direction (BOLT 2 allows 483)'),
  htlcInflightMaxSat: amount(0n, SAT_MAX, 'sat', 'channel', 'value of the HTLCs in one direction'),
  dustExposureSat: amount(
    0n,
    SAT_MAX,
    'sat',
    'channel',
    'trimmed value in flight; or the next line, if larger',
  ),
  dustExposurePerFeerateSat: amount(
    0n,
    1_000_000n,
    'sat for each sat per 1000 weight',
    'channel',
    'trimmed value in flight as a multiple of the fee rate',
  ),
  cltvDeltaBlocks: count(
    1,
    2016,
    'blocks',
    'channel',
    'by how much the outgoing HTLC of a forward expires before the incoming one',
  ),
  cltvMarginBlocks: count(
    0,
    2016,
    'blocks',
    'channel',
    'least time that an own payment has until it expires',
  ),
  cltvMaxBlocks: count(
    1,
    DELAY_MAX,
    'blocks',
    'channel',
    'how far above the tip a newly offered HTLC may expire',
  ),
  routingFeeMinMsat: amount(0n, 1_000_000_000_000n, 'msat', 'channel', 'least that a forward earns'),
  abandonUnresolvedMaxSat: amount(
    0n,
    SAT_MAX,
    'sat',
    'channel',
    'largest HTLC that may be failed back while the outgoing one is unresolved on chain',
  ),
  routingFeeBaseSat: amount(
    0n,
    100_000_000n,
    'sat',
    'node',
    'fee budget of a payment: this much, and the next line of its amount',
  ),
  routingFeePpm: amount(0n, 1_000_000n, 'millionths', 'node', 'fee budget of a payment, part of its amount'),
  routingFeeMaxPpm: amount(
    0n,
    1_000_000n,
    'millionths',
    'node',
    'most that any budget allows of an amount, whoever set it; the base is always allowed',
  ),
  paymentDepthBlocks: count(
    1,
    DEPTH_MAX,
    'blocks',
    'channel',
    'how deep a funding with inputs of the peer is buried before its HTLCs cover forwards',
  ),
  fundingDepthBlocks: count(
    1,
    DEPTH_MAX,
    'blocks',
    'channel',
    'how deep a funding is buried before the channel moves (zero_conf: not at all)',
  ),
  resolveDepthBlocks: count(
    1,
    DEPTH_MAX,
    'blocks',
    'channel',
    'how deep a close is buried before it alone decides what HTLCs are worth',
  ),
  deadlineGraceBlocks: count(
    1,
    DEPTH_MAX,
    'blocks',
    'channel',
    'how long after its expiry an offered HTLC may stay before the channel goes to the chain',
  ),
  claimMarginBlocks: count(
    1,
    DEPTH_MAX,
    'blocks',
    'channel',
    'how long before its expiry an HTLC with a known preimage must be claimed; three more than the deepest reorg to be survived',
  ),
  reorgDepthBlocksMax: count(
    1,
    REORG_DEPTH_MAX,
    'blocks',
    'node',
    'how many blocks a reorg may take back before the chain view is locked',
  ),
  chainLagBlocksMax: count(
    0,
    DEPTH_MAX,
    'blocks',
    'node',
    'how far the chain view may lag before what depends on heights has to wait',
  ),
  chainSilenceSecondsMax: count(
    600,
    7 * 24 * 3600,
    'seconds',
    'node',
    'how long no block may come before there is an alarm',
  ),
  onchainWeightMax: count(400, 400_000, 'weight units', 'node', 'size of an on-chain transaction'),
  onchainFeerateMinPerKw: count(0, FEERATE_MAX, PER_KW, 'channel', 'lowest fee rate of a spend or a close'),
  onchainFeerateMaxPerKw: count(1, FEERATE_MAX, PER_KW, 'channel', 'highest fee rate of a spend or a close'),
  onchainFeeMaxSat: amount(1n, SAT_MAX, 'sat', 'channel', 'fee of one transaction'),
  sweepFeeMaxPercent: count(
    1,
    100,
    'percent',
    'channel',
    'fee of a sweep of outputs that nobody contests, part of their value',
  ),
  anchorReserveSat: amount(
    0n,
    SAT_MAX,
    'sat for each channel with anchors',
    'node',
    'kept in the wallet for fees of force closes',
  ),
  walletIndexWindow: count(
    1,
    1_000_000,
    'indices',
    'node',
    'how far above the highest wallet index in use a destination may lie',
  ),
  feeVelocity: velocity('node', 'on-chain fees'),
  dustOutflowVelocity: velocity('node', 'value that leaves through invisible HTLCs and rounding'),
  fundingVelocity: velocity('node', 'value put into channels'),
  paymentVelocity: velocity('node', 'value of approved payments'),
  transferVelocity: velocity('channel', 'value that leaves one channel'),
};

export const LIMIT_NAMES = Object.keys(LIMIT_FORMS) as readonly (keyof Limits)[];

/** `feerateMaxPerKw` is `feerate_max_per_kw` in the file. */
export const tomlKey = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

export type OrderedLimit = Exclude<keyof Limits, `${string}Velocity`>;

/** Pairs that contradict each other when the first is above the second. */
export const ORDERED_LIMITS: readonly (readonly [OrderedLimit, OrderedLimit])[] = [
  ['contestDelayMinBlocks', 'contestDelayMaxBlocks'],
  ['feerateMinPerKw', 'feerateMaxPerKw'],
  ['feerateMinPerKw', 'feerateMaxPeerPaysPerKw'],
  ['onchainFeerateMinPerKw', 'onchainFeerateMaxPerKw'],
  ['cltvDeltaBlocks', 'cltvMaxBlocks'],
  ['cltvMarginBlocks', 'cltvMaxBlocks'],
  // A forward with the least distance would be overdue as soon as it is settled.
  ['claimMarginBlocks', 'cltvDeltaBlocks'],
  // A reorg that counts as shallow would take back more than there is time to do again.
  ['paymentDepthBlocks', 'claimMarginBlocks'],
  ['routingFeePpm', 'routingFeeMaxPpm'],
];
