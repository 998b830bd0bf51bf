/** The soft limits of one commitment as numbers: at each limit it passes, one beyond it is refused by the limit's own rule. */
import { describe, expect, it } from 'vitest';
import type { OpenChannel } from '../src/channel/lookup.ts';
import type { HtlcRecord } from '../src/channel/record.ts';
import type { Context } from '../src/context.ts';
import type { LedgerStep, Proposal } from '../src/ledger/judge.ts';
import { requireLimits } from '../src/ledger/limits.ts';
import type { Observed } from '../src/ledger/observe.ts';
import type { Limits } from '../src/policy/settings.ts';
import { RefusalSignal } from '../src/refusal.ts';
import { hubChannel, hubSigner, recordOf } from './forwarder.ts';
import { record } from './ledger-model.ts';

interface Case {
  readonly limits?: Partial<Limits>;
  readonly isOutbound?: boolean;
  readonly format?: 'static_remotekey' | 'anchors_zero_fee_htlc';
  readonly observed?: Partial<Observed>;
  readonly htlcs?: readonly HtlcRecord[];
  readonly added?: readonly HtlcRecord[];
}

const shown: Observed = {
  feeratePerKw: 1000,
  holderSat: 500_000n,
  counterpartySat: 500_000n,
  holderBoundSat: 3000n,
  counterpartyBoundSat: 1000n,
  poolMsat: 0n,
};
const kept = recordOf(hubChannel());

/** The tag of the refusal with its facts, or null. */
function judged(one: Case): readonly [string, object] | null {
  const ctx = { policy: hubSigner({ limits: one.limits ?? {} }).policy, warnings: [] } as unknown as Context;
  const { isOutbound = true, format = 'anchors_zero_fee_htlc', htlcs = [] } = one;
  const channel = {
    id: 'c',
    record: kept,
    setup: { ...kept.setup!, isOutbound, format },
  } as unknown as OpenChannel;
  const proposal = { view: 'holder', content: { number: 7, htlcs } } as unknown as Proposal;
  const step = {
    observed: { ...shown, ...one.observed },
    added: one.added ?? htlcs,
  } as unknown as LedgerStep;
  try {
    requireLimits(ctx, channel, proposal, step);
  } catch (error) {
    if (error instanceof RefusalSignal) return [error.rule.tag, error.facts];
    throw error;
  }
  return null;
}

const COMMON = { view: 'holder', number: 7, channel: 'c' };

describe('policy-commitment-fee-range, by the numbers', () => {
  const limits = { feerateMinPerKw: 300, feerateMaxPerKw: 2000, feerateMaxPeerPaysPerKw: 9000 };
  const at = (feeratePerKw: number, rest: Case = {}) =>
    judged({ limits, observed: { feeratePerKw }, ...rest });
  const refused = (rate: number, max: number) => [
    'policy-commitment-fee-range',
    { ...COMMON, feerate_per_kw: rate, feerate_min_per_kw: 300, feerate_max_per_kw: max },
  ];

  it('policy-commitment-fee-range: passes at both ends, trips one beyond', () => {
    expect([at(300), at(2000)]).toEqual([null, null]);
    expect(at(299)).toEqual(refused(299, 2000));
    expect(at(2001)).toEqual(refused(2001, 2000));
  });

  it('policy-commitment-fee-range: passes more only where the peer pays and HTLC transactions take no fee', () => {
    expect(at(9000, { isOutbound: false })).toBeNull();
    expect(at(9001, { isOutbound: false })).toEqual(refused(9001, 9000));
    expect(at(2001, { isOutbound: false, format: 'static_remotekey' })).toEqual(refused(2001, 2000));
    expect(at(2001, { format: 'static_remotekey' })).toEqual(refused(2001, 2000));
  });
});

describe('the HTLCs of a commitment, by the numbers', () => {
  const offered = (count: number, amountMsat = 1000n) =>
    Array.from({ length: count }, (_, i) => record('holder', amountMsat, `offered ${i}`));
  const received = (count: number) =>
    Array.from({ length: count }, (_, i) => record('counterparty', 1000n, `received ${i}`));
  const limits = { htlcCountMax: 2, htlcInflightMaxSat: 10n };

  it('policy-commitment-htlc-count-limit: passes with as many of each side, trips on one more of either', () => {
    expect(judged({ limits, htlcs: [...offered(2), ...received(2)] })).toBeNull();
    expect(judged({ limits, htlcs: [...offered(3), ...received(1)] })).toEqual([
      'policy-commitment-htlc-count-limit',
      { ...COMMON, offered: 3, received: 1, htlc_count_max: 2 },
    ]);
    expect(judged({ limits, htlcs: [...offered(1), ...received(3)] })).toEqual([
      'policy-commitment-htlc-count-limit',
      { ...COMMON, offered: 1, received: 3, htlc_count_max: 2 },
    ]);
    expect(judged({ limits, htlcs: offered(3), added: [] })).toBeNull();
  });

  it('policy-commitment-htlc-inflight-limit: passes at the limit, trips a millisatoshi above, when we add', () => {
    expect(judged({ limits, htlcs: offered(2, 5000n) })).toBeNull();
    const more = [...offered(1, 5000n), record('holder', 5001n, 'more')];
    const refused = [
      'policy-commitment-htlc-inflight-limit',
      { ...COMMON, inflight_msat: 10_001n, htlc_inflight_max_sat: 10n },
    ];
    expect(judged({ limits, htlcs: more })).toEqual(refused);
    expect(judged({ limits, htlcs: [...more, ...received(1)], added: received(1) })).toBeNull();
    expect(judged({ limits, htlcs: [...more, ...received(1)], added: [...received(1), more[1]!] })).toEqual(
      refused,
    );
    expect(judged({ limits, htlcs: [record('counterparty', 50_000n, 'theirs')] })).toBeNull();
  });
});

describe('policy-commitment-dust-exposure, by the numbers', () => {
  const limits = { dustExposureSat: 500n, dustExposurePerFeerateSat: 3n };
  const at = (feeratePerKw: number, poolMsat: bigint) =>
    judged({ limits, observed: { feeratePerKw, poolMsat } });

  it('policy-commitment-dust-exposure: passes at the larger of floor and rate, trips a satoshi above', () => {
    expect(at(1000, 3_000_999n)).toBeNull();
    expect(at(1000, 3_001_000n)).toEqual([
      'policy-commitment-dust-exposure',
      { ...COMMON, dust_sat: 3001n, dust_exposure_max_sat: 3000n },
    ]);
    const floor = { ...limits, dustExposureSat: 5000n };
    expect(judged({ limits: floor, observed: { poolMsat: 5_000_000n } })).toBeNull();
    expect(judged({ limits: floor, observed: { poolMsat: 5_001_000n } })?.[1]).toMatchObject({
      dust_exposure_max_sat: 5000n,
    });
  });
});
