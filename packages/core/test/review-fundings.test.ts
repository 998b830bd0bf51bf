/** Attacks with several fundings at once: what begins on one of them later. */
import { describe, expect, it } from 'vitest';
import { htlc } from './channel-model.ts';
import { channelOf, hub, twin } from './hub.ts';
import { adding, removing } from './open-channel.ts';

describe('several fundings', () => {
  it('a splice takes no other terms when its commitment is the only one that was revoked', () => {
    const channel = channelOf(hub(), 'spliced');
    const { model } = channel;
    channel.update(channel.balances);
    const splice = channel.candidate(model.spliceOf('terms'));
    channel.ask(model.signSplice(splice));
    // The next commitment only on the old funding, and the peer revokes: the splice has none of the peer's any more.
    channel.ask(model.signRemote(2, channel.balances));
    channel.peerRevokes();
    const { holderMsat, counterpartyMsat } = channel.balances;
    const stolen = {
      ...channel.balances,
      holderMsat: holderMsat - 400_000_000n,
      counterpartyMsat: counterpartyMsat + 400_000_000n,
    };
    expect(channel.tagOf(model.signRemote(2, stolen, splice))).toBe('policy-commitment-balance-conserved');
    channel.ask(model.signRemote(2, channel.balances, splice));
  });

  it('a splice takes no terms from one that only the peer has commitments on', () => {
    const channel = channelOf(hub(), 'beside');
    const { model } = channel;
    channel.update(channel.balances);
    const splice = channel.candidate(model.spliceOf('signed'));
    channel.ask(model.signSplice(splice));
    const beside = model.spliceOf('beside');
    channel.ask(model.setup(beside));
    channel.ask(model.signRemote(1, channel.balances, beside));
    channel.ask(model.signRemote(2, channel.balances, beside));
    channel.peerRevokes();
    expect(channel.tagOf(model.signRemote(2, channel.balances, splice))).toBe(
      'policy-routing-deltas-only-htlc',
    );
  });

  it('a round of an opening does not begin at number 1', () => {
    const channel = channelOf(hub(), 'rounds');
    const { model } = channel;
    const second = model.newFunding('second round', 1_000_000n);
    channel.ask(model.setup(second));
    channel.ask(model.validate(0, channel.balances, second));
    channel.ask(model.signRemote(1, channel.balances));
    const stolen = { ...channel.balances, holderMsat: 100_000_000n, counterpartyMsat: 900_000_000n };
    expect(channel.tagOf(model.signRemote(1, stolen, second))).toBe('policy-routing-deltas-only-htlc');
  });

  it('the fundings tell different stories: what either settled is gone', () => {
    const signer = hub();
    const [source, sink] = [channelOf(signer, 'source'), channelOf(signer, 'sink')];
    const [small, large] = [
      htlc('counterparty', 10_000, 'small', 700_100),
      htlc('counterparty', 90_000, 'large', 700_100),
    ];
    const [smallOut, largeOut] = [twin(small, 700_000), twin(large, 700_000)];
    source.update(adding(source.balances, small, large));
    sink.update(adding(sink.balances, smallOut, largeOut));
    const splice = sink.candidate(sink.model.spliceOf('stories'));
    sink.ask(sink.model.signSplice(splice));
    signer.ask({ name: 'countersign_preimages', preimages: [small.preimage, large.preimage] });
    const ends = (lost: typeof small, back: typeof small) =>
      removing(removing(sink.balances, lost, 'settled'), back, 'failed');
    const here = ends(smallOut, largeOut);
    const there = ends(largeOut, smallOut);
    for (const step of [0, 1]) {
      sink.ask(sink.model.signRemote(2 + step, here));
      sink.ask(sink.model.signRemote(2 + step, there, splice));
      sink.peerRevokes();
      sink.ask(sink.model.validate(2 + step, here));
      sink.ask(sink.model.validate(2 + step, there, splice));
      sink.revoke();
    }
    for (const one of [small, large]) {
      const request = source.model.signRemote(2, removing(source.balances, one, 'failed'));
      expect(source.tagOf(request)).toBe('policy-routing-balanced');
    }
  });

  it('a splice that we never signed is not locked: the old funding would be forgotten', () => {
    const signer = hub();
    const channel = channelOf(signer, 'bogus');
    channel.update(channel.balances);
    const bogus = channel.candidate(channel.model.spliceOf('bogus'));
    expect(channel.refused(channel.model.lock(bogus))).toMatchObject({
      tag: 'policy-revoke-new-commitment-valid',
      temporary: true,
    });
    channel.ask(channel.model.signSplice(bogus));
    channel.lock(bogus);
  });
});
