/**
 * Law 3, rule by rule: what goes out of a payment is covered by what came in for good, or by an approval; what came in is
 * let go only when nothing goes out any more. With the attacks A30–A39, A42 and A45.
 */
import { toHex } from '@countersign/bitcoin';
import { type Limits, pendingRecords } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { htlc, type ModelHtlc } from './channel-model.ts';
import {
  budget,
  channelIdOf,
  deliver,
  FakeChain,
  Forwarder,
  type ForwarderOptions,
  flowOf,
  forwardOf,
  HEIGHT_BLOCKS,
  hashOf,
  hubChannel,
  type Settings,
  trips,
  UNAPPROVED,
  warningsOf,
} from './forwarder.ts';
import { adding, KINDS, OpenChannel, removing } from './open-channel.ts';
import { bytesOf, secp } from './test-signer.ts';

const HASH_MATCHES = 'policy-commitment-htlc-offered-hash-matches';
const BALANCE = 'policy-commitment-htlc-routing-balance';
const BALANCED = 'policy-routing-balanced';
const INVOICED = 'policy-commitment-payment-invoiced';

const incoming = htlc('counterparty', 50_000, 'forwarded');
const outgoing = forwardOf(incoming, 49_000);
const bigger = (one: ModelHtlc, msat = 1n): ModelHtlc => ({ ...one, amountMsat: one.amountMsat + msat });
const withSeverity = (tag: string, severity: 'error' | 'warn'): Settings => ({
  severities: new Map([[tag, severity]]),
});

/** The incoming one is committed and the outgoing one offered. */
const forwarding = (options: ForwarderOptions = {}) =>
  new Forwarder(options).receive(incoming).offer(outgoing);

describe('policy-commitment-htlc-offered-hash-matches', () => {
  it.each(KINDS)(
    'policy-commitment-htlc-offered-hash-matches: trips with neither incoming nor approval, %s (A30)',
    (_, options) => {
      const channel = hubChannel(options);
      const bad = adding(channel.balances, outgoing);
      const facts = {
        payment_hash: hashOf(outgoing),
        channel: channelIdOf(channel),
        out_msat: 49_000_000n,
        covered_msat: 0n,
        approved_msat: 0n,
        fee_budget_msat: 0n,
      };
      trips(channel, channel.model.signRemote(1, bad), HASH_MATCHES, facts);
      channel.validate(bad);
      trips(channel, channel.model.revoke(0), HASH_MATCHES, facts);
      trips(channel, channel.model.signCommitment(1, bad), HASH_MATCHES, facts);
      channel.ask(channel.model.signCommitment(0, channel.balances));
    },
  );

  it('policy-commitment-htlc-offered-hash-matches: passes with the incoming one, and keeps nothing of it in the end', () => {
    const { signer, ...node } = forwarding();
    expect(signer.policy.approvals.auto).toBe('none');
    expect(node.outgoing.balances.htlcs).toEqual([outgoing]);
  });

  it('lists it as pending, for the operator to approve', () => {
    const channel = hubChannel();
    const request = channel.model.signRemote(1, adding(channel.balances, outgoing));
    const decision = channel.signer.decide(request, channel.signer.clientFor(request, channel.model.ref));
    if (decision.kind !== 'refused') return expect.fail('approved');
    expect(decision.changes).toMatchObject([
      {
        kind: pendingRecords,
        value: [{ id: hashOf(outgoing), kind: 'payment', amountMsat: 49_000_000n, timesAsked: 1 }],
      },
    ]);
  });

  it('trips when the hash differs by one bit (A39)', () => {
    const node = new Forwarder().receive(incoming);
    const preimage = outgoing.preimage.with(31, outgoing.preimage[31]! ^ 1);
    trips(node.outgoing, node.offering({ ...outgoing, preimage }), HASH_MATCHES, { covered_msat: 0n });
    node.offer(outgoing);
  });

  it('trips when income is sent out again under its hash (A45)', () => {
    const node = new Forwarder().receive(incoming);
    deliver(node.signer, incoming);
    node.resolveIncoming(incoming, 'settled');
    expect(node.payment(incoming)).toMatchObject({ incomeMsat: 50_000_000n, invoice: null });
    trips(node.outgoing, node.offering(outgoing), BALANCE, { covered_msat: 0n, out_msat: 49_000_000n });
    // Both channels go on, and then nothing of it is left but that it was income.
    node.incoming.update({ ...node.incoming.balances, feeratePerKw: 1100 });
    node.incoming.update({ ...node.incoming.balances, feeratePerKw: 1200 });
    const refusal = trips(node.outgoing, node.offering(outgoing), HASH_MATCHES, { covered_msat: 0n });
    expect(refusal.temporary).toBe(false);
  });
});

describe('policy-commitment-htlc-routing-balance', () => {
  it.each(KINDS)(
    'policy-commitment-htlc-routing-balance: trips when more goes out than comes in, %s (A31)',
    (_, options) => {
      const node = new Forwarder({ upstream: { ...options, isOutbound: false }, downstream: options });
      const tiny = { ...incoming, amountMsat: 2_000_000n };
      node.receive(tiny);
      trips(node.outgoing, node.offering(outgoing), BALANCE, {
        out_msat: 49_000_000n,
        covered_msat: 2_000_000n,
      });
      const equal = { ...outgoing, amountMsat: 2_000_000n };
      trips(node.outgoing, node.offering(bigger(equal)), BALANCE, { out_msat: 2_000_001n });
      node.offer(equal);
    },
  );

  it('policy-commitment-htlc-routing-balance: passes up to all that comes in, over several HTLCs and once', () => {
    const node = new Forwarder();
    const parts = [incoming, { ...incoming, amountMsat: 30_000_000n }];
    node.receive(...parts);
    const all = { ...outgoing, amountMsat: 80_000_000n };
    trips(node.outgoing, node.offering(bigger(all)), BALANCE, { covered_msat: 80_000_000n });
    node.offer(all);
    trips(node.outgoing, node.offering({ ...outgoing, amountMsat: 2_000_000n }), BALANCE, {
      out_msat: 82_000_000n,
    });
  });

  it.each(['validated', 'signed for the peer', 'both, and its predecessor stands'] as const)(
    'trips while the incoming one is %s only (A36)',
    (where) => {
      const node = new Forwarder();
      const next = adding(node.incoming.balances, incoming);
      if (where !== 'validated') node.incoming.signRemote(next);
      if (where !== 'signed for the peer') node.incoming.validate(next);
      if (where === 'validated') node.incoming.revoke();
      trips(node.outgoing, node.offering(outgoing), BALANCE, { covered_msat: 0n, out_msat: 49_000_000n });
    },
  );

  it('passes as soon as both predecessors are revoked', () => {
    const node = new Forwarder();
    const next = adding(node.incoming.balances, incoming);
    node.incoming.validate(next);
    node.incoming.revoke();
    node.incoming.signRemote(next);
    trips(node.outgoing, node.offering(outgoing), BALANCE);
    node.incoming.peerRevokes();
    node.offer(outgoing);
  });

  it('a received HTLC beyond the in-flight limit covers nothing', () => {
    const node = new Forwarder({ set: { limits: { htlcInflightMaxSat: 60_000n } } });
    node.receive(htlc('counterparty', 20_000, 'other'), incoming);
    expect(node.incoming.balances.htlcs.length).toBe(2);
    trips(node.outgoing, node.offering(outgoing), BALANCE, { covered_msat: 0n });
  });

  it('two variants of one number count by the worse of both (A07)', () => {
    const node = new Forwarder();
    const half = { ...outgoing, amountMsat: 25_000_000n };
    const other = { ...half, amountMsat: 25_000_000n, cltvExpiry: half.cltvExpiry - 1 };
    node.receive(incoming);
    const { model, balances } = node.outgoing;
    node.outgoing.ask(model.signRemote(1, adding(balances, half)));
    node.outgoing.ask(model.signRemote(1, adding(balances, other)));
    const both = adding(balances, half, other);
    node.outgoing.ask(model.signRemote(1, both));
    trips(node.outgoing, model.signRemote(1, adding(both, { ...half, amountMsat: 1_000_000n })), BALANCE, {
      out_msat: 51_000_000n,
      covered_msat: 50_000_000n,
    });
    expect(node.payment(incoming)!.parts[1]).toMatchObject({ outMsat: 50_000_000n, inMsat: 0n });
  });
});

describe('policy-routing-balanced', () => {
  it.each(KINDS)(
    'policy-routing-balanced: trips when the incoming one goes back while the outgoing one stands, %s (A34)',
    (_, options) => {
      const prepared = () => forwarding({ upstream: { ...options, isOutbound: false }, downstream: options });
      const facts = { out_msat: 49_000_000n, covered_msat: 0n, payment_hash: hashOf(incoming) };
      const node = prepared();
      const refusal = trips(node.incoming, node.resolvingIncoming(incoming, 'failed'), BALANCED, facts);
      expect(refusal.temporary).toBe(false);
      const failed = removing(node.incoming.balances, incoming, 'failed');
      node.incoming.validate(failed);
      trips(node.incoming, node.incoming.model.revoke(1), BALANCED, facts);
      trips(node.incoming, node.incoming.model.signCommitment(2, failed), BALANCED, facts);
      node.incoming.ask(node.incoming.model.signCommitment(1, node.incoming.balances));
    },
  );

  it('policy-routing-balanced: passes when the outgoing one has failed everywhere, step by step', () => {
    const node = forwarding();
    const back = removing(node.outgoing.balances, outgoing, 'failed');
    const request = node.resolvingIncoming(incoming, 'failed');
    const { outgoing: downstream } = node;
    for (const step of [
      () => downstream.signRemote(back),
      () => downstream.peerRevokes(),
      () => downstream.validate(back),
    ]) {
      trips(node.incoming, request, BALANCED);
      step();
    }
    trips(node.incoming, request, BALANCED);
    downstream.revoke();
    node.resolveIncoming(incoming, 'failed');
    expect(node.payment(incoming)).toBeNull();
  });

  it('passes with credit while the outgoing one still stands, as real nodes fulfil (13 of 26 recorded forwards)', () => {
    const node = forwarding();
    deliver(node.signer, incoming);
    node.resolveIncoming(incoming, 'settled');
    expect(node.payment(incoming)).toMatchObject({ incomeMsat: 1_000_000n, settledMsat: 0n, usedMsat: 0n });
    node.settleOutgoing(outgoing);
    node.outgoing.update({ ...node.outgoing.balances, feeratePerKw: 1100 });
    node.incoming.update({ ...node.incoming.balances, feeratePerKw: 1100 });
    expect(node.payment(incoming)).toBeNull();
  });

  it('trips when the incoming one fails after the outgoing one was settled (A35)', () => {
    const node = forwarding();
    deliver(node.signer, incoming);
    node.settleOutgoing(outgoing);
    trips(node.incoming, node.resolvingIncoming(incoming, 'failed'), BALANCED, {
      out_msat: 49_000_000n,
      covered_msat: 0n,
    });
    node.outgoing.update({ ...node.outgoing.balances, feeratePerKw: 1100 });
    node.outgoing.update({ ...node.outgoing.balances, feeratePerKw: 1200 });
    expect(node.payment(incoming)).toMatchObject({
      settledMsat: 49_000_000n,
      parts: [{ outMsat: 0n, inMsat: 50_000_000n }],
    });
    trips(node.incoming, node.resolvingIncoming(incoming, 'failed'), BALANCED, { out_msat: 49_000_000n });
    node.resolveIncoming(incoming, 'settled');
  });

  it('is temporary while only a variant that nobody acknowledged stands in the way', () => {
    const node = new Forwarder().receive(incoming);
    const { model, balances } = node.outgoing;
    node.outgoing.ask(node.offering(outgoing));
    node.outgoing.ask(model.signRemote(1, { ...balances, feeratePerKw: 1100 }));
    const refusal = trips(node.incoming, node.resolvingIncoming(incoming, 'failed'), BALANCED);
    expect(refusal.temporary).toBe(true);
    node.outgoing.peerRevokes();
    expect(trips(node.incoming, node.resolvingIncoming(incoming, 'failed'), BALANCED).temporary).toBe(true);
    node.outgoing.ask(model.signRemote(2, { ...balances, feeratePerKw: 1100 }));
    node.outgoing.peerRevokes();
    node.resolveIncoming(incoming, 'failed');
  });

  it('passes a fee rate that trims the incoming one; it goes back from there as dust outflow only (static_remotekey)', () => {
    const small = htlc('counterparty', 3000, 'small');
    const out = forwardOf(small, 2900);
    const limits = { dustOutflowVelocity: { amountSat: 2899n, per: 'day' } } as const;
    const upstream = { format: 'static_remotekey' } as const;
    const node = new Forwarder({ upstream, set: { limits } }).receive(small).offer(out);
    node.incoming.update({ ...node.incoming.balances, feeratePerKw: 10_000 });
    expect(node.payment(small)!.parts[0]).toMatchObject({ inMsat: 3_000_000n, standingMsat: 3_000_000n });
    trips(node.incoming, node.resolvingIncoming(small, 'failed'), 'policy-commitment-dust-outflow');
    deliver(node.signer, small);
    node.resolveIncoming(small, 'settled');
    node.settleOutgoing(out);
    expect(flowOf(node.signer, 'dust-outflow')).toBe(0n);
  });

  it('trips only on what increases the deficit: several incoming parts shrink to what is needed', () => {
    const node = new Forwarder();
    const spare = { ...incoming, amountMsat: 10_000_000n };
    node.receive(incoming, spare).offer(outgoing);
    node.resolveIncoming(spare, 'failed');
    trips(node.incoming, node.resolvingIncoming(incoming, 'failed'), BALANCED);
  });
});

describe('policy-no-routing', () => {
  it.each(['wallet', 'merchant'] as const)(
    'policy-no-routing: trips on a forward under preset %s',
    (preset) => {
      const node = new Forwarder(
        preset === 'merchant' ? { set: withSeverity('policy-merchant-no-sends', 'warn') } : {},
      );
      node.signer.preset = preset;
      node.receive(incoming);
      trips(node.outgoing, node.offering(outgoing), 'policy-no-routing', { out_msat: 49_000_000n });
    },
  );

  it('policy-no-routing: passes payments of our own under preset wallet, and forwards under hub', () => {
    const node = new Forwarder({ set: { approvals: budget(100_000n) } });
    node.signer.preset = 'wallet';
    node.offer(htlc('holder', 20_000, 'own'));
    const hub = new Forwarder().receive(incoming);
    expect(warningsOf(hub.outgoing, hub.offering(outgoing))).toEqual([]);
    hub.signer.preset = 'wallet';
    hub.signer.set = { ...hub.signer.set, ...withSeverity('policy-no-routing', 'warn') };
    expect(warningsOf(hub.outgoing, hub.offering(outgoing))).toEqual(['policy-no-routing']);
  });
});

describe('policy-routing-fee-min', () => {
  const set: Settings = { limits: { routingFeeMinMsat: 1_000_000n } };

  it('policy-routing-fee-min: trips when the forward earns less than it must', () => {
    const node = new Forwarder({ set }).receive(incoming);
    trips(node.outgoing, node.offering(bigger(outgoing)), 'policy-routing-fee-min', {
      fee_msat: 999_999n,
      routing_fee_min_msat: 1_000_000n,
    });
  });

  it('policy-routing-fee-min: passes at exactly the minimum, and any fee by default', () => {
    new Forwarder({ set }).receive(incoming).offer(outgoing);
    new Forwarder().receive(incoming).offer(bigger(outgoing, 1_000_000n));
  });

  it('asks nothing of payments of our own', () => {
    new Forwarder({ set: { ...set, approvals: budget(100_000n) } }).offer(htlc('holder', 20_000, 'own'));
  });
});

describe('policy-routing-abandon-unresolved', () => {
  const TAG = 'policy-routing-abandon-unresolved';
  const prepared = (limits: Partial<Limits> = {}) => {
    const chain = new FakeChain();
    const node = forwarding({ chain, set: { limits } });
    chain.heightBlocks = outgoing.cltvExpiry;
    return { node, chain };
  };
  const allowed: Partial<Limits> = { abandonUnresolvedMaxSat: 49_000n };

  it('policy-routing-abandon-unresolved: trips when the outgoing one is expired, unresolved and worth too much', () => {
    for (const [limits, max] of [
      [{}, 0n],
      [{ abandonUnresolvedMaxSat: 48_999n }, 48_999n],
    ] as const) {
      const { node } = prepared(limits);
      trips(node.incoming, node.resolvingIncoming(incoming, 'failed'), TAG, {
        payment_hash: hashOf(incoming),
        out_msat: 49_000_000n,
        uncovered_msat: 49_000_000n,
        abandon_unresolved_max_sat: max,
        fees_msat: 0n,
      });
      expect(flowOf(node.signer, 'fee')).toBe(0n);
    }
  });

  it('policy-routing-abandon-unresolved: passes up to the amount, and counts as a fee once', () => {
    const { node } = prepared(allowed);
    node.resolveIncoming(incoming, 'failed');
    expect(flowOf(node.signer, 'fee')).toBe(49_000_000n);
    // Nothing more goes out under the hash, and the outgoing one may still fail.
    trips(
      node.outgoing,
      node.offering({ ...outgoing, amountMsat: 2_000_000n, cltvExpiry: 701_000 }),
      HASH_MATCHES,
    );
    node.failOutgoing(outgoing);
    expect(node.payment(incoming)).toBeNull();
    expect(flowOf(node.signer, 'fee')).toBe(49_000_000n);
  });

  it('trips one block before the expiry, and without a chain view, as if there were no such rule', () => {
    const { node, chain } = prepared(allowed);
    chain.heightBlocks = outgoing.cltvExpiry - 1;
    trips(node.incoming, node.resolvingIncoming(incoming, 'failed'), BALANCED);
    node.signer.chain = null;
    trips(node.incoming, node.resolvingIncoming(incoming, 'failed'), BALANCED);
  });

  it('trips when the fees of the window are used up', () => {
    const { node } = prepared({ ...allowed, feeVelocity: { amountSat: 48_999n, per: 'day' } });
    trips(node.incoming, node.resolvingIncoming(incoming, 'failed'), TAG, { fees_max_sat: 48_999n });
    const exact = prepared({ ...allowed, feeVelocity: { amountSat: 49_000n, per: 'day' } });
    exact.node.resolveIncoming(incoming, 'failed');
  });

  it('is no way to keep what was settled from the peer upstream', () => {
    const { node } = prepared(allowed);
    deliver(node.signer, outgoing);
    node.settleOutgoing(outgoing);
    trips(node.incoming, node.resolvingIncoming(incoming, 'failed'), BALANCED);
  });

  it('binds all parts of a payment together', () => {
    const chain = new FakeChain();
    const first = { ...incoming, amountMsat: 30_000_000n };
    const second = { ...incoming, amountMsat: 20_000_000n };
    const node = new Forwarder({ chain, set: { limits: { abandonUnresolvedMaxSat: 30_000n } } });
    node.receive(first, second).offer(outgoing);
    chain.heightBlocks = outgoing.cltvExpiry;
    node.resolveIncoming(first, 'failed');
    expect(flowOf(node.signer, 'fee')).toBe(29_000_000n);
    trips(node.incoming, node.resolvingIncoming(second, 'failed'), TAG, { uncovered_msat: 49_000_000n });
  });

  it('at warn it passes with a warning, and still counts', () => {
    const { node } = prepared();
    node.signer.set = { ...node.signer.set, ...withSeverity(TAG, 'warn') };
    expect(warningsOf(node.incoming, node.resolvingIncoming(incoming, 'failed'))).toEqual([TAG]);
    node.resolveIncoming(incoming, 'failed');
    expect(flowOf(node.signer, 'fee')).toBe(49_000_000n);
  });
});

describe('payments of our own, at the commitment', () => {
  const own = htlc('holder', 20_000, 'own');
  const ownAt = (amountMsat: bigint): ModelHtlc => ({ ...own, amountMsat });
  const keysend = (channel: OpenChannel, amountSat: number) =>
    channel.ask({
      name: 'hsmd_preapprove_keysend',
      destination: secp.publicKey(bytesOf('payee')),
      paymentHash: Uint8Array.from(Buffer.from(hashOf(own), 'hex')),
      amountMsat: htlc('holder', amountSat, '').amountMsat as never,
    });
  /** 20,000 sat approved: fee budget 50 sat + 1 %, at most 5 %. */
  const approved = (limits: Partial<Limits> = {}) => {
    const channel = hubChannel({}, { approvals: budget(100_000n), limits });
    keysend(channel, 20_000);
    return channel;
  };
  const offering = (channel: OpenChannel, ...htlcs: ModelHtlc[]) =>
    channel.model.signRemote(channel.counterpartyNumber + 1, adding(channel.balances, ...htlcs));

  it('policy-payment-fee-budget: trips above the budget, at the commitment', () => {
    const channel = approved();
    trips(channel, offering(channel, ownAt(20_250_001n)), 'policy-payment-fee-budget', {
      amount_msat: 20_000_000n,
      out_msat: 20_250_001n,
      fee_budget_msat: 250_000n,
    });
  });

  it('policy-payment-fee-budget: passes at the budget; at warn up to the hard maximum', () => {
    const channel = approved();
    expect(warningsOf(channel, offering(channel, ownAt(20_250_000n)))).toEqual([]);
    channel.signer.set = { ...channel.signer.set, ...withSeverity('policy-payment-fee-budget', 'warn') };
    const request = offering(channel, ownAt(21_000_000n));
    expect(warningsOf(channel, request)).toEqual(['policy-payment-fee-budget']);
    trips(channel, offering(channel, ownAt(21_000_001n)), INVOICED, { fee_max_msat: 1_000_000n });
    channel.update(adding(channel.balances, ownAt(21_000_000n)));
  });

  it('policy-commitment-payment-invoiced: trips when the HTLC is for more than was approved (A42)', () => {
    const channel = approved();
    const bad = adding(channel.balances, ownAt(40_000_000n));
    const facts = { amount_msat: 20_000_000n, out_msat: 40_000_000n, fee_max_msat: 1_000_000n };
    trips(channel, channel.model.signRemote(1, bad), INVOICED, facts);
    channel.validate(bad);
    trips(channel, channel.model.revoke(0), INVOICED, facts);
    trips(channel, channel.model.signCommitment(1, bad), INVOICED, facts);
  });

  it('policy-commitment-payment-invoiced: passes once, retried after a failure, and never again once settled (A32)', () => {
    const channel = approved();
    channel.update(adding(channel.balances, own));
    channel.update(removing(channel.balances, own, 'failed'));
    channel.update(adding(channel.balances, own));
    deliver(channel.signer, own);
    channel.update(removing(channel.balances, own, 'settled'));
    const again = { ...own, cltvExpiry: own.cltvExpiry + 1 };
    for (let i = 0; i < 3; i++) {
      trips(channel, offering(channel, again), INVOICED, { out_msat: 40_000_000n });
      channel.update({ ...channel.balances, feeratePerKw: 1100 + i });
    }
  });

  it('trips when the parts on several channels come to more than amount and budget (A33)', () => {
    const channel = approved();
    const other = new OpenChannel({ peer: 'other' }, channel.signer).open();
    channel.update(adding(channel.balances, ownAt(12_000_000n)));
    trips(other, offering(other, ownAt(9_001_000n)), INVOICED, { out_msat: 21_001_000n });
    trips(other, offering(other, ownAt(8_250_001n)), 'policy-payment-fee-budget', { out_msat: 20_250_001n });
    other.update(adding(other.balances, ownAt(8_250_000n)));
    trips(channel, offering(channel, ownAt(1_600_000n)), INVOICED, { out_msat: 21_850_000n });
  });

  it('policy-commitment-payment-approved: trips on what was asked for and not approved', () => {
    const channel = hubChannel();
    const request = {
      name: 'hsmd_preapprove_keysend',
      destination: secp.publicKey(bytesOf('payee')),
      paymentHash: Uint8Array.from(Buffer.from(hashOf(own), 'hex')),
      amountMsat: own.amountMsat as never,
    } as const;
    const asked = channel.signer.decide(request, channel.signer.clientFor(request, null));
    if (asked.kind !== 'refused') return expect.fail('approved');
    expect(asked.refusal.tag).toBe('policy-commitment-payment-approved');
    channel.signer.state.apply(asked.changes);
    trips(channel, offering(channel, own), 'policy-commitment-payment-approved', { out_msat: 20_000_000n });
  });

  it('policy-commitment-payment-approved: passes unasked within the automatic budget, and charges it once', () => {
    const channel = hubChannel({}, { approvals: budget(20_000n) });
    trips(channel, offering(channel, ownAt(20_000_001n)), HASH_MATCHES, { out_msat: 20_000_001n });
    channel.update(adding(channel.balances, own));
    expect(flowOf(channel.signer, 'payment-auto')).toBe(20_000_000n);
  });

  it('policy-merchant-no-sends: trips on any HTLC of ours under preset merchant', () => {
    const channel = approved();
    channel.signer.preset = 'merchant';
    trips(channel, offering(channel, own), 'policy-merchant-no-sends');
  });

  it('policy-merchant-no-sends: passes what the peer offers', () => {
    const channel = approved();
    channel.signer.preset = 'merchant';
    channel.update(adding(channel.balances, htlc('counterparty', 20_000, 'sale')));
  });

  it('a payment that runs over too many channels is malformed', () => {
    expect(UNAPPROVED.auto).toBe('none');
  });
});

it('an incoming HTLC far in the future is accepted and covers nothing more than it says', () => {
  const node = new Forwarder({ chain: new FakeChain() });
  const late = { ...incoming, cltvExpiry: HEIGHT_BLOCKS + 10_000 };
  node.receive(late);
  expect(toHex(late.preimage)).toBe(toHex(incoming.preimage));
});
