/** The rules of law 2: what a commitment may do to the balances of its channel. */
import { SETTLED_PREIMAGE_TAG } from '../policy/preimages.ts';
import { rule, softRule } from '../policy/registry.ts';

const COMMITMENT = ['cc', 'hc', 'rev', 'fc'] as const;

export const balanceConserved = rule({
  tag: 'policy-commitment-balance-conserved',
  law: 2,
  severity: 'hard',
  operations: COMMITMENT,
  documentation:
    'Between consecutive commitments of one view, our balance changes only by HTLCs added and removed: an offered HTLC takes its amount, a failed one brings it back, a fulfilled received one is ours. A received HTLC whose preimage is known and that is no invoice of ours must be credited, unless its hash was paid before: nodes fail what comes then. What one view has credited must be credited in the other. What is missing beyond that must stand in the fee as invisible dust; anything else moved to the peer.',
});

export const settledPreimage = softRule({
  tag: SETTLED_PREIMAGE_TAG,
  law: 2,
  operations: ['cc', 'rev', 'fc'],
  carriesPromise: true,
  documentation:
    "An offered HTLC that is removed without coming back to us is settled, and only its preimage proves that. Preimages come from the node side (for Core Lightning the companion plugin) or from the chain. Judged when our commitment before is revoked and when the peer's is signed, so that a preimage may still arrive after the peer's signatures were checked. The default is `error` from the first preimage that the node side delivers, and `warn` before; `warn` never covers a forward outside `permissive`, since without the preimage the incoming HTLC could not be claimed.",
});

export const initialFundingValue = rule({
  tag: 'policy-commitment-initial-funding-value',
  law: 2,
  severity: 'hard',
  operations: ['cc', 'hc', 'onchain'],
  documentation:
    'Commitment 0 gives us what we put into the funding: its value less what was pushed where we opened, what was pushed where the peer did (with dual funding, each side its contribution). A splice is signed only if the first commitments on it give us what the old funding did, and what we put in or took out besides.',
});

export const firstNoHtlcs = rule({
  tag: 'policy-commitment-first-no-htlcs',
  law: 2,
  severity: 'hard',
  operations: ['cc', 'hc'],
  documentation: 'Commitment 0 has no HTLCs: nothing was offered before the channel was open.',
});

export const deltasOnlyHtlc = rule({
  tag: 'policy-routing-deltas-only-htlc',
  law: 2,
  severity: 'hard',
  operations: ['cc', 'hc'],
  documentation:
    'A splice changes the funding and the balances by its own terms, never the HTLCs: the first commitment on the new funding holds exactly those of the current one.',
});

export const outputsTrimmed = rule({
  tag: 'policy-commitment-outputs-trimmed',
  law: 2,
  severity: 'hard',
  operations: COMMITMENT,
  documentation:
    'Outputs are left out only below the dust limit: at most 1,000 sat, for HTLCs plus the fee of their transaction; none below 354 sat is there. Our main output is missing only when our balance is below that limit, or is used up by the fee we pay.',
});

export const dustExposure = softRule({
  tag: 'policy-commitment-dust-exposure',
  law: 2,
  operations: ['cc', 'rev', 'fc'],
  carriesPromise: true,
  documentation:
    'Value in flight that has no output (trimmed HTLCs) would go to the miners: at most the larger of `dust_exposure_sat` and `dust_exposure_per_feerate_sat` times the fee rate in sat per kw, in each commitment.',
});

export const dustOutflow = softRule({
  tag: 'policy-commitment-dust-outflow',
  law: 2,
  operations: ['cc', 'rev', 'fc'],
  carriesPromise: true,
  documentation:
    'What left our balances and no visible HTLC explains (trimmed HTLCs, rounding), and HTLCs below the trim line that are out without visible cover, over all channels, less what came in or back that way and what small payments were approved for: at most `dust_outflow_velocity`. The count survives restarts.',
});

export const feeRange = softRule({
  tag: 'policy-commitment-fee-range',
  law: 2,
  operations: ['cc', 'rev', 'fc'],
  carriesPromise: true,
  documentation:
    'The fee rate of a commitment is at least `feerate_min_per_kw` and at most `feerate_max_per_kw`; where the peer pays and HTLC transactions take no fee (anchors), at most `feerate_max_peer_pays_per_kw`. Without anchors a high rate burns our HTLCs, whoever pays.',
});

export const htlcCountLimit = softRule({
  tag: 'policy-commitment-htlc-count-limit',
  law: 2,
  operations: ['cc', 'rev', 'fc'],
  documentation: 'At most `htlc_count_max` HTLCs offered by us, and as many by the peer, in one commitment.',
});

export const htlcInflightLimit = softRule({
  tag: 'policy-commitment-htlc-inflight-limit',
  law: 2,
  operations: ['cc', 'rev', 'fc'],
  documentation:
    'HTLCs offered by us are worth at most `htlc_inflight_max_sat` together. What the peer offers beyond that is accepted, since anyone can send it, and covers no forward.',
});

export const velocityTransferred = softRule({
  tag: 'policy-velocity-transferred',
  law: 2,
  operations: ['cc', 'rev', 'fc'],
  carriesPromise: true,
  presets: [],
  documentation:
    'Optional: what settles out of one channel is at most `transfer_velocity` per window of time, whoever approved it.',
});
