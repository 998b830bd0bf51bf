/**
 * What goes out as an HTLC so small that its cover may be invisible is charged as lost, as much of it as law 3 and law 4 find
 * uncovered: several parts of one hash need more than their sum does.
 */
import { describe, expect, it } from 'vitest';
import { htlc } from './channel-model.ts';
import { deliver, FakeChain, flowOf, paymentOf } from './forwarder.ts';
import { channelOf, hub, twin } from './hub.ts';
import { adding, type OpenChannel, removing } from './open-channel.ts';
import type { TestSigner } from './test-signer.ts';

const DELTA = 'policy-routing-cltv-delta';
const OUTFLOW = 'policy-commitment-dust-outflow';

/** Of the two incoming parts of 1,529 sat one is visible and ends early, one is late and below the trim line of its channel. */
class Parts {
  readonly signer: TestSigner = hub();
  readonly early = htlc('counterparty', 1_529, 'parts', 700_120);
  readonly source: OpenChannel;
  readonly sink: OpenChannel;
  readonly first = twin(this.early, 700_086, { amountMsat: 1_512_710n });
  readonly second = twin(this.early, 700_144, { amountMsat: 1_512_710n });

  constructor(budgetSat = 20_000n) {
    this.signer.set = { limits: { dustOutflowVelocity: { amountSat: budgetSat, per: 'day' } } };
    // At 1,502 per kw a received HTLC below 1,602 sat may have no output where HTLC transactions pay fees.
    const hiding = channelOf(this.signer, 'hiding', { format: 'static_remotekey' });
    hiding.update({ ...hiding.balances, feeratePerKw: 1_502 });
    this.source = channelOf(this.signer, 'source', { format: 'anchors_zero_fee_htlc' });
    this.sink = channelOf(this.signer, 'sink', { format: 'anchors_zero_fee_htlc' });
    this.source.update(adding(this.source.balances, this.early));
    this.sink.update(adding(this.sink.balances, this.first));
  }

  get charged(): bigint {
    return paymentOf(this.signer, this.early)!.dustChargedMsat;
  }

  offerSecond(): this {
    this.source.update(adding(this.source.balances, this.second));
    return this;
  }

  offering() {
    const { source } = this;
    return source.model.signRemote(source.counterpartyNumber + 1, adding(source.balances, this.second));
  }
}

describe('policy-routing-cltv-delta: parts whose cover is invisible', () => {
  it('policy-routing-cltv-delta: passes when the late one is charged in full', () => {
    const parts = new Parts();
    parts.offerSecond();
    // The early incoming one covers nothing that ends so late.
    expect(parts.charged).toBe(1_512_710n);
    expect(flowOf(parts.signer, 'dust-outflow')).toBeGreaterThanOrEqual(1_512_710n);
  });

  it('policy-commitment-dust-outflow: trips when the budget holds their sum only', () => {
    const parts = new Parts(1_500n);
    expect(parts.source.tagOf(parts.offering())).toBe(OUTFLOW);
  });

  it('policy-routing-cltv-delta: trips when what is missing is no dust', () => {
    const parts = new Parts();
    const large = { ...parts.second, amountMsat: 20_000_000n };
    const cover = { ...parts.early, cltvExpiry: 700_130, amountMsat: 20_100_000n };
    parts.source.update(adding(parts.source.balances, cover));
    expect(parts.sink.tagOf(parts.sink.model.signRemote(2, adding(parts.sink.balances, large)))).toBe(DELTA);
  });

  it('the charge stays until the late one is gone, whatever becomes of the early ones', () => {
    const parts = new Parts().offerSecond();
    const { signer, source, sink, early, first, second } = parts;
    sink.update(removing(sink.balances, first, 'failed'));
    expect(parts.charged).toBe(1_512_710n);
    source.update(removing(source.balances, early, 'failed'));
    expect(parts.charged).toBe(1_512_710n);
    source.update(removing(source.balances, second, 'failed'));
    expect(paymentOf(signer, early)).toBeNull();
    expect(flowOf(signer, 'dust-outflow')).toBeLessThan(2_000n);
  });
});

describe('policy-routing-balanced: a part whose credit only one view shows', () => {
  it.each(['without', 'by'])(
    'policy-routing-balanced: passes when the last of the others is credited, %s a view of the chain',
    (how) => {
      const signer = hub();
      signer.set = { limits: { dustOutflowVelocity: { amountSat: 20_000n, per: 'day' } } };
      const chain = new FakeChain();
      // At 2,233 per kw HTLCs of the peer are trimmed below 2,026 sat in its commitments, below 2,115 sat in ours.
      const hiding = channelOf(signer, 'hiding', { format: 'static_remotekey' });
      hiding.update({ ...hiding.balances, feeratePerKw: 2_233 });
      const source = channelOf(signer, 'source', { format: 'anchors_zero_fee_htlc' });
      const sink = channelOf(signer, 'sink', { format: 'anchors_zero_fee_htlc' });
      for (const one of [hiding, source, sink]) chain.bury(one, 6);
      if (how === 'by') signer.chain = chain;
      const shown = [0, 1].map(() => htlc('counterparty', 2_055, 'parts', 700_120));
      const hidden = twin(shown[0]!, 700_120, { offeredBy: 'counterparty' });
      const out = [0, 1, 2].map(() =>
        twin(shown[0]!, 700_080, { offeredBy: 'holder', amountMsat: 2_033_450n }),
      );
      const sinks = [sink, sink, source];

      source.update(adding(source.balances, ...shown));
      hiding.update(adding(hiding.balances, hidden));
      for (const [i, one] of out.entries()) sinks[i]!.update(adding(sinks[i]!.balances, one));
      deliver(signer, hidden);
      for (const [i, one] of out.entries()) sinks[i]!.update(removing(sinks[i]!.balances, one, 'settled'));
      hiding.update(removing(hiding.balances, hidden, 'settled'));
      source.update(removing(source.balances, shown[0]!, 'settled'));
      source.update(removing(source.balances, shown[1]!, 'settled'));

      // One view has all three credits and what they earned, the other two: the third is charged as lost, and stays so.
      const { dustChargedMsat, incomeMsat } = paymentOf(signer, hidden)!;
      expect([dustChargedMsat, incomeMsat]).toEqual([6_100_350n - 4_110_000n, 6_165_000n - 6_100_350n]);
      // It covers nothing new, not by a millisatoshi.
      const more = twin(hidden, 700_080, { offeredBy: 'holder', amountMsat: 21_000_000n });
      expect(
        sink.tagOf(sink.model.signRemote(sink.counterpartyNumber + 1, adding(sink.balances, more))),
      ).toBe('policy-commitment-htlc-routing-balance');
    },
  );
});
