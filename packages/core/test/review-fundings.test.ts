/** Attacks with several fundings at once: what begins on one of them later. */
import { describe, expect, it } from 'vitest';
import { channelOf, hub } from './hub.ts';

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
});
