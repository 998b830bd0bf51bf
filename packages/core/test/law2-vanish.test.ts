/**
 * An offered HTLC that a fee rate hid and that vanishes unpaid, as an attacker would have it: what it takes with it is dust
 * outflow, once for both views, and nothing that is returned and taken again allows more.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HtlcRecord } from '../src/channel/record.ts';
import { hashHex, sumMsat } from '../src/ledger/htlc-set.ts';
import { htlc, type ModelHtlc } from './channel-model.ts';
import { deliver, Forwarder, flowOf, forwardOf, recordOf, trips } from './forwarder.ts';
import { type Before, explained, knowing, observableOf, record, type State } from './ledger-model.ts';
import { adding, OpenChannel, removing } from './open-channel.ts';

const HOUR_SECONDS = 3600;
const OUTFLOW = 'policy-commitment-dust-outflow';
const incoming = htlc('counterparty', 3000, 'forwarded');
const outgoing = forwardOf(incoming, 2900);

const outflow = ({ signer }: Forwarder): bigint => flowOf(signer, 'dust-outflow');

/** Forwarded, visible at first in every commitment, then hidden by the fee rate of the outgoing channel. */
function hidden(node: Forwarder, received: ModelHtlc = incoming, offered: ModelHtlc = outgoing): Forwarder {
  node.receive(received).offer(offered);
  return atRate(node, 10_000);
}

function atRate(node: Forwarder, feeratePerKw: number): Forwarder {
  node.outgoing.update({ ...node.outgoing.balances, feeratePerKw });
  return node;
}

const forwarder = (outflowMaxSat = 20_000n) =>
  new Forwarder({
    downstream: { format: 'static_remotekey' },
    set: { limits: { dustOutflowVelocity: { amountSat: outflowMaxSat, per: 'day' } } },
  });

describe('an offered HTLC that a fee rate hid', () => {
  it('is dust outflow when it vanishes unpaid: once, whichever view says so, and not before', () => {
    const node = hidden(forwarder());
    expect(outflow(node)).toBe(0n);
    expect(node.payment(outgoing)).toMatchObject({ parts: [{}, { outMsat: 2_900_000n }] });
    const { outgoing: channel } = node;
    const taken = removing(channel.balances, outgoing, 'settled');
    channel.signRemote(taken);
    expect(outflow(node)).toBe(2_900_000n);
    channel.peerRevokes();
    channel.validate(taken);
    channel.revoke();
    expect(outflow(node)).toBe(2_900_000n);
    channel.balances = taken;
    atRate(node, 1000);
    atRate(node, 10_000);
    expect(outflow(node)).toBe(2_900_000n);
    // Nothing goes out of the payment any more, so what came in may go back: that costs nothing.
    node.resolveIncoming(incoming, 'failed');
    expect(outflow(node)).toBe(2_900_000n);
    expect(node.payment(incoming)).toBeNull();
  });

  it('costs nothing when it was paid for: by its preimage, or by coming back', () => {
    const node = hidden(forwarder());
    deliver(node.signer, outgoing);
    node.settleOutgoing(outgoing);
    expect(outflow(node)).toBe(0n);
    // What was settled must be credited: that it was hidden changes nothing.
    trips(node.incoming, node.resolvingIncoming(incoming, 'failed'), 'policy-routing-balanced');
    const back = hidden(forwarder()).failOutgoing(outgoing);
    expect(outflow(back)).toBe(0n);
    back.resolveIncoming(incoming, 'failed');
  });

  it('policy-commitment-dust-outflow: trips when more would vanish than the budget has left', () => {
    const node = hidden(forwarder(2899n));
    const { outgoing: channel } = node;
    const vanishing = channel.model.signRemote(
      channel.counterpartyNumber + 1,
      removing(channel.balances, outgoing, 'settled'),
    );
    const facts = { outflow_msat: 2_900_000n, outflow_max_sat: 2899n };
    expect(trips(channel, vanishing, OUTFLOW, facts).temporary).toBe(false);
    // With the preimage it is no outflow.
    deliver(node.signer, outgoing);
    channel.ask(vanishing);
    expect(outflow(node)).toBe(0n);
  });

  it('policy-commitment-dust-outflow: passes what vanishes up to the budget, to the millisatoshi', () => {
    const node = hidden(forwarder(2900n));
    node.settleOutgoing(outgoing);
    expect(outflow(node)).toBe(2_900_000n);
  });

  it('trips on what is taken, returned and taken again as on what is taken once: nothing is saved up', () => {
    const node = hidden(forwarder(4000n)).settleOutgoing(outgoing);
    const pays = (msat: bigint) => {
      const { balances } = node.outgoing;
      const holderMsat = balances.holderMsat + msat;
      node.outgoing.update({ ...balances, holderMsat, counterpartyMsat: balances.counterpartyMsat - msat });
    };
    node.signer.nowSeconds += 23 * HOUR_SECONDS;
    pays(outgoing.amountMsat);
    expect(outflow(node)).toBe(0n);
    // The hour in which it vanished is over; a refund of later would still count.
    node.signer.nowSeconds += 2 * HOUR_SECONDS;
    for (const label of ['second', 'third']) {
      const received = { ...htlc('counterparty', 3000, label), cltvExpiry: incoming.cltvExpiry };
      const offered = forwardOf(received, 2900);
      atRate(node, 1000);
      hidden(node, received, offered);
      const { outgoing: channel } = node;
      const taken = removing(channel.balances, offered, 'settled');
      const vanishing = channel.model.signRemote(channel.counterpartyNumber + 1, taken);
      const facts = { outflow_before_msat: 2_900_000n };
      // Of the day's budget there is not enough left, and tomorrow there will be.
      if (label === 'third') expect(trips(channel, vanishing, OUTFLOW, facts).temporary).toBe(true);
      else channel.update(taken);
    }
    expect(outflow(node)).toBe(2_900_000n);
  });

  it('is a refund only where every commitment that can reach the chain has it back', () => {
    const node = hidden(forwarder());
    const { outgoing: channel } = node;
    const standing = channel.balances;
    channel.signRemote(removing(standing, outgoing, 'settled'));
    // Another variant in which it stands: the peer may keep either.
    channel.signRemote({ ...standing, feeratePerKw: 10_100 });
    expect(outflow(node)).toBe(2_900_000n);
    channel.peerRevokes();
    channel.signRemote({ ...standing, feeratePerKw: 10_200 });
    expect(outflow(node)).toBe(2_900_000n);
    channel.peerRevokes();
    expect(outflow(node)).toBe(0n);
    expect(recordOf(channel).candidates[0]!.issued.at(-1)!.ledger!.trimmed).toHaveLength(1);
  });
});

/**
 * The outgoing one of a forward has failed, but other dust moved too: 2,900 sat came back and as much went out invisibly, so
 * that nothing shows that it is gone.
 */
function ambiguous(node: Forwarder): Forwarder {
  hidden(node);
  const { outgoing: channel } = node;
  const other = { ...htlc('holder', 2900, 'other dust'), cltvExpiry: outgoing.cltvExpiry };
  const failed = removing(channel.balances, outgoing, 'failed');
  channel.update(adding(failed, other));
  return node;
}

describe('an incoming HTLC whose outgoing one is hidden, or is thought to be', () => {
  it('goes back, and what may still be paid out counts as dust outflow until it is seen to be gone', () => {
    const node = ambiguous(forwarder());
    expect(outflow(node)).toBe(0n);
    node.resolveIncoming(incoming, 'failed');
    expect(outflow(node)).toBe(2_900_000n);
    expect(node.payment(incoming)).toMatchObject({ dustChargedMsat: 2_900_000n });
    const { outgoing: channel } = node;
    channel.update(removing(channel.balances, channel.balances.htlcs[0]!, 'failed'));
    expect(outflow(node)).toBe(0n);
    expect(node.payment(incoming)).toBeNull();
  });

  it('goes back while the outgoing one is in flight: that one paid, the loss is what was charged', () => {
    const node = hidden(forwarder());
    node.resolveIncoming(incoming, 'failed');
    expect(outflow(node)).toBe(2_900_000n);
    deliver(node.signer, outgoing);
    node.settleOutgoing(outgoing);
    expect(outflow(node)).toBe(2_900_000n);
    // Vanished instead of paid, it is the same loss.
    const other = hidden(forwarder());
    other.resolveIncoming(incoming, 'failed');
    other.settleOutgoing(outgoing);
    expect(outflow(other)).toBe(2_900_000n);
  });

  it('policy-commitment-dust-outflow: trips when it goes back beyond what the budget has left', () => {
    const node = hidden(forwarder(2899n));
    trips(node.incoming, node.resolvingIncoming(incoming, 'failed'), OUTFLOW, { outflow_msat: 2_900_000n });
    const within = hidden(forwarder(2900n));
    within.resolveIncoming(incoming, 'failed');
  });

  it('policy-routing-balanced: trips when the outgoing one is above every trim line, or was paid', () => {
    // 703 weight units at 10,000 per kw, and a dust limit of 1,000 sat.
    const line = 8030;
    const large = { ...htlc('counterparty', line + 100, 'forwarded'), cltvExpiry: incoming.cltvExpiry };
    for (const [sat, tag] of [
      [line, 'policy-routing-balanced'],
      [line - 1, null],
    ] as const) {
      const node = hidden(forwarder()).failOutgoing(outgoing);
      node.resolveIncoming(incoming, 'failed');
      atRate(node, 1000);
      node.receive(large).offer(forwardOf(large, sat));
      const release = node.resolvingIncoming(large, 'failed');
      if (tag !== null) trips(node.incoming, release, tag);
      else node.incoming.ask(release);
    }
    const paid = hidden(forwarder());
    deliver(paid.signer, outgoing);
    paid.settleOutgoing(outgoing);
    trips(paid.incoming, paid.resolvingIncoming(incoming, 'failed'), 'policy-routing-balanced');
  });

  it('goes back when a twin that nothing shows is the one that was forwarded', () => {
    const node = forwarder();
    atRate(node, 10_000);
    // Two parts of one payment: one here, one on the channel that hides it. The other of the two is forwarded.
    const third = new OpenChannel({ peer: 'elsewhere' }, node.signer).open();
    node.receive(incoming);
    third.update(adding(third.balances, outgoing));
    node.resolveIncoming(incoming, 'failed');
    expect(outflow(node)).toBe(2_900_000n);
    third.update(removing(third.balances, outgoing, 'failed'));
    expect(outflow(node)).toBe(0n);
  });

  it('is offered on another channel while the first may be hidden: dust outflow too, once', () => {
    const node = ambiguous(forwarder());
    const elsewhere = new OpenChannel({ peer: 'elsewhere' }, node.signer).open();
    elsewhere.update(adding(elsewhere.balances, outgoing));
    expect(outflow(node)).toBe(2n * outgoing.amountMsat - incoming.amountMsat);
    elsewhere.update(removing(elsewhere.balances, outgoing, 'failed'));
    expect(outflow(node)).toBe(0n);
    const small = hidden(forwarder(2799n));
    const third = new OpenChannel({ peer: 'elsewhere' }, small.signer).open();
    trips(third, third.model.signRemote(1, adding(third.balances, outgoing)), OUTFLOW);
  });
});

describe('whatever an attacker makes of hidden HTLCs', () => {
  const sides = fc.record({
    format: fc.constantFrom('static_remotekey' as const, 'anchors_zero_fee_htlc' as const),
    isOutbound: fc.boolean(),
    broadcaster: fc.constantFrom('holder' as const, 'counterparty' as const),
    capacitySat: fc.constant(1_000_000n),
    dustLimitSat: fc.constantFrom(354n, 546n, 1000n),
  });
  const move = fc.record({
    /** Bits: which of the six HTLCs stand, which of them the other view shows, which preimages are known from now on. */
    standing: fc.nat(63),
    shown: fc.nat(63),
    proven: fc.nat(63),
    feeratePerKw: fc.constantFrom(253, 1000, 5000, 20_000),
    /** In steps of the smallest HTLC, so that books may come out even by what is not true. */
    claimed: fc.integer({ min: -9, max: 9 }),
    fractionMsat: fc.integer({ min: -999, max: 999 }),
  });
  const htlcs: readonly HtlcRecord[] = [450_000n, 450_000n, 900_000n, 1_350_000n, 2_700_000n, 5_400_000n].map(
    (amountMsat, i) => record(i % 3 === 2 ? 'counterparty' : 'holder', amountMsat, `hidden ${i}`),
  );
  const chosen = (bits: number) => htlcs.filter((_, i) => (bits >> i) % 2 === 1);
  const offeredMsat = (list: readonly HtlcRecord[]) => sumMsat(list.filter((h) => h.offeredBy === 'holder'));

  it('our balance, what we offer and what is proven settled are what they were, but for the drift', () => {
    let accepted = 0;
    fc.assert(
      fc.property(sides, fc.array(move, { minLength: 2, maxLength: 12 }), (side, moves) => {
        const beginMsat = 500_000_000n;
        let state: State = { holderMsat: beginMsat, feeratePerKw: 1000, htlcs: [] };
        let before: Before = { holderMsat: beginMsat as Before['holderMsat'], driftMsat: 0n, trimmed: [] };
        let known: readonly HtlcRecord[] = [];
        let doneMsat = 0n;
        for (const { standing, shown, proven, feeratePerKw, claimed, fractionMsat } of moves) {
          known = [...known, ...chosen(proven)];
          const holderMsat = before.holderMsat + BigInt(claimed) * 450_000n + BigInt(fractionMsat);
          const next: State = { holderMsat, feeratePerKw, htlcs: chosen(standing) };
          const step = explained(side, state, next, knowing(...known), before, chosen(shown));
          if (!step.ok) continue;
          accepted += 1;
          for (const { how, amountMsat, paymentHash } of step.fates) {
            doneMsat += how === 'settled' ? amountMsat : -amountMsat;
            if (how === 'settled')
              expect(known.map((one) => hashHex(one.paymentHash))).toContain(hashHex(paymentHash));
          }
          const visible = observableOf(side, next).content.htlcs;
          const keptMsat = step.holderMsat + offeredMsat(visible) + offeredMsat(step.trimmed) + doneMsat;
          // Never less was lost than the drift says, so dust outflow is charged with all of it.
          expect(beginMsat - keptMsat).toBeLessThanOrEqual(-step.driftMsat);
          before = { ...step, holderMsat: step.holderMsat as Before['holderMsat'] };
          state = next;
        }
      }),
      { numRuns: 1000 },
    );
    expect(accepted).toBeGreaterThan(1000);
  });
});
