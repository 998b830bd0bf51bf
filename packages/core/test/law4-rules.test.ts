/**
 * Law 4, rule by rule, by a chain view that the tests shape: expiries, burial, and that nothing is judged without a view.
 */
import { outPointToString, sat } from '@countersign/bitcoin';
import type { Override } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { htlc, type ModelHtlc } from './channel-model.ts';
import {
  budget,
  channelIdOf,
  FakeChain,
  Forwarder,
  flowOf,
  forwardOf,
  HEIGHT_BLOCKS,
  hashOf,
  hubChannel,
  type Settings,
  trips,
  warningsOf,
} from './forwarder.ts';
import { adding, type OpenChannel, removing } from './open-channel.ts';
import { bytesOf } from './test-signer.ts';

const DELTA = 'policy-routing-cltv-delta';
const RANGE = 'policy-commitment-htlc-cltv-range';
const ACTIVE = 'policy-commitment-spends-active-utxo';
const RECEIVED = 'policy-commitment-htlc-received-spends-active-utxo';
const ONCHAIN = 'policy-channel-funding-onchain';

const withRule = (tag: string, severity: 'warn'): Settings => ({ severities: new Map([[tag, severity]]) });
const expiring = (one: ModelHtlc, cltvExpiry: number, amountSat?: number): ModelHtlc => ({
  ...one,
  cltvExpiry,
  ...(amountSat !== undefined && { amountMsat: BigInt(amountSat) * 1000n }),
});

describe('policy-routing-cltv-delta', () => {
  const incoming = htlc('counterparty', 50_000, 'timed', 700_000);

  it.each([null, new FakeChain()])(
    'policy-routing-cltv-delta: trips when the incoming one expires too soon after the outgoing one (A38)',
    (chain) => {
      for (const outgoingExpiry of [699_995, 700_000, 700_001]) {
        const node = new Forwarder({ chain }).receive(incoming);
        const late = expiring(forwardOf(incoming, 49_000), outgoingExpiry);
        const facts = {
          payment_hash: hashOf(incoming),
          channel: channelIdOf(node.outgoing),
          outgoing_expiry: outgoingExpiry,
          incoming_expiry_min: outgoingExpiry + 6,
          outgoing_msat: 49_000_000n,
          covered_msat: 0n,
          cltv_delta_blocks: 6,
        };
        trips(node.outgoing, node.offering(late), DELTA, facts);
        const bad = adding(node.outgoing.balances, late);
        node.outgoing.validate(bad);
        trips(node.outgoing, node.outgoing.model.revoke(0), DELTA, facts);
        trips(node.outgoing, node.outgoing.model.signCommitment(1, bad), DELTA, facts);
      }
    },
  );

  it('policy-routing-cltv-delta: passes with exactly the delta, and needs none of a payment of our own', () => {
    new Forwarder().receive(incoming).offer(expiring(forwardOf(incoming, 49_000), 699_994));
    const own = hubChannel({}, { approvals: budget(100_000n) });
    own.update(adding(own.balances, htlc('holder', 50_000, 'own', 800_000)));
  });

  it('is exact for several parts of one hash', () => {
    const early = expiring(incoming, 690_000, 30_000);
    const late = expiring(incoming, 700_000, 20_000);
    const node = new Forwarder().receive(early, late);
    const [first, second] = [
      expiring(forwardOf(incoming, 0), 689_994, 30_000),
      expiring(forwardOf(incoming, 0), 699_994, 20_000),
    ];
    const tooMuchLate = { ...second, amountMsat: second.amountMsat + 1n };
    trips(node.outgoing, node.offering({ ...first, amountMsat: first.amountMsat - 1n }, tooMuchLate), DELTA, {
      outgoing_expiry: 699_994,
      outgoing_msat: 20_000_001n,
      covered_msat: 20_000_000n,
    });
    trips(node.outgoing, node.offering(expiring(first, 689_995)), DELTA, {
      outgoing_expiry: 689_995,
      outgoing_msat: 30_000_000n,
      covered_msat: 20_000_000n,
    });
    node.offer(first, second);
  });

  it('one part that may expire late takes the cover of both', () => {
    const node = new Forwarder().receive(
      expiring(incoming, 690_000, 30_000),
      expiring(incoming, 700_000, 20_000),
    );
    node.offer(expiring(forwardOf(incoming, 0), 699_994, 20_000));
    trips(node.outgoing, node.offering(expiring(forwardOf(incoming, 0), 690_000, 10_000)), DELTA, {
      outgoing_msat: 30_000_000n,
      covered_msat: 20_000_000n,
    });
    node.offer(expiring(forwardOf(incoming, 0), 689_994, 30_000));
  });

  it('does not judge again what stands when the incoming peer has gone on', () => {
    const node = new Forwarder().receive(incoming).offer(expiring(forwardOf(incoming, 49_000), 699_994));
    node.signer.set = { ...node.signer.set, limits: { cltvDeltaBlocks: 100 } };
    node.outgoing.update({ ...node.outgoing.balances, feeratePerKw: 1100 });
    node.incoming.update({ ...node.incoming.balances, feeratePerKw: 1100 });
  });

  it('at warn it only warns', () => {
    const node = new Forwarder({ set: withRule(DELTA, 'warn') }).receive(incoming);
    expect(warningsOf(node.outgoing, node.offering(expiring(forwardOf(incoming, 49_000), 700_000)))).toEqual([
      DELTA,
    ]);
  });
});

/** A channel whose funding is six deep. */
function buried(set: Settings = {}, depthBlocks = 6): { channel: OpenChannel; chain: FakeChain } {
  const channel = hubChannel({}, { approvals: budget(500_000n), ...set });
  const chain = new FakeChain();
  chain.bury(channel, depthBlocks);
  channel.signer.chain = chain;
  return { channel, chain };
}

describe('policy-commitment-htlc-cltv-range', () => {
  const [min, max] = [HEIGHT_BLOCKS + 3, HEIGHT_BLOCKS + 2015];

  it.each([min - 1, max + 1, max + 3, max + 4])(
    'policy-commitment-htlc-cltv-range: trips on a new HTLC of ours that expires at %d',
    (cltvExpiry) => {
      const { channel } = buried();
      const bad = adding(channel.balances, htlc('holder', 20_000, 'out', cltvExpiry));
      const facts = {
        channel: channelIdOf(channel),
        cltv_expiry: cltvExpiry,
        cltv_expiry_min: min,
        cltv_expiry_max: max,
        height: HEIGHT_BLOCKS,
      };
      // The node may have heard of blocks that the view has not come to.
      const isNearly = cltvExpiry > max && cltvExpiry <= max + 3;
      expect(trips(channel, channel.model.signRemote(1, bad), RANGE, facts).temporary).toBe(isNearly);
      channel.validate(bad);
      trips(channel, channel.model.revoke(0), RANGE, facts);
    },
  );

  it('passes what is too far for now when the next blocks have come', () => {
    const { channel, chain } = buried();
    const far = adding(channel.balances, htlc('holder', 20_000, 'out', max + 3));
    for (let blocks = 0; blocks < 3; blocks++, chain.heightBlocks++)
      trips(channel, channel.model.signRemote(1, far), RANGE);
    channel.update(far);
  });

  it('asks no margin of a forward, which nodes make until it expires, but cover that lives longer', () => {
    const incoming = htlc('counterparty', 50_000, 'late', HEIGHT_BLOCKS + 40);
    const chain = new FakeChain();
    const forward = (outgoingExpiry: number) => expiring(forwardOf(incoming, 49_000), outgoingExpiry);
    for (const outgoingExpiry of [HEIGHT_BLOCKS + 1, HEIGHT_BLOCKS + 2])
      new Forwarder({ chain }).receive(incoming).offer(forward(outgoingExpiry));
    const node = new Forwarder({ chain }).receive(incoming);
    trips(node.outgoing, node.offering(forward(HEIGHT_BLOCKS + 35)), DELTA);
    // Its own deadline is over: no margin, but an end all the same.
    trips(node.outgoing, node.offering(forward(HEIGHT_BLOCKS - 2)), RANGE, {
      deadline_height: HEIGHT_BLOCKS,
    });
    // A payment of our own is no forward, whatever else of its hash comes in.
    const own = hubChannel({}, { approvals: budget(500_000n) });
    chain.bury(own, 6);
    own.signer.chain = chain;
    trips(own, own.model.signRemote(1, adding(own.balances, forward(HEIGHT_BLOCKS + 2))), RANGE);
  });

  it('asks no margin of a forward whose incoming HTLC some commitment hides, or all: it is charged as dust', () => {
    const incoming = htlc('counterparty', 800, 'small', HEIGHT_BLOCKS + 40);
    const forward = expiring(forwardOf(incoming, 790), HEIGHT_BLOCKS + 1);
    for (const upstream of [
      { dustLimitsSat: { holder: 354n, counterparty: 900n } },
      { dustLimitsSat: { holder: 900n, counterparty: 354n } },
      { format: 'static_remotekey', isOutbound: false },
    ] as const) {
      const node = new Forwarder({ chain: new FakeChain(), upstream }).receive(incoming).offer(forward);
      expect(flowOf(node.signer, 'dust-outflow')).toBeGreaterThanOrEqual(790_000n);
    }
    const chain = new FakeChain();
    const own = hubChannel();
    chain.bury(own, 6);
    own.signer.chain = chain;
    // Nor of dust without any cover, which may be such a forward; above it an HTLC of ours has to have its time.
    own.update(adding(own.balances, forward));
    const larger = expiring(htlc('holder', 2_000, 'larger'), HEIGHT_BLOCKS + 1);
    trips(own, own.model.signRemote(2, adding(own.balances, larger)), RANGE);
  });

  it('is judged where we sign for it: our own commitment follows, whatever time that takes the peer', () => {
    const { channel, chain } = buried();
    const near = adding(channel.balances, htlc('holder', 20_000, 'out', min));
    channel.ask(channel.model.signRemote(1, near));
    chain.heightBlocks += 2;
    channel.ask(channel.model.validateRevocation(0));
    channel.validate(near);
    channel.ask(channel.model.revoke(0));
  });

  it.each([min, max])(
    'policy-commitment-htlc-cltv-range: passes at the ends of the range, %d, and whatever the peer offers',
    (cltvExpiry) => {
      const { channel } = buried();
      channel.update(
        adding(
          channel.balances,
          htlc('holder', 20_000, 'out', cltvExpiry),
          htlc('counterparty', 20_000, 'soon', HEIGHT_BLOCKS + 1),
          htlc('counterparty', 20_000, 'late', HEIGHT_BLOCKS + 100_000),
        ),
      );
    },
  );

  it('does not judge again what stands already', () => {
    const { channel, chain } = buried();
    const out = htlc('holder', 20_000, 'out', max);
    channel.update(adding(channel.balances, out));
    chain.heightBlocks = max;
    channel.update({ ...channel.balances, feeratePerKw: 1100 });
    channel.update(adding(channel.balances, htlc('counterparty', 20_000, 'in', max)));
    channel.update(removing(channel.balances, out, 'failed'));
  });

  it('is silent without a chain view', () => {
    const { channel } = buried();
    channel.signer.chain = null;
    channel.update(adding(channel.balances, htlc('holder', 20_000, 'out', 1)));
  });

  it('at warn it only warns', () => {
    const { channel } = buried(withRule(RANGE, 'warn'));
    const bad = adding(channel.balances, htlc('holder', 20_000, 'out', max + 1));
    expect(warningsOf(channel, channel.model.signRemote(1, bad))).toEqual([RANGE]);
  });
});

describe('policy-commitment-spends-active-utxo', () => {
  const next = (channel: OpenChannel) => ({ ...channel.balances, feeratePerKw: 1100 });

  it('policy-commitment-spends-active-utxo: trips for now while the funding is not buried, or is spent by a stranger', () => {
    const { channel, chain } = buried({ limits: { fundingDepthBlocks: 2 } });
    channel.validate(next(channel));
    const facts = {
      channel: channelIdOf(channel),
      fundings: outPointToString(channel.model.funding.outpoint),
      funding_depth_blocks: 2,
      height: HEIGHT_BLOCKS,
    };
    for (const shape of [
      () => (channel.signer.chain = new FakeChain()),
      () => chain.bury(channel, 1),
      () => chain.bury(channel, 6, { spent: { depthBlocks: 1, txid: bytesOf('stranger') } }),
    ]) {
      channel.signer.chain = chain;
      shape();
      for (const request of [channel.model.signRemote(1, next(channel)), channel.model.revoke(0)]) {
        expect(trips(channel, request, ACTIVE, facts).temporary).toBe(true);
      }
    }
    // Validating gives nothing away.
    channel.ask(channel.model.validate(1, next(channel)));
  });

  it('policy-commitment-spends-active-utxo: passes at the depth, and for commitment 0 before any', () => {
    const { channel, chain } = buried({ limits: { fundingDepthBlocks: 2 } });
    chain.bury(channel, 2);
    channel.update(next(channel));
    const fresh = hubChannel();
    fresh.signer.chain = new FakeChain();
    fresh.ask(fresh.model.signRemote(0, fresh.balances));
    trips(fresh, fresh.model.signRemote(1, fresh.balances), ACTIVE);
  });

  it('passes when a splice of the channel spends it, and on the splice', () => {
    const { channel, chain } = buried();
    const splice = channel.candidate(channel.model.spliceOf('splice'));
    chain.bury(channel, 6, { spent: { depthBlocks: 1, txid: splice.outpoint.txid } });
    channel.update(next(channel));
    chain.bury(channel, 1, {}, splice);
    channel.update({ ...next(channel), feeratePerKw: 1200 });
  });

  it('passes unburied where the operator marked the channel or its peer zero-conf', () => {
    const { channel } = buried();
    channel.signer.chain = new FakeChain();
    const zeroConf: Override = { limits: {}, severities: new Map(), zeroConf: true, sharedAllowlist: false };
    const outpoint = outPointToString(channel.model.funding.outpoint);
    channel.signer.set = { ...channel.signer.set, channels: new Map([[outpoint, zeroConf]]) };
    channel.update(next(channel));
  });
});

describe('policy-channel-funding-onchain', () => {
  it.each([
    ['a thousandth of its value', { valueSat: sat(1000) }],
    ['a satoshi too much', { valueSat: sat(1_000_001) }],
    ['another script', { script: new Uint8Array(34) }],
  ] as const)(
    'policy-channel-funding-onchain: trips for good when the buried funding has %s (A46)',
    (_, change) => {
      const { channel, chain } = buried();
      chain.bury(channel, 6, change);
      const next = { ...channel.balances, feeratePerKw: 1100 };
      channel.validate(next);
      for (const request of [channel.model.signRemote(1, next), channel.model.revoke(0)]) {
        const refusal = trips(channel, request, ONCHAIN, {
          outpoint: outPointToString(channel.model.funding.outpoint),
          value_sat: 1_000_000n,
          value_onchain_sat: 'valueSat' in change ? change.valueSat : 1_000_000n,
        });
        expect(refusal.temporary).toBe(false);
      }
    },
  );

  it('policy-channel-funding-onchain: passes with its own script and value, at any depth', () => {
    const { channel, chain } = buried();
    chain.bury(channel, 1);
    channel.update({ ...channel.balances, feeratePerKw: 1100 });
  });

  it('trips at commitment 0 too, where burial is not asked for', () => {
    const channel = hubChannel();
    const chain = new FakeChain();
    channel.signer.chain = chain;
    chain.bury(channel, 1, { valueSat: sat(1000) });
    trips(channel, channel.model.signRemote(0, { ...channel.balances, feeratePerKw: 900 }), ONCHAIN);
  });
});

describe('policy-commitment-htlc-received-spends-active-utxo', () => {
  const incoming = htlc('counterparty', 50_000, 'loose', 700_000);
  const outgoing = forwardOf(incoming, 49_000);
  const prepared = (set: Settings = { limits: { paymentDepthBlocks: 3 } }) => {
    const chain = new FakeChain();
    const node = new Forwarder({ chain, set }).receive(incoming);
    return { node, chain };
  };

  it('policy-commitment-htlc-received-spends-active-utxo: trips while what covers the forward is not buried, for good when no block changes that (A37, A47)', () => {
    const { node, chain } = prepared();
    const facts = {
      payment_hash: hashOf(incoming),
      channel: channelIdOf(node.outgoing),
      incoming_channel: channelIdOf(node.incoming),
      uncovered_msat: 49_000_000n,
      height: HEIGHT_BLOCKS,
    };
    const bad = adding(node.outgoing.balances, outgoing);
    node.outgoing.validate(bad);
    for (const [temporary, depthBlocks, change] of [
      [true, 2, {}],
      [false, 3, { valueSat: sat(999_999) }],
      [false, 3, { script: new Uint8Array(34) }],
      [false, 3, { spent: { depthBlocks: 1, txid: bytesOf('stranger') } }],
    ] as const) {
      chain.bury(node.incoming, depthBlocks, change);
      for (const request of [node.offering(outgoing), node.outgoing.model.revoke(0)])
        expect(trips(node.outgoing, request, RECEIVED, facts).temporary).toBe(temporary);
    }
  });

  it('policy-commitment-htlc-received-spends-active-utxo: passes at the depth, and when a splice of it spends it', () => {
    const { node, chain } = prepared();
    chain.bury(node.incoming, 3);
    expect(warningsOf(node.outgoing, node.offering(outgoing))).toEqual([]);
    const splice = node.incoming.candidate(node.incoming.model.spliceOf('splice'));
    node.incoming.ask(node.incoming.model.signSplice(splice));
    chain.bury(node.incoming, 3, { spent: { depthBlocks: 1, txid: splice.outpoint.txid } });
    chain.bury(node.incoming, 1, {}, splice);
    node.offer(outgoing);
  });

  it('policy-commitment-htlc-received-spends-active-utxo: trips when what spends it only has the name of a splice', () => {
    const { node, chain } = prepared();
    const splice = node.incoming.candidate(node.incoming.model.spliceOf('splice'));
    node.incoming.ask(node.incoming.model.signSplice(splice));
    chain.bury(node.incoming, 3, { spent: { depthBlocks: 1, txid: splice.outpoint.txid } });
    trips(node.outgoing, node.offering(outgoing), RECEIVED);
    chain.bury(node.incoming, 1, { script: new Uint8Array(34) }, splice);
    trips(node.outgoing, node.offering(outgoing), RECEIVED);
  });

  it('a zero-conf mark does not change that', () => {
    const { node, chain } = prepared();
    const zeroConf: Override = { limits: {}, severities: new Map(), zeroConf: true, sharedAllowlist: false };
    const outpoint = outPointToString(node.incoming.model.funding.outpoint);
    node.signer.set = { ...node.signer.set, channels: new Map([[outpoint, zeroConf]]) };
    chain.bury(node.incoming, 2);
    trips(node.outgoing, node.offering(outgoing), RECEIVED);
  });

  it('judges only what is newly offered: a reorganisation later stops nothing that shrinks', () => {
    const { node, chain } = prepared();
    node.offer(outgoing);
    chain.bury(node.incoming, 1);
    node.failOutgoing(outgoing);
    node.resolveIncoming(incoming, 'failed');
  });

  it('an approval needs no burial', () => {
    const { node, chain } = prepared({ approvals: budget(100_000n) });
    chain.bury(node.incoming, 0);
    node.offer(htlc('holder', 20_000, 'own', 700_000));
  });

  it('is silent without a chain view', () => {
    const { node } = prepared();
    node.signer.chain = null;
    node.offer(outgoing);
  });
});
