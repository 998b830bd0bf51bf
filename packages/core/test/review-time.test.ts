/** Attacks on the order of expiries: HTLCs replaced by others of the same hash and amount. */
import { describe, expect, it } from 'vitest';
import { htlc } from './channel-model.ts';
import { channelOf, hub, twin } from './hub.ts';
import { adding, removing } from './open-channel.ts';

describe('expiries', () => {
  /** 100,000 sat come in on one channel and go out on another. */
  function forwarded() {
    const signer = hub();
    const [source, sink] = [channelOf(signer, 'source'), channelOf(signer, 'sink')];
    const coming = htlc('counterparty', 100_100, 'forward', 700_100);
    const going = twin(coming, 700_000, { amountMsat: 100_000_000n });
    source.update(adding(source.balances, coming));
    sink.update(adding(sink.balances, going));
    return { source, sink, coming, going };
  }

  it('the outgoing HTLC is not replaced by a later one', () => {
    const { sink, going } = forwarded();
    const later = { ...going, cltvExpiry: 800_000 };
    const next = adding(removing(sink.balances, going, 'failed'), later);
    expect(sink.tagOf(sink.model.signRemote(2, next))).toBe('policy-routing-cltv-delta');
  });

  it('the incoming HTLC is not replaced by an earlier one, at once or after another', () => {
    const { source, coming } = forwarded();
    const earlier = { ...coming, cltvExpiry: 699_000 };
    const replaced = adding(removing(source.balances, coming, 'failed'), earlier);
    expect(source.tagOf(source.model.signRemote(2, replaced))).toBe('policy-routing-cltv-delta');
    source.update(adding(source.balances, earlier));
    const without = removing(source.balances, coming, 'failed');
    expect(source.tagOf(source.model.signRemote(3, without))).toBe('policy-routing-cltv-delta');
  });

  it('what was settled may be covered by whatever comes in', () => {
    const signer = hub();
    const [source, sink] = [channelOf(signer, 'source'), channelOf(signer, 'sink')];
    const early = htlc('counterparty', 50_100, 'parts', 700_032);
    const late = { ...early, cltvExpiry: 700_100 };
    const first = twin(early, 700_000, { amountMsat: 50_000_000n });
    const second = { ...first, cltvExpiry: 700_030 };
    source.update(adding(source.balances, early, late));
    sink.update(adding(sink.balances, first, second));
    signer.ask({ name: 'countersign_preimages', preimages: [early.preimage] });
    sink.update(removing(sink.balances, first, 'settled'));
    source.update(removing(source.balances, late, 'settled'));
    sink.update(removing(sink.balances, second, 'settled'));
    source.update(removing(source.balances, early, 'settled'));
  });
});
