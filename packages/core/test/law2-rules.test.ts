/** Law 2, rule by rule, what moves balances: each refuses by its own tag at the step that would give something away, with the
 * numbers it compared, and passes just inside. */
import { commitmentFeeSat } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { htlc, type ModelHtlc, type ModelOptions } from './channel-model.ts';
import {
  budget,
  deliver,
  flowOf,
  hubChannel,
  recordOf,
  type Settings,
  trips,
  tripsWhereGiven,
  warningsOf,
} from './forwarder.ts';
import { atFeerate, ledgerOf, moved } from './law2-model.ts';
import { adding, KINDS, OpenChannel, removing } from './open-channel.ts';

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
