/**
 * Variants of one number of the peer's: the one asked for last is the one that the next number follows, and what only an
 * earlier one stands in the way of may be asked for again (law 3).
 */
import { msat } from '@countersign/bitcoin';
import { EMPTY_PAYMENT, type PaymentApproval, paymentRecords } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { htlc, type ModelHtlc } from './channel-model.ts';
import { budget, Forwarder, forwardOf, hashOf, hubChannel, recordOf, trips } from './forwarder.ts';
import { adding, OpenChannel, removing } from './open-channel.ts';

const received = htlc('counterparty', 18_000, 'received');

/** Number 2 with the HTLC, then without, then with it again: the peer has the last. */
function again(): OpenChannel {
  const channel = hubChannel({ isOutbound: false });
  channel.update(adding(channel.balances, received));
  const credited = removing(channel.balances, received, 'settled');
  const next = { ...channel.balances, feeratePerKw: 1001 };
  channel.signRemote(next);
  channel.signRemote(credited);
  channel.signRemote(next);
  return channel;
}

describe('a variant that is asked for again', () => {
  it('policy-commitment-balance-conserved: passes as the predecessor of the next number', () => {
    const channel = again();
    const before = recordOf(channel).candidates[0]!.issued;
    expect(before.map(({ number, htlcs }) => [number, htlcs.length])).toEqual([
      [1, 1],
      [2, 0],
      [2, 1],
    ]);
    channel.peerRevokes();
    // It stands as it stood in what the peer has; after the variant without it, it would be taken from us again.
    channel.signRemote({ ...channel.balances, feeratePerKw: 1002 });
  });

  it('policy-commitment-retry-same: trips still on the ninth variant', () => {
    const channel = again();
    for (let i = 2; i <= 7; i++) channel.signRemote({ ...channel.balances, feeratePerKw: 1000 + i });
    const ninth = channel.model.signRemote(2, { ...channel.balances, feeratePerKw: 1010 });
    trips(channel, ninth, 'policy-commitment-retry-same');
  });

  it('changes nothing once a newer number is signed, or when it is the last already', () => {
    const channel = again();
    const { model, balances } = channel;
    channel.signRemote({ ...balances, feeratePerKw: 1001 });
    const record = recordOf(channel);
    channel.peerRevokes();
    channel.counterpartyNumber = 2;
    channel.ask(model.signRemote(3, { ...balances, feeratePerKw: 1002 }));
    channel.ask(model.signRemote(2, removing(balances, received, 'settled')));
    const numbers = recordOf(channel).candidates[0]!.issued.map(({ number, htlcs }) => [
      number,
      htlcs.length,
    ]);
    expect(numbers).toEqual([
      [2, 0],
      [2, 1],
      [3, 1],
    ]);
    expect(record.candidates[0]!.issued).toHaveLength(3);
  });
});

const own = htlc('holder', 20_000, 'own');

/** A second way downstream beside the one of the forwarder. */
const elsewhere = (node: Forwarder) => new OpenChannel({ peer: 'elsewhere' }, node.signer).open();

/** Signed downstream with these HTLCs, lost by the node, and signed again without them: both can reach the chain. */
function lost(node: Forwarder, ...htlcs: readonly ModelHtlc[]): Forwarder {
  const { model, balances } = node.outgoing;
  node.outgoing.ask(node.offering(...htlcs));
  node.outgoing.ask(model.signRemote(1, { ...balances, feeratePerKw: 1100 }));
  return node;
}

/** The peer downstream revokes the number with the lost variant. */
function revokeLost({ outgoing }: Forwarder): void {
  outgoing.peerRevokes();
  outgoing.ask(outgoing.model.signRemote(2, { ...outgoing.balances, feeratePerKw: 1200 }));
  outgoing.peerRevokes();
}

const offeringOn = ({ model, balances }: OpenChannel, one: ModelHtlc) =>
  model.signRemote(1, adding(balances, one));

/** The operator has approved this much of the payment. */
function approve({ signer }: Forwarder, terms: Pick<PaymentApproval, 'amountMsat' | 'feeBudgetMsat'>): void {
  const times = {
    approvedAtSeconds: signer.nowSeconds,
    expiresAtSeconds: signer.nowSeconds + 3600,
    keepUntilSeconds: signer.nowSeconds + 3600,
  };
  const approval: PaymentApproval = { ...terms, ...times, kind: 'invoice', payee: null, source: 'operator' };
  const value = { ...EMPTY_PAYMENT, approval };
  signer.state.apply([{ kind: paymentRecords, id: hashOf(own), version: 1, value }]);
}

describe('a payment that is asked for again elsewhere', () => {
  const incoming = htlc('counterparty', 50_000, 'forwarded');
  const outgoing = forwardOf(incoming, 49_000);
  const ROUTING = 'policy-commitment-htlc-routing-balance';
  const INVOICED = 'policy-commitment-payment-invoiced';

  it('policy-commitment-htlc-routing-balance: trips for now while a lost variant has the forward', () => {
    const node = lost(new Forwarder().receive(incoming), outgoing);
    const channel = elsewhere(node);
    expect(trips(channel, offeringOn(channel, outgoing), ROUTING).temporary).toBe(true);
    revokeLost(node);
    channel.ask(offeringOn(channel, outgoing));
  });

  it('trips for good when the forward is too much without it, or the variant with it is the newest', () => {
    const node = lost(new Forwarder().receive(incoming), outgoing);
    const channel = elsewhere(node);
    const more = { ...outgoing, amountMsat: incoming.amountMsat + 1n };
    expect(trips(channel, offeringOn(channel, more), ROUTING).temporary).toBe(false);
    node.outgoing.ask(node.offering(outgoing));
    expect(trips(channel, offeringOn(channel, outgoing), ROUTING).temporary).toBe(false);
  });

  it('trips for now while a lost variant of the incoming channel has no HTLC to forward', () => {
    const node = new Forwarder();
    const { incoming: upstream } = node;
    const received = adding(upstream.balances, incoming);
    upstream.signRemote({ ...upstream.balances, feeratePerKw: 1100 });
    upstream.update(received);
    expect(trips(node.outgoing, node.offering(outgoing), ROUTING).temporary).toBe(true);
    upstream.update({ ...received, feeratePerKw: 1100 });
    node.offer(outgoing);
  });

  it('policy-commitment-payment-invoiced: trips for now while a lost variant has the payment', () => {
    const node = lost(new Forwarder({ set: { approvals: budget(30_000n) } }), own);
    const channel = elsewhere(node);
    expect(trips(channel, offeringOn(channel, own), INVOICED).temporary).toBe(true);
    const more = { ...own, amountMsat: own.amountMsat + 1n };
    node.signer.set = {};
    expect(trips(channel, offeringOn(channel, more), INVOICED).temporary).toBe(false);
    revokeLost(node);
    channel.ask(offeringOn(channel, own));
  });

  it('policy-payment-fee-budget: trips for now while a lost variant has a part of the payment', () => {
    const node = new Forwarder({ set: { approvals: { ...budget(200_000n), auto: 'all' } } });
    const part = { ...own, amountMsat: 2_000_000n };
    approve(node, { amountMsat: msat(100_000_000n), feeBudgetMsat: msat(1_050_000n) });
    const channel = elsewhere(lost(node, part));
    const FEE = 'policy-payment-fee-budget';
    const fair = { ...own, amountMsat: 101_050_000n };
    expect(trips(channel, offeringOn(channel, fair), FEE).temporary).toBe(true);
    const dear = { ...own, amountMsat: 101_050_001n };
    expect(trips(channel, offeringOn(channel, dear), FEE).temporary).toBe(false);
    revokeLost(node);
    channel.ask(offeringOn(channel, fair));
  });

  it('policy-commitment-payment-approved: trips for good when the approval has expired meanwhile', () => {
    const node = lost(new Forwarder({ set: { approvals: budget(30_000n) } }), own);
    const channel = elsewhere(node);
    node.signer.nowSeconds += 86_400;
    node.signer.set = {};
    const TAG = 'policy-commitment-payment-approved';
    // Of an expired approval only what is under way stays covered, and the lost variant is all that is.
    expect(trips(channel, offeringOn(channel, own), TAG).temporary).toBe(false);
    revokeLost(node);
    expect(trips(channel, offeringOn(channel, own), TAG).temporary).toBe(false);
  });
});
