/** Law 2, rule by rule, what has no output: trimmed outputs, dust in flight, and dust that has left. */
import { htlcTrimThresholdSat, sat } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { type Balances, htlc, type ModelOptions } from './channel-model.ts';
import {
  budget,
  channelIdOf,
  flowOf,
  hubChannel,
  recordOf,
  type Settings,
  trips,
  tripsWhereGiven,
} from './forwarder.ts';
import { atFeerate, ledgerOf, moved, withLimits } from './law2-model.ts';
import { adding, OpenChannel } from './open-channel.ts';

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

it('the trim threshold the tests rely on is BOLT 3’s', () => {
  expect(htlcTrimThresholdSat('static_remotekey', 'received', 1000, sat(354))).toBe(1057n);
});
