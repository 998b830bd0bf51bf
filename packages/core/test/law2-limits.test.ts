/** Law 2, rule by rule, the limits of one commitment and of time: fee rates, HTLCs, what settles out of a channel. */
import { describe, expect, it } from 'vitest';
import { htlc, type ModelHtlc } from './channel-model.ts';
import {
  channelIdOf,
  deliver,
  flowOf,
  hubChannel,
  recordOf,
  type Settings,
  trips,
  tripsWhereGiven,
} from './forwarder.ts';
import { atFeerate, ledgerOf, withLimits } from './law2-model.ts';
import { adding, type OpenChannel, removing } from './open-channel.ts';

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
