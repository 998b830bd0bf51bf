/**
 * Attacks on laws 2 and 3 as a taken-over node would ask for them, and beside each the honest life it looks like: A06,
 * A16, A23, A24, A27b, A27c, A28, A45, dust forwards, payments over several channels, splices, invoices of our own.
 */
import { outPointToString, sha256 } from '@countersign/bitcoin';
import { malformedRefusal, PAYMENT_CHANNELS_MAX, paymentRecords } from '@countersign/core';
import { decodeMessage, encodeMessage } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { htlc, type ModelHtlc } from './channel-model.ts';
import {
  budget,
  channelIdOf,
  deliver,
  Forwarder,
  flowOf,
  forwardOf,
  hashOf,
  hubChannel,
  paymentOf,
  recordOf,
  trips,
  warningsOf,
} from './forwarder.ts';
import { bolt11Fields, encodeFields } from './invoices.ts';
import { adding, OpenChannel, removing } from './open-channel.ts';

const CONSERVED = 'policy-commitment-balance-conserved';
const MATCHES = 'policy-commitment-htlc-offered-hash-matches';
const BALANCED = 'policy-routing-balanced';
const issuedLedger = (channel: OpenChannel) => recordOf(channel).candidates[0]!.issued.at(-1)!.ledger!;
const holderLedger = (channel: OpenChannel) => recordOf(channel).candidates[0]!.validated[0]!.ledger!;

describe('one number, two contents of ours (A06)', () => {
  it('only the last validated one may become current or be published', () => {
    const channel = hubChannel();
    const { model, balances } = channel;
    const rich = adding(balances, htlc('counterparty', 20_000, 'rich'));
    const poor = adding(balances, htlc('counterparty', 30_000, 'poor'));
    channel.ask(model.validate(1, rich));
    channel.ask(model.validate(1, poor));
    channel.revoke();
    trips(channel, model.signCommitment(1, rich), 'policy-commitment-holder-not-revoked');
    channel.ask(model.signCommitment(1, poor));
  });

  it('a second content that takes from us is refused, and the first stays', () => {
    const channel = hubChannel();
    const { model, balances } = channel;
    channel.validate(balances);
    const theft = { ...balances, holderMsat: 400_000_000n, counterpartyMsat: 600_000_000n };
    trips(channel, model.validate(1, theft), CONSERVED, { number: 1, expected_msat: 700_000_000n });
    channel.revoke();
    channel.ask(model.signCommitment(1, balances));
  });
});

it('a state that drops an incoming HTLC of a forward is not published without a revocation either (A16)', () => {
  const incoming = htlc('counterparty', 50_000, 'a16');
  const node = new Forwarder().receive(incoming).offer(forwardOf(incoming, 49_000));
  const { model, balances, holderNumber } = node.incoming;
  const dropped = removing(balances, incoming, 'failed');
  node.incoming.validate(dropped);
  trips(node.incoming, model.signCommitment(holderNumber + 1, dropped), BALANCED);
  node.incoming.ask(model.signCommitment(holderNumber, balances));
});

it('two equal HTLCs, one of them removed and paid for twice (A23)', () => {
  const channel = hubChannel({}, { approvals: budget(200_000n) });
  const first = htlc('holder', 30_000, 'equal');
  const second = { ...first };
  channel.update(adding(channel.balances, first, second));
  expect(paymentOf(channel.signer, first)!.usedMsat).toBe(60_000_000n);
  deliver(channel.signer, first);
  const one = removing(channel.balances, first, 'settled');
  const both = {
    ...one,
    holderMsat: one.holderMsat - first.amountMsat,
    counterpartyMsat: one.counterpartyMsat + first.amountMsat,
  };
  trips(channel, channel.model.signRemote(2, both), CONSERVED, { given_msat: 610_000_000n });
  channel.update(one);
  channel.update(removing(channel.balances, second, 'failed'));
  expect(issuedLedger(channel).holderMsat).toBe(670_000_000n);
  expect(paymentOf(channel.signer, first)).toMatchObject({ usedMsat: 30_000_000n });
});

it('a satoshi at a time to the peer, and into the fee (A24)', () => {
  const channel = hubChannel({}, { limits: { dustOutflowVelocity: { amountSat: 5n, per: 'day' } } });
  const { balances } = channel;
  const less = (sats: bigint, toPeer: bigint) => ({
    ...balances,
    holderMsat: balances.holderMsat - sats * 1000n,
    counterpartyMsat: balances.counterpartyMsat + toPeer * 1000n,
  });
  for (let i = 1n; i <= 5n; i++) {
    channel.update(less(i, i - 1n));
    channel.update(less(i, i));
    trips(channel, channel.model.signRemote(channel.counterpartyNumber + 1, less(i + 1n, i + 1n)), CONSERVED);
  }
  expect(flowOf(channel.signer, 'dust-outflow')).toBe(5000n);
  const next = channel.model.signRemote(channel.counterpartyNumber + 1, less(6n, 5n));
  trips(channel, next, 'policy-commitment-dust-outflow', { outflow_before_msat: 5000n, outflow_msat: 1000n });
});

it('350 sat an update through HTLCs that nothing mentions: 57 times a day, under the limits there are (A27b)', () => {
  const channel = hubChannel();
  const { balances } = channel;
  const lost = (times: number) => ({
    ...balances,
    holderMsat: balances.holderMsat - BigInt(times) * 350_000n,
    counterpartyMsat: balances.counterpartyMsat + BigInt(Math.max(0, times - 1)) * 350_000n,
  });
  for (let times = 1; times <= 57; times++) channel.update(lost(times));
  trips(channel, channel.model.signRemote(58, lost(58)), 'policy-commitment-dust-outflow', {
    outflow_before_msat: 19_950_000n,
    outflow_max_sat: 20_000n,
  });
  channel.update({
    ...balances,
    holderMsat: balances.holderMsat - 57n * 350_000n,
    counterpartyMsat: balances.counterpartyMsat,
  });
});

describe('an HTLC that only one of the two views shows (A27c)', () => {
  const DUST = { holder: 354n, counterparty: 546n };
  const small = htlc('holder', 450, 'small');
  const paying = () => hubChannel({ dustLimitsSat: DUST }, { approvals: budget(100_000n) });

  it('is charged once, as the payment it is, and settles once', () => {
    const channel = paying();
    const next = adding(channel.balances, small);
    // Core Lightning has the peer's commitment signed first: nothing mentions the HTLC yet.
    channel.signRemote(next);
    expect(flowOf(channel.signer, 'dust-outflow')).toBe(450_000n);
    channel.peerRevokes();
    channel.validate(next);
    channel.revoke();
    channel.balances = next;
    channel.update({ ...next, feeratePerKw: 1100 });
    channel.balances = { ...next, feeratePerKw: 1100 };
    expect(issuedLedger(channel)).toMatchObject({
      driftMsat: 0n,
      trimmed: [{ amountMsat: 450_000n }],
      holderMsat: 699_550_000n,
    });
    expect(flowOf(channel.signer, 'dust-outflow')).toBe(0n);
    expect(paymentOf(channel.signer, small)).toMatchObject({ usedMsat: 450_000n });
    deliver(channel.signer, small);
    const settled = removing(channel.balances, small, 'settled');
    const twice = {
      ...settled,
      holderMsat: settled.holderMsat - 450_000n,
      counterpartyMsat: settled.counterpartyMsat + 450_000n,
    };
    const number = channel.counterpartyNumber + 1;
    trips(channel, channel.model.signRemote(number, twice), CONSERVED);
    channel.update(settled);
    expect(issuedLedger(channel)).toMatchObject({ driftMsat: 0n, trimmed: [], holderMsat: 699_550_000n });
    expect(holderLedger(channel)).toMatchObject({ driftMsat: 0n, holderMsat: 699_550_000n });
    expect(flowOf(channel.signer, 'dust-outflow')).toBe(0n);
  });

  it('and fails like any other, back to the millisatoshi', () => {
    const channel = paying();
    channel.update(adding(channel.balances, small));
    channel.update({ ...channel.balances, feeratePerKw: 1100 });
    channel.update(removing(channel.balances, small, 'failed'));
    expect(issuedLedger(channel)).toMatchObject({ driftMsat: 0n, holderMsat: 700_000_000n });
    expect(flowOf(channel.signer, 'dust-outflow')).toBe(0n);
  });
});

describe('amounts beyond what there is (A28)', () => {
  it('do not decode, and are refused by name', () => {
    const channel = hubChannel();
    const request = channel.model.signRemote(1, adding(channel.balances, htlc('counterparty', 50_000, 'x')));
    const bytes = encodeMessage(request);
    const amount = new DataView(new ArrayBuffer(8));
    amount.setBigUint64(0, 50_000_000n);
    const at = Buffer.from(bytes).indexOf(Buffer.from(amount.buffer));
    for (const value of [2_100_000_000_000_000_001n, 2n ** 63n, 2n ** 64n - 1n]) {
      const changed = bytes.slice();
      new DataView(changed.buffer).setBigUint64(at, value);
      expect(decodeMessage(changed, 'request').ok, `${value}`).toBe(false);
    }
    expect(malformedRefusal(request.name, null, 'amount', {}).tag).toBe('policy-generic-error');
  });

  it('an HTLC worth more than the channel is refused, whatever its outputs are', () => {
    const channel = hubChannel();
    const request = channel.model.signRemote(1, adding(channel.balances, htlc('counterparty', 50_000, 'x')));
    const [first] = request.htlcs;
    for (const amount of [first!.amount + 1000n, 2_100_000_000_000_000_000n])
      expect(channel.refused({ ...request, htlcs: [{ ...first!, amount: amount as never }] }).tag).toMatch(
        /^policy-/,
      );
    // A fraction that the output does not show still counts.
    const fraction = { ...first!, amount: (first!.amount + 999n) as never };
    trips(channel, { ...request, htlcs: [fraction] }, CONSERVED, { missing_msat: 999n });
  });
});

describe('invoices of our own (A45)', () => {
  const paid = htlc('counterparty', 50_000, 'invoice');
  const invoiced = (node: Forwarder, one: ModelHtlc) =>
    node.signer.ask({
      name: 'hsmd_sign_invoice',
      hrp: new TextEncoder().encode('lnbcrt500u'),
      u5bytes: encodeFields(1_700_000_000, bolt11Fields({ hash: sha256(one.preimage) })),
    });

  it('their hashes are no forwards, neither before nor after they are paid', () => {
    const node = new Forwarder();
    invoiced(node, paid);
    expect(node.payment(paid)).toMatchObject({ invoice: { amountMsat: 50_000_000n } });
    node.receive(paid);
    const out = forwardOf(paid, 49_000);
    trips(node.outgoing, node.offering(out), MATCHES, { covered_msat: 0n });
    deliver(node.signer, paid);
    node.resolveIncoming(paid, 'settled');
    trips(node.outgoing, node.offering(out), MATCHES, { covered_msat: 0n });
    for (const rate of [1100, 1200]) node.incoming.update({ ...node.incoming.balances, feeratePerKw: rate });
    expect(node.payment(paid)).toMatchObject({
      parts: [],
      creditedMsat: 50_000_000n,
      incomeMsat: 50_000_000n,
    });
    trips(node.outgoing, node.offering(out), MATCHES, { covered_msat: 0n });
  });

  it('may be failed though the preimage is known', () => {
    const node = new Forwarder();
    invoiced(node, paid);
    node.receive(paid);
    deliver(node.signer, paid);
    node.resolveIncoming(paid, 'failed');
    expect(issuedLedger(node.incoming)).toMatchObject({ driftMsat: 0n, holderMsat: 300_000_000n, fates: [] });
  });

  it('are not signed for a hash that is being forwarded', () => {
    const node = new Forwarder().receive(paid);
    invoiced(new Forwarder().receive(paid), paid);
    node.offer(forwardOf(paid, 49_000));
    const request = {
      name: 'hsmd_sign_invoice',
      hrp: new TextEncoder().encode('lnbcrt500u'),
      u5bytes: encodeFields(1_700_000_000, bolt11Fields({ hash: sha256(paid.preimage) })),
    } as const;
    trips(node.outgoing, request, MATCHES, { payment_hash: hashOf(paid), out_msat: 49_000_000n });
    node.failOutgoing(forwardOfBalances(node));
    node.signer.ask(request);
  });

  it('a rebalance needs an approval, and brings income back', () => {
    const node = new Forwarder({ set: { approvals: budget(100_000n) } });
    invoiced(node, paid);
    const out = { ...forwardOf(paid, 50_000), cltvExpiry: 700_100 };
    node.offer(out).receive(paid);
    deliver(node.signer, paid);
    node.resolveIncoming(paid, 'settled').settleOutgoing(out);
    for (const rate of [1100, 1200]) {
      node.incoming.update({ ...node.incoming.balances, feeratePerKw: rate });
      node.outgoing.update({ ...node.outgoing.balances, feeratePerKw: rate });
    }
    expect(node.payment(paid)).toMatchObject({
      usedMsat: 50_000_000n,
      settledMsat: 50_000_000n,
      creditedMsat: 50_000_000n,
      incomeMsat: 50_000_000n,
    });
    const again = { ...out, cltvExpiry: 700_101 };
    trips(node.outgoing, node.offering(again), 'policy-commitment-payment-invoiced', {
      out_msat: 100_000_000n,
    });
  });
});

/** The one HTLC that stands downstream. */
const forwardOfBalances = (node: Forwarder): ModelHtlc => node.outgoing.balances.htlcs[0]!;

describe('forwards over several channels', () => {
  it('incoming parts on two channels cover one outgoing, and the outgoing parts add up', () => {
    const parts = [htlc('counterparty', 30_000, 'mpp'), htlc('counterparty', 20_000, 'mpp')];
    const node = new Forwarder().receive(parts[0]!);
    const second = new OpenChannel({ peer: 'second upstream', isOutbound: false }, node.signer).open();
    const third = new OpenChannel({ peer: 'second downstream' }, node.signer).open();
    const [out, more] = [forwardOf(parts[0]!, 35_000), forwardOf(parts[0]!, 15_000)];
    trips(node.outgoing, node.offering(out), 'policy-commitment-htlc-routing-balance', {
      covered_msat: 30_000_000n,
    });
    second.update(adding(second.balances, parts[1]!));
    node.offer(out);
    const tooMuch = { ...more, amountMsat: more.amountMsat + 1n };
    trips(
      third,
      third.model.signRemote(1, adding(third.balances, tooMuch)),
      'policy-commitment-htlc-routing-balance',
      {
        out_msat: 50_000_001n,
        covered_msat: 50_000_000n,
      },
    );
    third.update(adding(third.balances, more));
    for (const [channel, part] of [
      [node.incoming, parts[0]!],
      [second, parts[1]!],
    ] as const)
      trips(channel, channel.model.signRemote(2, removing(channel.balances, part, 'failed')), BALANCED);
    expect(
      node.payment(out)!.parts.map(({ channel, outMsat, inMsat }) => [channel, outMsat, inMsat]),
    ).toEqual([
      [channelIdOf(node.incoming), 0n, 30_000_000n],
      [channelIdOf(second), 0n, 20_000_000n],
      [channelIdOf(node.outgoing), 35_000_000n, 0n],
      [channelIdOf(third), 15_000_000n, 0n],
    ]);
    third.update(removing(third.balances, more, 'failed'));
    // What is covered twice may go: 35,000 need both, so neither.
    trips(second, second.model.signRemote(2, removing(second.balances, parts[1]!, 'failed')), BALANCED);
    node.failOutgoing(out);
    second.update(removing(second.balances, parts[1]!, 'failed'));
    node.resolveIncoming(parts[0]!, 'failed');
    expect(node.payment(out)).toBeNull();
  });

  it('one payment runs over as many channels as a record holds', () => {
    const channel = hubChannel({}, { approvals: budget(100_000n) });
    const one = htlc('holder', 20_000, 'many');
    channel.update(adding(channel.balances, one));
    const record = paymentOf(channel.signer, one)!;
    const other = new OpenChannel({ peer: 'one more' }, channel.signer).open();
    const [part] = record.parts;
    const fill = (count: number) => {
      const version = channel.signer.state.read(paymentRecords, hashOf(one))!.version + 1;
      const parts = Array.from({ length: count }, (_, i) => ({
        ...part!,
        channel: `channel ${i}`,
        outMsat: 0n,
        outgoing: [],
      }));
      channel.signer.state.apply([
        { kind: paymentRecords, id: hashOf(one), version, value: { ...record, parts } } as never,
      ]);
    };
    fill(PAYMENT_CHANNELS_MAX);
    const request = other.model.signRemote(1, adding(other.balances, { ...one, amountMsat: 1_000_000n }));
    trips(other, request, 'policy-generic-error', { channels: PAYMENT_CHANNELS_MAX });
    fill(PAYMENT_CHANNELS_MAX - 1);
    expect(warningsOf(other, request)).toEqual([]);
  });
});

describe('forwards of dust', () => {
  it('an outgoing HTLC that may be invisible elsewhere is charged to dust outflow, and given back when it fails', () => {
    const node = new Forwarder({
      set: { limits: { dustOutflowVelocity: { amountSat: 1500n, per: 'day' } } },
    });
    const small = htlc('holder', 900, 'dust forward');
    node.offer(small);
    expect(node.payment(small)).toMatchObject({ dustChargedMsat: 900_000n, usedMsat: 0n });
    expect(flowOf(node.signer, 'dust-outflow')).toBe(900_000n);
    const more = htlc('holder', 700, 'another');
    trips(node.outgoing, node.offering(more), 'policy-commitment-dust-outflow', { outflow_msat: 700_000n });
    trips(node.outgoing, node.offering(htlc('holder', 1000, 'no dust')), MATCHES, { out_msat: 1_000_000n });
    node.failOutgoing(small);
    expect(node.payment(small)).toBeNull();
    expect(flowOf(node.signer, 'dust-outflow')).toBe(0n);
    node.offer(more);
  });

  it('what the incoming one covers after all is given back', () => {
    const node = new Forwarder();
    const incoming = htlc('counterparty', 900, 'late cover');
    node.offer(forwardOf(incoming, 800));
    expect(flowOf(node.signer, 'dust-outflow')).toBe(800_000n);
    node.receive({ ...incoming, amountMsat: 700_000n });
    expect(flowOf(node.signer, 'dust-outflow')).toBe(100_000n);
    expect(node.payment(incoming)).toMatchObject({ dustChargedMsat: 100_000n });
  });
});

describe('splices', () => {
  it('carry the ledgers of both views with fates and trimmed HTLCs, and every funding must agree from there', () => {
    const channel = hubChannel({ format: 'static_remotekey' }, { approvals: budget(100_000n) });
    const small = htlc('holder', 3000, 'trimmed');
    channel.update(adding(channel.balances, small));
    channel.update({ ...channel.balances, feeratePerKw: 10_000 });
    expect(issuedLedger(channel).trimmed).toHaveLength(1);
    const splice = channel.candidate(channel.model.spliceOf('splice'));
    const [, carried] = recordOf(channel).candidates;
    expect(outPointToString(carried!.outpoint)).toBe(outPointToString(splice.outpoint));
    expect(carried!.issued[0]!.ledger).toMatchObject({
      holderMsat: 797_000_000n,
      trimmed: [{ amountMsat: 3_000_000n }],
    });
    channel.ask(channel.model.signSplice(splice));
    const lost = {
      ...removing(channel.balances, small, 'failed'),
      holderMsat: 690_000_000n,
      counterpartyMsat: 310_000_000n,
    };
    trips(channel, channel.model.signRemote(3, lost, splice), CONSERVED);
    channel.update(removing(channel.balances, small, 'failed'));
    expect(recordOf(channel).candidates.map(({ issued }) => issued.at(-1)!.ledger!.holderMsat)).toEqual([
      700_000_000n,
      800_000_000n,
    ]);
    channel.lock(splice);
  });

  it('a payment on two fundings is one payment: the larger of them counts', () => {
    const channel = hubChannel({}, { approvals: budget(20_000n) });
    const splice = channel.candidate(channel.model.spliceOf('two'));
    channel.ask(channel.model.signSplice(splice));
    const out = htlc('holder', 20_000, 'on both');
    channel.update(adding(channel.balances, out));
    expect(paymentOf(channel.signer, out)).toMatchObject({
      usedMsat: 20_000_000n,
      parts: [{ outMsat: 20_000_000n }],
    });
    deliver(channel.signer, out);
    channel.update(removing(channel.balances, out, 'settled'));
    channel.lock(splice);
    for (const rate of [1100, 1200]) channel.update({ ...channel.balances, feeratePerKw: rate });
    expect(paymentOf(channel.signer, out)).toMatchObject({
      usedMsat: 20_000_000n,
      settledMsat: 20_000_000n,
      parts: [],
    });
  });

  it('the first commitment on a funding without a current one to carry is refused', () => {
    const channel = hubChannel();
    const splice = channel.model.spliceOf('early');
    channel.ask(channel.model.setup(splice));
    trips(channel, channel.model.signRemote(1, channel.balances, splice), 'policy-routing-deltas-only-htlc', {
      number: 1,
    });
  });
});
