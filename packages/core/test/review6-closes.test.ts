/** What closes came to counts for the payments: of several on one channel, and of one that is revoked afterwards. */
import { toHex } from '@countersign/bitcoin';
import { closingRecords, paymentRecords } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { APPROVING, ChainedSigner, openedChannel, spendOf } from './chained-signer.ts';
import { htlc } from './channel-model.ts';
import { channelIdOf, flowOf, hashOf, recordOf, trips, UNAPPROVED } from './forwarder.ts';
import { adding, OpenChannel, removing } from './open-channel.ts';
import { spends, TwoFundings } from './two-fundings.ts';

const NO_OVERRIDE = { limits: {}, severities: new Map(), sharedAllowlist: false };

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

describe('a commitment of the peer that it revokes when the chain has it', () => {
  it.each([0, 300])('gives back nothing of what it took by preimage %i blocks before', (blocks) => {
    const { signer, channel } = openedChannel();
    const other = new OpenChannel({ peer: 'other' }, signer).open();
    signer.mine(other.model.funding.tx).mineEmpty(6);
    const paid = htlc('holder', 50_000, 'paid', 400);
    channel.update(adding(channel.balances, paid));
    const theirs = channel.model.build('counterparty', 1, channel.balances).tx;
    const failed = removing(channel.balances, paid, 'failed');
    channel.signRemote(failed);
    channel.validate(failed);
    channel.revoke();
    const at = theirs.outputs.findIndex(({ value }) => value === 50_000n);
    signer
      .mine(theirs)
      .mine(spendOf(theirs, at, [paid.preimage]))
      .mineEmpty(blocks);
    channel.peerRevokes();
    const payment = () => signer.read(paymentRecords, hashOf(paid));
    const settled = { settledMsat: 50_000_000n, usedMsat: 50_000_000n, parts: [] };
    expect(payment()).toMatchObject(settled);
    const again = adding(other.balances, { ...paid, cltvExpiry: signer.view.heightBlocks + 100 });
    trips(other, other.model.signRemote(1, again), 'policy-commitment-payment-invoiced');
    signer.mineEmpty(160);
    expect(payment()).toMatchObject(settled);
  });

  it('brings back nothing of the dust that it lost', () => {
    const { signer, channel } = openedChannel();
    signer.mineEmpty(6);
    const { model, balances } = channel;
    channel.update({ ...balances, holderMsat: balances.holderMsat - 700_000n });
    const theirs = model.build('counterparty', 1, channel.balances).tx;
    channel.signRemote(balances);
    channel.validate(balances);
    channel.revoke();
    expect(flowOf(signer, 'dust-outflow')).toBe(700_000n);
    signer.mine(theirs);
    channel.peerRevokes();
    expect(flowOf(signer, 'dust-outflow')).toBe(700_000n);
  });
});

describe('a channel that the operator marked zero-conf, before its funding is mined', () => {
  function unmined({ isLocked }: { readonly isLocked: boolean }) {
    const signer = new ChainedSigner();
    const channel = new OpenChannel({ peer: 'zero', isOutbound: true, pushMsat: 0n }, signer);
    const { model } = channel;
    const zeroConf = { ...NO_OVERRIDE, zeroConf: true };
    signer.set = { approvals: APPROVING, peers: new Map([[toHex(model.ref.peerId), zeroConf]]) };
    channel.open();
    const named = model.newFunding('named', model.funding.valueSat);
    channel.ask(model.setup(named));
    if (isLocked) channel.lock(model.funding);
    const id = channelIdOf(channel);
    const paid = htlc('holder', 50_000, 'paid', 400);
    const goesOn = () => {
      expect(signer.read(closingRecords, id)).toBeNull();
      expect(signer.read(paymentRecords, hashOf(paid))?.parts).toMatchObject([{ outMsat: 50_000_000n }]);
      signer
        .mine(model.funding.tx)
        .mine(model.build('counterparty', channel.counterpartyNumber, channel.balances).tx);
      expect(signer.read(closingRecords, id)).toMatchObject({ kind: 'counterparty' });
    };
    return { signer, channel, named, paid, goesOn };
  }

  it.each([true, false])(
    'is not ended by what spends some coin that the node named, dropped (%s) or not',
    (isLocked) => {
      const { signer, channel, named, paid, goesOn } = unmined({ isLocked });
      const { model } = channel;
      const old = model.build('counterparty', 0, channel.balances, named).tx;
      channel.update(adding(channel.balances, paid));
      expect(recordOf(channel).candidates).toHaveLength(isLocked ? 1 : 2);
      // As a revoked commitment would look, with nothing in it that is not explained.
      const toRemote = model.build('counterparty', 0, model.initial).tx.outputs.at(-1)!;
      signer.mine({ ...old, outputs: [toRemote] }).mineEmpty(160);
      goesOn();
    },
  );

  it('is not ended by a round that the peer alone paid for', () => {
    const { signer, channel, named, paid, goesOn } = unmined({ isLocked: false });
    const { model } = channel;
    channel.ask(model.validate(0, channel.balances, named));
    channel.ask(model.signRemote(0, channel.balances, named));
    const close = model.build('counterparty', 0, channel.balances, named).tx;
    channel.lock(model.funding);
    channel.signRemote(adding(channel.balances, paid));
    signer
      .mine(named.tx)
      .mine(close)
      .mine(
        ...spends(
          close,
          close.outputs.map((_, vout) => vout),
        ),
      );
    signer.mineEmpty(8);
    channel.balances = adding(channel.balances, paid);
    channel.counterpartyNumber = 1;
    goesOn();
  });
});
