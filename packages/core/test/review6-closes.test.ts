/** What a close came to, of several on one channel: it counts until all of them are resolved. */
import { paymentRecords } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { spendOf } from './chained-signer.ts';
import { htlc } from './channel-model.ts';
import { hashOf, UNAPPROVED } from './forwarder.ts';
import { adding, OpenChannel, removing } from './open-channel.ts';
import { spends, TwoFundings } from './two-fundings.ts';

describe('an HTLC of ours that the peer takes on one funding', () => {
  /** Both fundings are on the chain, with an HTLC of ours that one upstream pays for; the peer may close either. */
  function forwarded() {
    const two = new TwoFundings().mineFirst();
    const { signer, channel } = two;
    signer.set = { approvals: UNAPPROVED };
    const upstream = new OpenChannel(
      { peer: 'upstream', isOutbound: false, pushMsat: 300_000_000n },
      signer,
    ).open();
    signer.mine(upstream.model.funding.tx).mineEmpty(6);
    const offered = htlc('holder', 50_000, 'forwarded', 60);
    const received = htlc('counterparty', 51_000, 'forwarded', 900);
    upstream.update(adding(upstream.balances, received));
    channel.update(adding(channel.balances, offered));
    two.mineSecond();
    const closes = {
      first: two.commitment('counterparty', 1, two.first),
      second: two.commitment('counterparty', 1, two.second),
    };
    const at = closes.first.outputs.findIndex(({ value }) => value === 50_000n);
    const rest = closes.first.outputs.map((_, vout) => vout).filter((vout) => vout !== at);
    /** Gives back what pays for it. */
    const failing = upstream.model.signRemote(2, removing(upstream.balances, received, 'failed'));
    return { two, upstream, offered, closes, at, rest, failing };
  }

  it.each([
    ['second', 'first'],
    ['first', 'second'],
  ] as const)('stays settled when the close of the %s is resolved before that of the %s', (taken, back) => {
    const { two, upstream, offered, closes, at, rest, failing } = forwarded();
    const { signer } = two;
    signer.mine(closes.second).mine(closes.first);
    signer.mine(spendOf(closes[taken], at, [offered.preimage]), ...spends(closes[taken], rest));
    signer.mineEmpty(160);
    signer.mine(...spends(closes[back], [at, ...rest])).mineEmpty(8);
    expect(upstream.tagOf(failing)).toBe('policy-routing-balanced');
    signer.mineEmpty(150);
    expect(two.standing).toBe('closed');
    expect(signer.read(paymentRecords, hashOf(offered))).toMatchObject({ settledMsat: 50_000_000n });
    expect(upstream.tagOf(failing)).toBe('policy-routing-balanced');
  });

  it('keeps the channel from going on with the other one, where it could be failed', () => {
    const { two, closes, offered, at, rest } = forwarded();
    const { signer, channel } = two;
    signer.mine(closes.second);
    signer.mine(spendOf(closes.second, at, [offered.preimage]), ...spends(closes.second, rest));
    signer.mineEmpty(20);
    const failed = channel.model.signRemote(2, removing(channel.balances, offered, 'failed'), two.first);
    expect(channel.tagOf(failed)).toBe('policy-candidate-exclusive');
    signer.mineEmpty(130);
    expect(channel.tagOf(failed)).toBe('policy-candidate-exclusive');
  });
});
