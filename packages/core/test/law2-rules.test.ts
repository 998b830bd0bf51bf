/**
 * Law 2, rule by rule: each refuses by its own tag at the step that would give something away, with the numbers it
 * compared, and passes just inside.
 */
import { commitmentFeeSat, htlcTrimThresholdSat, sat } from '@countersign/bitcoin';
import type { Limits } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { type Balances, htlc, type ModelHtlc, type ModelOptions } from './channel-model.ts';
import {
  budget,
  channelIdOf,
  deliver,
  flowOf,
  hubChannel,
  recordOf,
  type Settings,
  trips,
  tripsWhereGiven,
  warningsOf,
} from './forwarder.ts';
import { adding, KINDS, OpenChannel, removing } from './open-channel.ts';

const withLimits = (limits: Partial<Limits>, amountSat = 500_000n): Settings => ({
  approvals: budget(amountSat),
  limits,
});
const moved = (balances: Balances, msat: bigint, toPeerMsat = msat): Balances => ({
  ...balances,
  holderMsat: balances.holderMsat - msat,
  counterpartyMsat: balances.counterpartyMsat + toPeerMsat,
});
const atFeerate = (balances: Balances, feeratePerKw: number): Balances => ({ ...balances, feeratePerKw });
const ledgerOf = (channel: OpenChannel) => recordOf(channel).candidates[0]!.issued.at(-1)!.ledger!;

describe.each(KINDS)('policy-commitment-balance-conserved, %s', (_, options) => {
  it('policy-commitment-balance-conserved: trips when balance moves without an HTLC, in either view (A20)', () => {
    for (const lossMsat of [2000n, 100_000_000n]) {
      const channel = hubChannel(options);
      const bad = moved(channel.balances, lossMsat);
      const { holderMsat } = channel.balances;
      const facts = { number: 1, expected_msat: holderMsat, must_credit_msat: 0n };
      trips(channel, channel.model.signRemote(1, bad), 'policy-commitment-balance-conserved', {
        ...facts,
        view: 'counterparty',
      });
      trips(channel, channel.model.validate(1, bad), 'policy-commitment-balance-conserved', {
        ...facts,
        view: 'holder',
      });
    }
  });

  it('policy-commitment-balance-conserved: passes what HTLCs explain, to the millisatoshi', () => {
    const channel = hubChannel(options, { approvals: budget(100_000n) });
    const out: ModelHtlc = { ...htlc('holder', 0, 'out'), amountMsat: 20_000_999n };
    const back: ModelHtlc = { ...htlc('counterparty', 0, 'in'), amountMsat: 30_000_001n };
    channel.update(adding(channel.balances, out, back));
    channel.update(removing(channel.balances, out, 'failed'));
    deliver(channel.signer, back);
    const explained = removing(channel.balances, back, 'settled');
    trips(
      channel,
      channel.model.signRemote(3, moved(explained, 2000n)),
      'policy-commitment-balance-conserved',
      {
        expected_msat: explained.holderMsat,
        must_credit_msat: 30_000_001n,
      },
    );
    channel.update(explained);
    expect(ledgerOf(channel).holderMsat).toBe(channel.model.initial.holderMsat + 30_000_001n);
    expect(ledgerOf(channel).driftMsat).toBe(0n);
    expect(flowOf(channel.signer, 'dust-outflow')).toBe(0n);
  });
});

it('policy-commitment-balance-conserved: trips when outputs and fee are more than the funding', () => {
  const channel = hubChannel();
  const request = channel.model.signRemote(1, channel.balances);
  trips(channel, { ...request, feerate: 1500 }, 'policy-commitment-balance-conserved', {
    capacity_sat: 1_000_000n,
    feerate_per_kw: 1500,
    missing_msat: 1000n * (commitmentFeeSat('anchors_zero_fee_htlc', 1500, 0) - 1124n),
  });
  const more = moved(channel.balances, 0n, 5_000_000n);
  trips(channel, channel.model.signRemote(1, more), 'policy-commitment-balance-conserved', {
    capacity_sat: 1_000_000n,
    outputs_sat: 1_005_000n - 1124n,
  });
});

it('policy-commitment-balance-conserved: trips when a received HTLC with a released preimage is not credited (A22)', () => {
  const channel = hubChannel();
  const incoming = htlc('counterparty', 50_000, 'a');
  channel.update(adding(channel.balances, incoming));
  const failed = removing(channel.balances, incoming, 'failed');
  // Without the preimage it is an honest failure.
  expect(warningsOf(channel, channel.model.signRemote(2, failed))).toEqual([]);
  deliver(channel.signer, incoming);
  tripsWhereGiven(
    () => {
      const again = hubChannel();
      again.update(adding(again.balances, incoming));
      deliver(again.signer, incoming);
      return again;
    },
    ({ balances }) => removing(balances, incoming, 'failed'),
    'policy-commitment-balance-conserved',
    { must_credit_msat: 50_000_000n, expected_msat: 750_000_000n },
  );
  channel.update(removing(channel.balances, incoming, 'settled'));
  expect(ledgerOf(channel).holderMsat).toBe(750_000_000n);
});

describe('policy-commitment-payment-settled-preimage', () => {
  const out = htlc('holder', 40_000, 'a payment');
  const paying = (set: Settings = { approvals: budget(100_000n) }) => {
    const channel = hubChannel({}, set);
    channel.update(adding(channel.balances, out));
    deliver(channel.signer);
    return channel;
  };
  const settled = ({ balances }: OpenChannel) => removing(balances, out, 'settled');

  it('policy-commitment-payment-settled-preimage: trips when an offered HTLC leaves as settled and nobody knows the preimage (A21)', () => {
    tripsWhereGiven(paying, settled, 'policy-commitment-payment-settled-preimage', {
      unproven_msat: 40_000_000n,
      expected_msat: 700_000_000n,
      given_msat: 660_000_000n,
    });
  });

  it('policy-commitment-payment-settled-preimage: passes with the preimage, which may come after the validation', () => {
    const channel = paying();
    const next = settled(channel);
    channel.validate(next);
    deliver(channel.signer, out);
    channel.revoke();
    channel.signRemote(next);
    channel.peerRevokes();
    expect(ledgerOf(channel).holderMsat).toBe(660_000_000n);
    expect(ledgerOf(channel).fates).toMatchObject([{ how: 'settled', amountMsat: 40_000_000n }]);
  });

  it('passes as failed without a preimage, and what is paid back beyond that is nobody’s loss', () => {
    const channel = paying();
    channel.update(removing(channel.balances, out, 'failed'));
    expect(ledgerOf(channel)).toMatchObject({ holderMsat: 700_000_000n, fates: [], driftMsat: 0n });
  });

  it('warns only while the node side delivers no preimages, and warns then', () => {
    const channel = hubChannel({}, { approvals: budget(100_000n) });
    channel.update(adding(channel.balances, out));
    const request = channel.model.signRemote(2, settled(channel));
    expect(warningsOf(channel, request)).toEqual(['policy-commitment-payment-settled-preimage']);
    deliver(channel.signer);
    trips(channel, request, 'policy-commitment-payment-settled-preimage');
    const set = {
      ...channel.signer.set,
      severities: new Map([['policy-commitment-payment-settled-preimage', 'warn']] as const),
    };
    channel.signer.set = set;
    expect(warningsOf(channel, request)).toEqual(['policy-commitment-payment-settled-preimage']);
  });

  it('says balance-conserved when even the settlement does not explain the loss', () => {
    const channel = paying();
    const less = moved(settled(channel), 5_000_000n);
    trips(channel, channel.model.signRemote(2, less), 'policy-commitment-balance-conserved', {
      expected_msat: 700_000_000n,
    });
  });
});

describe.each(KINDS)('policy-commitment-initial-funding-value, %s', (_, options) => {
  const fresh = () => {
    const channel = hubChannelUnopened(options);
    channel.ask(channel.model.setup());
    return channel;
  };

  it('policy-commitment-initial-funding-value: trips when commitment 0 gives the peer more than its part (A29)', () => {
    for (const lossMsat of [1000n, 50_000_000n]) {
      const channel = fresh();
      const bad = moved(channel.balances, lossMsat);
      const facts = { number: 0, due_msat: channel.balances.holderMsat, push_msat: 300_000_000n };
      trips(channel, channel.model.validate(0, bad), 'policy-commitment-initial-funding-value', {
        ...facts,
        view: 'holder',
        given_msat: channel.balances.holderMsat - lossMsat,
      });
      trips(channel, channel.model.signRemote(0, bad), 'policy-commitment-initial-funding-value', {
        ...facts,
        view: 'counterparty',
      });
    }
  });

  it('policy-commitment-initial-funding-value: passes the split of the opening, and a gift of the peer', () => {
    const channel = fresh();
    channel.ask(channel.model.validate(0, channel.balances));
    const gift = moved(channel.balances, -1000n);
    expect(warningsOf(channel, channel.model.signRemote(0, gift))).toEqual([]);
    channel.ask(channel.model.signRemote(0, channel.balances));
    expect(ledgerOf(channel)).toEqual({
      holderMsat: channel.balances.holderMsat,
      driftMsat: 0n,
      trimmed: [],
      fates: [],
    });
  });

  it('policy-commitment-first-no-htlcs: trips on an HTLC in commitment 0', () => {
    const channel = fresh();
    const bad = adding(channel.balances, htlc('counterparty', 20_000, 'early'));
    for (const request of [channel.model.validate(0, bad), channel.model.signRemote(0, bad)])
      trips(channel, request, 'policy-commitment-first-no-htlcs', { number: 0, htlcs: 1 });
  });

  it('policy-commitment-first-no-htlcs: passes without one', () => {
    const channel = fresh();
    channel.ask(channel.model.validate(0, channel.balances));
    channel.ask(channel.model.signRemote(0, channel.balances));
    expect(recordOf(channel).candidates[0]!.issued[0]!.htlcs).toEqual([]);
  });
});

function hubChannelUnopened(options: ModelOptions, set: Settings = {}): OpenChannel {
  const opened = hubChannel({ dbid: 99n }, set);
  return new OpenChannel(options, opened.signer);
}

describe('commitment 0 of unusual openings', () => {
  it('policy-commitment-initial-funding-value: trips when more was pushed than the funding is worth', () => {
    const channel = hubChannelUnopened({ pushMsat: 1_000_001_000n });
    channel.ask(channel.model.setup());
    const bad = { ...channel.balances, holderMsat: 0n, counterpartyMsat: 998_000_000n };
    trips(channel, channel.model.signRemote(0, bad), 'policy-commitment-initial-funding-value', {
      due_msat: -1000n,
      push_msat: 1_000_001_000n,
    });
  });

  it('a peer that opened and pushed nothing owes us nothing', () => {
    const channel = hubChannel({ isOutbound: false, pushMsat: 0n });
    expect(ledgerOf(channel).holderMsat).toBe(0n);
  });

  it('what was pushed to us below the dust limit has no output and is ours all the same', () => {
    const channel = hubChannel({ isOutbound: false, pushMsat: 400_000n });
    expect(recordOf(channel).candidates[0]!.issued[0]!.toHolderSat).toBeNull();
    expect(ledgerOf(channel).holderMsat).toBe(400_000n);
  });

  it('CLN states fee rate 0: the rate is the one that the transaction pays', () => {
    const channel = hubChannelUnopened({});
    channel.ask(channel.model.setup());
    channel.ask({ ...channel.model.validate(0, channel.balances), feerate: 0 });
    channel.ask({ ...channel.model.signRemote(0, channel.balances), feerate: 0 });
    expect(ledgerOf(channel).holderMsat).toBe(700_000_000n);
    const low = { ...channel.model.signRemote(0, atFeerate(channel.balances, 252)), feerate: 0 };
    trips(channel, low, 'policy-commitment-fee-range', { feerate_per_kw: 252 });
  });
});

describe('policy-routing-deltas-only-htlc', () => {
  const carried = htlc('counterparty', 30_000, 'carried');
  const prepared = () => {
    const channel = hubChannel();
    channel.update(adding(channel.balances, carried));
    const splice = channel.model.spliceOf('splice');
    channel.ask(channel.model.setup(splice));
    return { channel, splice };
  };

  it('policy-routing-deltas-only-htlc: trips when the first commitment on a splice has other HTLCs', () => {
    const { channel, splice } = prepared();
    const { model, balances } = channel;
    const without = removing(balances, carried, 'failed');
    const more = adding(balances, htlc('counterparty', 30_000, 'another'));
    for (const request of [model.validate(1, without, splice), model.signRemote(1, without, splice)])
      trips(channel, request, 'policy-routing-deltas-only-htlc', { change: 'missing', number: 1 });
    for (const request of [model.validate(1, more, splice), model.signRemote(1, more, splice)])
      trips(channel, request, 'policy-routing-deltas-only-htlc', { change: 'added', number: 1 });
    const other = { ...balances, htlcs: [{ ...carried, cltvExpiry: carried.cltvExpiry + 1 }] };
    trips(channel, model.signRemote(1, other, splice), 'policy-routing-deltas-only-htlc', {
      change: 'added',
    });
  });

  it('policy-routing-deltas-only-htlc: passes with exactly those of the current commitment', () => {
    const { channel, splice } = prepared();
    channel.ask(channel.model.validate(1, channel.balances, splice));
    channel.ask(channel.model.signRemote(1, channel.balances, splice));
    const [, candidate] = recordOf(channel).candidates;
    expect(candidate!.issued[0]!.ledger).toMatchObject({
      holderMsat: 800_000_000n,
      driftMsat: 0n,
      trimmed: [],
    });
    expect(candidate!.validated[0]!.ledger!.holderMsat).toBe(800_000_000n);
    // And a carried commitment is a predecessor like any other.
    channel.fundings = [...channel.fundings, splice];
    trips(
      channel,
      channel.model.signRemote(2, moved(channel.balances, 5000n), splice),
      'policy-commitment-balance-conserved',
    );
    channel.update(removing(channel.balances, carried, 'failed'));
  });
});

describe('policy-commitment-outputs-trimmed', () => {
  /** A commitment whose broadcaster left outputs standing from `dustLimitSat` on, or trimmed those below it. */
  const withDustLimit = (
    dustLimitSat: bigint,
    options: ModelOptions = {},
    set: Settings = { approvals: budget(100_000n) },
  ) => hubChannel({ ...options, dustLimitsSat: { holder: dustLimitSat, counterparty: dustLimitSat } }, set);

  it.each([
    ['offered', 'holder', 'static_remotekey', 703n],
    ['received', 'counterparty', 'static_remotekey', 663n],
    ['offered', 'holder', 'anchors_zero_fee_htlc', 0n],
    ['received', 'counterparty', 'anchors_zero_fee_htlc', 0n],
  ] as const)(
    'policy-commitment-outputs-trimmed: trips on an HTLC output (%s by us) below the smallest dust limit, %s, %s',
    (_, offeredBy, format, feeSat) => {
      const channel = withDustLimit(100n, { format });
      const least = Number(354n + feeSat);
      const bad = adding(channel.balances, htlc(offeredBy, least - 1, 'small'));
      trips(channel, channel.model.signRemote(1, bad), 'policy-commitment-outputs-trimmed', {
        net_sat: 353n,
        dust_limit_min_sat: 354n,
      });
      channel.ask(
        channel.model.signRemote(1, adding(channel.balances, htlc(offeredBy, least, 'large enough'))),
      );
      expect(recordOf(channel).dustLimitsMaxSat).toEqual({
        holder: 1000n,
        counterparty: 354n,
      });
    },
  );

  it('policy-commitment-outputs-trimmed: trips when our main output is missing and we have more than dust', () => {
    const channel = withDustLimit(2000n, { isOutbound: false, pushMsat: 5_000_000n });
    const out = htlc('holder', 3000, 'most of it');
    const less = adding(channel.balances, out);
    channel.update(less);
    // 2,000 sat are ours, the peer takes them.
    const bad = moved(channel.balances, 2_000_000n);
    trips(channel, channel.model.signRemote(2, bad), 'policy-commitment-outputs-trimmed', {
      expected_msat: 2_000_000n,
      given_msat: 'none',
      given_max_msat: 1_000_000n,
    });
  });

  it('policy-commitment-outputs-trimmed: passes when our balance is dust, and keeps what is ours', () => {
    const channel = hubChannel({ isOutbound: false, pushMsat: 5_000_000n }, { approvals: budget(100_000n) });
    channel.update(adding(channel.balances, htlc('holder', 4500, 'most of it')));
    expect(recordOf(channel).candidates[0]!.issued.at(-1)!.toHolderSat).toBeNull();
    expect(ledgerOf(channel)).toMatchObject({ holderMsat: 500_000n, driftMsat: 0n });
  });

  it('learns the dust limit of each side from the outputs it sees, and then holds it to that', () => {
    const channel = withDustLimit(354n, { isOutbound: false, pushMsat: 5_000_000n });
    channel.update(adding(channel.balances, htlc('holder', 4500, 'most of it')));
    expect(recordOf(channel).dustLimitsMaxSat).toEqual({ holder: 500n, counterparty: 500n });
    // With 501 sat of ours, an output must be there from now on.
    const other = withDustLimit(354n, { isOutbound: false, pushMsat: 5_000_000n });
    other.update(adding(other.balances, htlc('holder', 4600, 'most of it')));
    expect(recordOf(other).dustLimitsMaxSat.counterparty).toBe(400n);
  });
});

describe('policy-commitment-dust-exposure', () => {
  /** So much of the peer's in flight without output. */
  const dusty = (balances: Balances, dustSat: bigint): Balances => ({
    ...balances,
    counterpartyMsat: balances.counterpartyMsat - dustSat * 1000n,
  });

  it.each([
    [1000, 50_000n],
    [6000, 60_000n],
  ])(
    'policy-commitment-dust-exposure: trips above the larger of floor and fee rate: %d per kw, %d sat (A25)',
    (rate, max) => {
      const at = (channel: OpenChannel, dustSat: bigint) => dusty(atFeerate(channel.balances, rate), dustSat);
      tripsWhereGiven(hubChannel, (channel) => at(channel, max + 1n), 'policy-commitment-dust-exposure', {
        dust_sat: max + 1n,
        dust_exposure_max_sat: max,
      });
    },
  );

  it('policy-commitment-dust-exposure: passes at exactly the limit', () => {
    const channel = hubChannel();
    channel.update(dusty(channel.balances, 50_000n));
    channel.update(dusty(atFeerate(channel.model.initial, 6000), 60_000n));
  });

  it('does not take for dust what a side without output may own', () => {
    const channel = hubChannel(
      { pushMsat: 0n },
      withLimits({ dustExposureSat: 0n, dustExposurePerFeerateSat: 0n }),
    );
    channel.update({ ...channel.balances, holderMsat: channel.balances.holderMsat - 1_000_000n });
    const more = { ...channel.balances, holderMsat: channel.balances.holderMsat - 1000n };
    trips(channel, channel.model.signRemote(2, more), 'policy-commitment-dust-exposure', { dust_sat: 1n });
  });
});

describe('policy-commitment-dust-outflow', () => {
  const lost = (balances: Balances, sats: bigint): Balances => ({
    ...balances,
    holderMsat: balances.holderMsat - sats * 1000n,
  });
  const SMALL = { dustOutflowVelocity: { amountSat: 1000n, per: 'day' } } as const;

  it('policy-commitment-dust-outflow: trips when more left invisibly than may in a day (A27b)', () => {
    const channel = hubChannel({}, { limits: SMALL });
    channel.update(lost(channel.balances, 700n));
    expect(flowOf(channel.signer, 'dust-outflow')).toBe(700_000n);
    expect(ledgerOf(channel).driftMsat).toBe(-700_000n);
    const bad = lost(channel.balances, 301n);
    const facts = {
      outflow_msat: 301_000n,
      outflow_before_msat: 700_000n,
      outflow_max_sat: 1000n,
      per: 'day',
    };
    trips(channel, channel.model.signRemote(2, bad), 'policy-commitment-dust-outflow', facts);
    channel.validate(bad);
    trips(channel, channel.model.revoke(1), 'policy-commitment-dust-outflow', facts);
    trips(channel, channel.model.signCommitment(2, bad), 'policy-commitment-dust-outflow', facts);
  });

  it('policy-commitment-dust-outflow: passes at exactly the limit, once for both views, and again the day after', () => {
    const channel = hubChannel({}, { limits: SMALL });
    channel.update(lost(channel.balances, 700n));
    channel.update(lost(channel.balances, 300n));
    expect(flowOf(channel.signer, 'dust-outflow')).toBe(1_000_000n);
    trips(channel, channel.model.signRemote(3, lost(channel.balances, 1n)), 'policy-commitment-dust-outflow');
    channel.signer.nowSeconds += 86_400;
    channel.update(lost(channel.balances, 1n));
    expect(flowOf(channel.signer, 'dust-outflow')).toBe(1000n);
  });

  it('counts over all channels', () => {
    const channel = hubChannel({}, { limits: SMALL });
    const other = new OpenChannel({ peer: 'other' }, channel.signer).open();
    channel.update(lost(channel.balances, 600n));
    trips(other, other.model.signRemote(1, lost(other.balances, 401n)), 'policy-commitment-dust-outflow', {
      channel: channelIdOf(other),
      outflow_before_msat: 600_000n,
    });
    other.update(lost(other.balances, 400n));
  });

  it('what comes back the same way is taken off', () => {
    const channel = hubChannel({}, { limits: SMALL });
    const { balances } = channel;
    channel.update(lost(balances, 1000n));
    channel.update(balances);
    expect(flowOf(channel.signer, 'dust-outflow')).toBe(0n);
    expect(ledgerOf(channel).driftMsat).toBe(0n);
    channel.update(lost(balances, 1000n));
  });
});

describe('policy-commitment-fee-range', () => {
  it.each([
    ['we pay', { isOutbound: true }, 25_000],
    ['the peer pays and HTLC transactions too', { isOutbound: false, format: 'static_remotekey' }, 25_000],
    ['the peer pays', { isOutbound: false, valueSat: 2_000_000n }, 333_333],
  ] as const)(
    'policy-commitment-fee-range: trips below the floor and above the cap: %s (A68)',
    (_, options, max) => {
      for (const rate of [252, max + 1]) {
        tripsWhereGiven(
          () => hubChannel(options),
          ({ balances }) => atFeerate(balances, rate),
          'policy-commitment-fee-range',
          { feerate_per_kw: rate, feerate_min_per_kw: 253, feerate_max_per_kw: max },
        );
      }
    },
  );

  it.each([
    ['we pay', { isOutbound: true }, 25_000],
    ['the peer pays', { isOutbound: false, valueSat: 2_000_000n }, 333_333],
  ] as const)('policy-commitment-fee-range: passes at the floor and at the cap: %s', (_, options, max) => {
    const channel = hubChannel(options);
    channel.update(atFeerate(channel.balances, 253));
    channel.update(atFeerate(channel.balances, max));
    expect(ledgerOf(channel).holderMsat).toBe(channel.model.initial.holderMsat);
  });
});

describe('HTLC limits', () => {
  const some = (offeredBy: 'holder' | 'counterparty', count: number) =>
    Array.from({ length: count }, (_, i) => htlc(offeredBy, 2000, `${offeredBy} ${i}`));

  it.each(['holder', 'counterparty'] as const)(
    'policy-commitment-htlc-count-limit: trips on one HTLC too many of one side: %s',
    (offeredBy) => {
      tripsWhereGiven(
        () => hubChannel({}, withLimits({ htlcCountMax: 2 })),
        ({ balances }) => adding(balances, ...some(offeredBy, 3)),
        'policy-commitment-htlc-count-limit',
        {
          offered: offeredBy === 'holder' ? 3 : 0,
          received: offeredBy === 'holder' ? 0 : 3,
          htlc_count_max: 2,
        },
      );
    },
  );

  it('policy-commitment-htlc-count-limit: passes with the most of each side', () => {
    const channel = hubChannel({}, withLimits({ htlcCountMax: 2 }));
    channel.update(adding(channel.balances, ...some('holder', 2), ...some('counterparty', 2)));
    expect(recordOf(channel).candidates[0]!.issued.at(-1)!.htlcs.length).toBe(4);
  });

  it('policy-commitment-htlc-inflight-limit: trips when we offer more than the limit in all', () => {
    tripsWhereGiven(
      () => {
        const channel = hubChannel({}, withLimits({ htlcInflightMaxSat: 50_000n }));
        channel.update(adding(channel.balances, htlc('holder', 30_000, 'first')));
        return channel;
      },
      ({ balances }) => adding(balances, { ...htlc('holder', 0, 'second'), amountMsat: 20_000_001n }),
      'policy-commitment-htlc-inflight-limit',
      { inflight_msat: 50_000_001n, htlc_inflight_max_sat: 50_000n },
    );
  });

  it('policy-commitment-htlc-inflight-limit: passes at the limit, and whatever the peer offers', () => {
    const channel = hubChannel({}, withLimits({ htlcInflightMaxSat: 50_000n }));
    channel.update(
      adding(channel.balances, htlc('holder', 50_000, 'all'), htlc('counterparty', 60_000, 'theirs')),
    );
  });

  it('does not judge again what stands already when the limit is lowered', () => {
    const channel = hubChannel({}, withLimits({ htlcInflightMaxSat: 50_000n }));
    channel.update(adding(channel.balances, htlc('holder', 50_000, 'all')));
    channel.signer.set = withLimits({ htlcInflightMaxSat: 10_000n });
    channel.update(atFeerate(channel.balances, 1100));
    channel.update(adding(channel.balances, htlc('counterparty', 5000, 'theirs')));
    trips(
      channel,
      channel.model.signRemote(4, adding(channel.balances, htlc('holder', 1000, 'more'))),
      'policy-commitment-htlc-inflight-limit',
    );
  });
});

describe('policy-velocity-transferred', () => {
  const RULE = 'policy-velocity-transferred';
  const limited = (per: 'hour' | 'day' = 'day') => {
    const settings: Settings = {
      ...withLimits({ transferVelocity: { amountSat: 50_000n, per } }),
      severities: new Map([[RULE, 'error']]),
    };
    const channel = hubChannel({}, settings);
    return channel;
  };
  const pay = (channel: OpenChannel, one: ModelHtlc) => {
    channel.update(adding(channel.balances, one));
    deliver(channel.signer, one);
  };
  const settle = (channel: OpenChannel, one: ModelHtlc) =>
    channel.update(removing(channel.balances, one, 'settled'));

  it('policy-velocity-transferred: trips when more settles out of a channel than in a window may', () => {
    const [first, second] = [
      htlc('holder', 30_000, 'first'),
      { ...htlc('holder', 0, 'second'), amountMsat: 20_000_001n },
    ];
    const prepared = () => {
      const channel = limited();
      pay(channel, first);
      settle(channel, first);
      pay(channel, second);
      return channel;
    };
    const facts = {
      settled_msat: 20_000_001n,
      settled_before_msat: 30_000_000n,
      transfer_max_sat: 50_000n,
      per: 'day',
    };
    const cc = prepared();
    expect(flowOf(cc.signer, `transfer/${channelIdOf(cc)}`)).toBe(30_000_000n);
    const bad = removing(cc.balances, second, 'settled');
    trips(cc, cc.model.signRemote(4, bad), RULE, { ...facts, channel: channelIdOf(cc) });
    cc.validate(bad);
    trips(cc, cc.model.revoke(3), RULE, facts);
    trips(cc, cc.model.signCommitment(4, bad), RULE, facts);
  });

  it('policy-velocity-transferred: passes at exactly the limit, counts once for both views, and only what settles', () => {
    const channel = limited();
    const [first, failing, second] = [
      htlc('holder', 30_000, 'first'),
      htlc('holder', 60_000, 'failing'),
      htlc('holder', 20_000, 'second'),
    ];
    const name = `transfer/${channelIdOf(channel)}`;
    pay(channel, first);
    expect(flowOf(channel.signer, name)).toBe(0n);
    settle(channel, first);
    expect(flowOf(channel.signer, name)).toBe(30_000_000n);
    channel.update(adding(channel.balances, failing));
    channel.update(removing(channel.balances, failing, 'failed'));
    pay(channel, second);
    settle(channel, second);
    channel.update(atFeerate(channel.balances, 1100));
    channel.update(atFeerate(channel.balances, 1200));
    expect(flowOf(channel.signer, name)).toBe(50_000_000n);
    const third = htlc('holder', 1000, 'third');
    pay(channel, third);
    trips(
      channel,
      channel.model.signRemote(channel.counterpartyNumber + 1, removing(channel.balances, third, 'settled')),
      RULE,
    );
    channel.signer.nowSeconds += 86_400;
    settle(channel, third);
    expect(flowOf(channel.signer, name)).toBe(1_000_000n);
  });

  it('takes off what a variant that never came to be had settled', () => {
    const channel = limited('hour');
    const one = htlc('holder', 30_000, 'one');
    pay(channel, one);
    const name = `transfer/${channelIdOf(channel)}`;
    const tooMuch = htlc('holder', 50_001, 'too much');
    const other = limited('hour');
    pay(other, tooMuch);
    const refusal = trips(
      other,
      other.model.signRemote(2, removing(other.balances, tooMuch, 'settled')),
      RULE,
    );
    expect(refusal.message).toContain('in an hour');
    channel.ask(channel.model.signRemote(2, removing(channel.balances, one, 'settled')));
    expect(flowOf(channel.signer, name)).toBe(30_000_000n);
    channel.ask(channel.model.signRemote(2, channel.balances));
    channel.peerRevokes();
    channel.ask(channel.model.signRemote(3, channel.balances));
    channel.peerRevokes();
    expect(flowOf(channel.signer, name)).toBe(0n);
  });

  it('is off unless the operator sets it, and still counts', () => {
    const channel = limited();
    channel.signer.set = withLimits({ transferVelocity: { amountSat: 10_000n, per: 'day' } });
    const one = htlc('holder', 30_000, 'one');
    pay(channel, one);
    settle(channel, one);
    expect(flowOf(channel.signer, `transfer/${channelIdOf(channel)}`)).toBe(30_000_000n);
    channel.signer.set = withLimits({});
    const two = htlc('holder', 30_000, 'two');
    pay(channel, two);
    settle(channel, two);
    expect(flowOf(channel.signer, `transfer/${channelIdOf(channel)}`)).toBe(30_000_000n);
  });
});

it('the trim threshold the tests rely on is BOLT 3’s', () => {
  expect(htlcTrimThresholdSat('static_remotekey', 'received', 1000, sat(354))).toBe(1057n);
});
