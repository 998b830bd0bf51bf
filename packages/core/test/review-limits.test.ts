/** Limits bind what is new, never what stands; and a hash that backs a forward is the likelier one to be credited. */
import { msat, toHex } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { explain } from '../src/ledger/explain.ts';
import { observe } from '../src/ledger/observe.ts';
import { htlc } from './channel-model.ts';
import { FakeChain, Forwarder, hubChannel, recordOf, trips } from './forwarder.ts';
import { channelOf, hub, twin } from './hub.ts';
import { NO_KNOWLEDGE, observableOf, record, VIEW } from './ledger-model.ts';
import { adding, removing } from './open-channel.ts';

describe('the in-flight limit of an incoming channel', () => {
  const coming = htlc('counterparty', 40_100, 'z forward', 700_100);
  const going = twin(coming, 700_000, { amountMsat: 40_000_000n });
  const stranger = htlc('counterparty', 45_000, 'a stranger', 700_000);

  it('is no reason to refuse what a stranger sends while a forward is under way', () => {
    const signer = hub();
    signer.set = { ...signer.set, limits: { htlcInflightMaxSat: 50_000n } };
    const [source, sink] = [channelOf(signer, 'source'), channelOf(signer, 'sink')];
    source.update(adding(source.balances, coming));
    sink.update(adding(sink.balances, going));
    // Whatever the order of the list: the stranger's comes first in it.
    const crowded = adding({ ...source.balances, htlcs: [stranger] }, ...source.balances.htlcs);
    const paid = {
      ...source.balances,
      htlcs: crowded.htlcs,
      counterpartyMsat: source.balances.counterpartyMsat - stranger.amountMsat,
    };
    source.update(paid);
    expect(recordOf(source).holderNextRevoke).toBe(2);
  });

  it('keeps what is beyond it from covering a new offer', () => {
    const signer = hub();
    signer.set = { ...signer.set, limits: { htlcInflightMaxSat: 40_000n } };
    const [source, sink] = [channelOf(signer, 'source'), channelOf(signer, 'sink')];
    source.update(adding(source.balances, coming));
    trips(
      sink,
      sink.model.signRemote(1, adding(sink.balances, going)),
      'policy-commitment-htlc-routing-balance',
    );
  });
});

describe('the count of HTLCs', () => {
  it('above a limit that was lowered, they may still go', () => {
    const channel = hubChannel({});
    const held = ['a', 'b', 'c'].map((label) => htlc('counterparty', 10_000, label));
    channel.update(adding(channel.balances, ...held));
    channel.signer.set = { ...channel.signer.set, limits: { htlcCountMax: 1 } };
    channel.update(removing(channel.balances, held[0]!, 'failed'));
    expect(recordOf(channel).holderNextRevoke).toBe(2);
  });
});

describe('a commitment of ours to be published', () => {
  it('policy-channel-funding-onchain: trips when the buried funding is another output', () => {
    const chain = new FakeChain();
    const forwarder = new Forwarder({ chain });
    const { outgoing } = forwarder;
    chain.bury(outgoing, 6, { valueSat: outgoing.model.fundingOutput().value - 1n } as never);
    const request = outgoing.model.signCommitment(0, outgoing.balances);
    trips(outgoing, request, 'policy-channel-funding-onchain');
    chain.bury(outgoing, 6);
    outgoing.ask(request);
  });
});

describe('which of two received HTLCs was credited', () => {
  it('is the one that backs a forward, when dust moved in the same step and no preimage tells', () => {
    const backing = record('counterparty', 20_000_000n, 'backing');
    const other = record('counterparty', 30_000_000n, 'other');
    const before = { holderMsat: msat(100_000_000n), driftMsat: 0n, trimmed: [] };
    const observed = observe(observableOf(VIEW, { holderMsat: 119_700_000n, feeratePerKw: 1000, htlcs: [] }));
    const explained = explain({
      before,
      visibleBefore: [backing, other],
      visible: [],
      // 300 sat of ours went into a trimmed HTLC, and the peer has the rest.
      observed: { ...observed, poolMsat: observed.poolMsat + 300_000n },
      format: VIEW.format,
      broadcaster: 'holder',
      elsewhere: [],
      knowledge: { ...NO_KNOWLEDGE, backs: (hash) => toHex(hash) === toHex(backing.paymentHash) },
    });
    expect(explained).toMatchObject({
      ok: true,
      driftMsat: -300_000n,
      fates: [{ paymentHash: backing.paymentHash, amountMsat: 20_000_000n, how: 'credited' }],
    });
  });
});
