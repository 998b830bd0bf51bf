/**
 * What goes out as an HTLC so small that its cover may be invisible is charged as lost, as much of it as law 3 and law 4 find
 * uncovered: several parts of one hash need more than their sum does.
 */
import { describe, expect, it } from 'vitest';
import { htlc } from './channel-model.ts';
import { flowOf, paymentOf } from './forwarder.ts';
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
