/** Forwards whose cover is invisible: one channel hides an HTLC that the other, of another type, shows. */
import { describe, expect, it } from 'vitest';
import { htlc } from './channel-model.ts';
import { Forwarder, flowOf, forwardOf, trips } from './forwarder.ts';
import { adding } from './open-channel.ts';

/** At 2,500 per kw a received HTLC below 2,303 sat has no output where HTLC transactions pay fees. */
function hiding(format: 'static_remotekey' | 'anchors_zero_fee_htlc', feeratePerKw = 2500): Forwarder {
  const forwarder = new Forwarder({ upstream: { format }, downstream: { format: 'anchors_zero_fee_htlc' } });
  forwarder.incoming.update({ ...forwarder.incoming.balances, feeratePerKw });
  return forwarder;
}

describe('the trim line of the node', () => {
  const hidden = htlc('counterparty', 2200, 'hidden upstream', 700_040);

  it('policy-commitment-htlc-offered-hash-matches: passes an HTLC that its cover’s channel does not show', () => {
    const forwarder = hiding('static_remotekey');
    forwarder.receive(hidden);
    expect(forwarder.incoming.model.signRemote(9, forwarder.incoming.balances).htlcs).toEqual([]);
    forwarder.offer(forwardOf(hidden, 2150));
    // Nothing shows the cover, so it is charged.
    expect(flowOf(forwarder.signer, 'dust-outflow')).toBe(2_150_000n);
  });

  it('policy-routing-fee-min: passes where a part of the cover does not show', () => {
    const forwarder = hiding('static_remotekey');
    const shown = { ...hidden, amountMsat: 2_400_000n };
    forwarder.receive(hidden, shown);
    forwarder.offer(forwardOf(hidden, 2150), forwardOf(hidden, 2140));
    expect(flowOf(forwarder.signer, 'dust-outflow')).toBe(1_890_000n);
  });

  it('policy-commitment-htlc-offered-hash-matches: trips where no channel can hide so much', () => {
    const tag = 'policy-commitment-htlc-offered-hash-matches';
    const small = hiding('static_remotekey', 1000);
    trips(small.outgoing, small.offering(forwardOf(hidden, 2150)), tag);
    const anchors = hiding('anchors_zero_fee_htlc');
    trips(anchors.outgoing, anchors.offering(forwardOf(hidden, 2150)), tag);
  });

  it('policy-commitment-htlc-offered-hash-matches: trips when the line is long ago', () => {
    const forwarder = hiding('static_remotekey');
    const { incoming, signer, outgoing } = forwarder;
    incoming.update({ ...incoming.balances, feeratePerKw: 1000 });
    const day = 24 * 3600;
    signer.nowSeconds += 14 * day;
    incoming.update({ ...incoming.balances, feeratePerKw: 1001 });
    outgoing.signRemote(adding(outgoing.balances, forwardOf(hidden, 2150)));
    signer.nowSeconds += 1;
    incoming.update({ ...incoming.balances, feeratePerKw: 1000 });
    const other = forwardOf(htlc('counterparty', 2200, 'another', 700_040), 2150);
    trips(outgoing, forwarder.offering(other), 'policy-commitment-htlc-offered-hash-matches');
  });
});
