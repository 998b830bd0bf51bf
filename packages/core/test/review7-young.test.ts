/**
 * What a channel is worth whose funding is not buried deep enough for payments: a peer can take that back with the funding, so it covers
 * nothing that goes out elsewhere.
 */
import { describe, expect, it } from 'vitest';
import { htlc, type ModelHtlc } from './channel-model.ts';
import { deliver, FakeChain, flowOf, forwardOf, hubSigner, trips } from './forwarder.ts';
import { adding, OpenChannel, removing } from './open-channel.ts';

describe('on a funding that is not buried as deep as payments need', () => {
  /** One part of a payment comes in on a young channel, the other on an old one, and one went out again. */
  function young(depthBlocks: number) {
    const signer = hubSigner({ limits: { paymentDepthBlocks: 3 } });
    const upstream = (peer: string): OpenChannel =>
      new OpenChannel({ peer, isOutbound: false, pushMsat: 300_000_000n }, signer).open();
    const [fresh, old] = [upstream('fresh'), upstream('old')];
    const downstream = new OpenChannel({ peer: 'downstream' }, signer).open();
    const chain = new FakeChain();
    chain.bury(fresh, depthBlocks);
    for (const one of [old, downstream]) chain.bury(one, 6);
    signer.chain = chain;
    return { signer, chain, fresh, old, downstream };
  }

  function credited(depthBlocks: number) {
    const place = young(depthBlocks);
    const { signer, fresh, old, downstream } = place;
    const part: ModelHtlc = htlc('counterparty', 60_000, 'parts', 699_200);
    old.update(adding(old.balances, part));
    downstream.update(adding(downstream.balances, forwardOf(part, 59_900, 60)));
    fresh.update(adding(fresh.balances, part));
    deliver(signer, part);
    fresh.update(removing(fresh.balances, part, 'settled'));
    const failing = old.model.signRemote(2, removing(old.balances, part, 'failed'));
    return { ...place, part, failing };
  }

  it('a credit covers nothing: what paid for the outgoing HTLC stays', () => {
    const { old, downstream, part, failing } = credited(2);
    trips(old, failing, 'policy-routing-balanced');
    const [out] = downstream.balances.htlcs;
    downstream.update(removing(downstream.balances, out!, 'settled'));
    trips(old, failing, 'policy-routing-balanced');
    old.update(removing(old.balances, part, 'settled'));
  });

  it('a credit covers what went out once it is', () => {
    const { old, failing } = credited(3);
    old.ask(failing);
  });

  it('a credit of what stood there before a reorg hinders nothing', () => {
    const { signer, chain, fresh, downstream } = young(3);
    const part = htlc('counterparty', 60_000, 'alone', 699_200);
    fresh.update(adding(fresh.balances, part));
    const out = forwardOf(part, 59_900, 60);
    downstream.update(adding(downstream.balances, out));
    chain.bury(fresh, 1);
    deliver(signer, part);
    fresh.update(removing(fresh.balances, part, 'settled'));
    downstream.update(removing(downstream.balances, out, 'settled'));
  });

  it.each([
    [2, 500_000n],
    [3, 0n],
  ] as const)(
    'what the peer gives us makes up for no dust that left elsewhere (%i blocks deep)',
    (depth, left) => {
      const { signer, fresh, downstream } = young(depth);
      const moved = (channel: OpenChannel, toUsMsat: bigint) => ({
        ...channel.balances,
        holderMsat: channel.balances.holderMsat + toUsMsat,
        counterpartyMsat: channel.balances.counterpartyMsat - toUsMsat,
      });
      const lost = htlc('holder', 500, 'dust');
      downstream.update(adding(downstream.balances, lost));
      downstream.update(removing(downstream.balances, lost, 'settled'));
      expect(flowOf(signer, 'dust-outflow')).toBe(500_000n);
      fresh.update(moved(fresh, 5_000_000n));
      expect(flowOf(signer, 'dust-outflow')).toBe(left);
    },
  );

  it('dust in flight that comes back is given back to the budget', () => {
    const { signer, fresh } = young(2);
    const one = htlc('holder', 500, 'dust');
    fresh.update(adding(fresh.balances, one));
    expect(flowOf(signer, 'dust-outflow')).toBe(500_000n);
    fresh.update(removing(fresh.balances, one, 'failed'));
    expect(flowOf(signer, 'dust-outflow')).toBe(0n);
  });
});
