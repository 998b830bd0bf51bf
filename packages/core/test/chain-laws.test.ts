/**
 * The laws by a real view of the chain: attacks that only a signer with its own chain can see, and the honest life that must
 * go on beside them. Blocks are mined and proven; nobody tells the signer anything else.
 */
import { fundingScript, outPointToString, p2wshOfScript, sat, txid } from '@countersign/bitcoin';
import {
  alarmsOfChannel,
  closingRecords,
  deadlinesOf,
  outputRecords,
  paymentRecords,
} from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { otherClosingRecords } from '../src/records/chain.ts';
import { ChainedSigner, spendOf } from './chained-signer.ts';
import { type Balances, type Built, htlc, type ModelHtlc, type ModelOptions } from './channel-model.ts';
import { channelIdOf, deliver, forwardOf, hashOf, paymentOf, recordOf, trips } from './forwarder.ts';
import { adding, OpenChannel, removing } from './open-channel.ts';
import { put } from './spending-model.ts';

const ACTIVE = 'policy-commitment-spends-active-utxo';
const COVERED = 'policy-commitment-htlc-received-spends-active-utxo';
const ONCHAIN = 'policy-channel-funding-onchain';
const RANGE = 'policy-commitment-htlc-cltv-range';
const BALANCED = 'policy-routing-balanced';

class Route {
  readonly signer = new ChainedSigner();
  readonly incoming: OpenChannel;
  readonly outgoing: OpenChannel;

  constructor(options: ModelOptions = {}) {
    this.incoming = new OpenChannel(
      { peer: 'upstream', isOutbound: false, pushMsat: 300_000_000n, ...options },
      this.signer,
    ).open();
    this.outgoing = new OpenChannel({ peer: 'downstream', ...options }, this.signer).open();
  }

  /** Both fundings, and that many blocks in all. */
  bury(depthBlocks = 3): this {
    this.signer.mine(this.incoming.model.funding.tx, this.outgoing.model.funding.tx);
    this.signer.mineEmpty(depthBlocks - 1);
    deliver(this.signer);
    return this;
  }

  receive(one: ModelHtlc): this {
    this.incoming.update(adding(this.incoming.balances, one));
    return this;
  }

  offer(one: ModelHtlc): this {
    this.outgoing.update(adding(this.outgoing.balances, one));
    return this;
  }

  get height(): number {
    return this.signer.view.heightBlocks;
  }

  deadlines(channel: OpenChannel) {
    return deadlinesOf(this.signer.read, this.signer.policy, channelIdOf(channel), recordOf(channel));
  }

  alarms(channel: OpenChannel): readonly string[] {
    const { signer } = this;
    const deadlines = this.deadlines(channel);
    return alarmsOfChannel(
      signer.read,
      signer.policy,
      channelIdOf(channel),
      recordOf(channel),
      deadlines,
    ).map(({ code }) => code);
  }

  nextOf(channel: OpenChannel, balances: Balances) {
    return channel.model.signRemote(channel.counterpartyNumber + 1, balances);
  }
}

/** Expiries are heights of this young chain. */
const incomingHtlc = (label = 'forwarded', cltvExpiry = 130): ModelHtlc =>
  htlc('counterparty', 60_000, label, cltvExpiry);

const outgoingOf = (one: ModelHtlc): ModelHtlc => forwardOf(one, 59_900, 60);

const outputOf = (built: Built, balances: Balances, one: ModelHtlc): number =>
  built.commitment.htlcs.find(({ htlcIndex }) => balances.htlcs[htlcIndex] === one)!.outputIndex;

describe('the funding of the channel', () => {
  it('is awaited: a commitment after the first passes when its block has come', () => {
    const route = new Route();
    const next = route.nextOf(route.outgoing, { ...route.outgoing.balances, feeratePerKw: 1001 });
    expect(trips(route.outgoing, next, ACTIVE).temporary).toBe(true);
    route.bury(1);
    route.outgoing.ask(next);
  });

  it('with a thousand satoshi where ten coins were set up is refused for good (A46)', () => {
    const route = new Route();
    const { model } = route.incoming;
    const poor = {
      ...model.funding.tx,
      outputs: model.funding.tx.outputs.map((output, i) =>
        i === 1 ? { ...output, value: sat(1000) } : output,
      ),
    };
    // The outpoint is that of the poor transaction: its txid is what the node tells.
    const other = new OpenChannel({ peer: 'poor', isOutbound: false }, route.signer);
    const funding = { ...other.model.funding, tx: poor, outpoint: { txid: txid(poor), vout: 1 } };
    other.ask(other.model.setup(funding));
    other.ask(other.model.validate(0, other.balances, funding));
    other.ask(other.model.signRemote(0, other.balances, funding));
    route.signer.mine(poor).mineEmpty(3);
    const refusal = trips(
      other,
      other.model.signRemote(1, { ...other.balances, feeratePerKw: 1001 }, funding),
      ONCHAIN,
    );
    expect(refusal).toMatchObject({ temporary: false, facts: { value_onchain_sat: 1000n } });
  });

  it('with a foreign script is refused for good (A46)', () => {
    const { signer } = new Route();
    const other = new OpenChannel({ peer: 'foreign', isOutbound: false }, signer);
    const { funding } = other.model;
    const script = p2wshOfScript(fundingScript(funding.peerKey, other.model.counterparty.payment));
    const tx = { ...funding.tx, outputs: [funding.tx.outputs[0]!, { value: sat(funding.valueSat), script }] };
    const foreign = { ...funding, tx, outpoint: { txid: txid(tx), vout: 1 } };
    other.ask(other.model.setup(foreign));
    other.ask(other.model.validate(0, other.balances, foreign));
    other.ask(other.model.signRemote(0, other.balances, foreign));
    signer.mine(tx).mineEmpty(3);
    trips(other, other.model.signRemote(1, { ...other.balances, feeratePerKw: 1001 }, foreign), ONCHAIN);
  });

  it('spent by a close ends the channel’s commitments', () => {
    const route = new Route().bury();
    route.signer.mine(route.outgoing.model.build('counterparty', 0, route.outgoing.balances).tx);
    trips(
      route.outgoing,
      route.nextOf(route.outgoing, { ...route.outgoing.balances, feeratePerKw: 1001 }),
      ACTIVE,
    );
  });
});

describe('an incoming HTLC', () => {
  it('on a channel that is not buried deep enough covers nothing yet (A47)', () => {
    const route = new Route();
    const { signer } = route;
    signer.set = { limits: { paymentDepthBlocks: 3 } };
    signer.mine(route.outgoing.model.funding.tx).mineEmpty(3);
    signer.mine(route.incoming.model.funding.tx);
    deliver(signer);
    const one = incomingHtlc();
    route.receive(one);
    const offer = route.nextOf(route.outgoing, adding(route.outgoing.balances, outgoingOf(one)));
    expect(trips(route.outgoing, offer, COVERED).temporary).toBe(true);
    signer.mineEmpty(2);
    route.outgoing.ask(offer);
  });

  it('on a channel whose funding was spent, or reorganised away, covers nothing (A37)', () => {
    const route = new Route().bury();
    const one = incomingHtlc();
    route.receive(one);
    const before = route.signer.mined;
    const offer = route.nextOf(route.outgoing, adding(route.outgoing.balances, outgoingOf(one)));
    route.signer.mine(route.incoming.model.build('counterparty', 0, route.incoming.model.initial).tx);
    expect(trips(route.outgoing, offer, COVERED).temporary).toBe(false);
    // Another history, in which only the outgoing channel was ever funded.
    route.signer.mined = before.forkAt(0);
    route.signer.mined.extend([route.outgoing.model.funding.tx]);
    route.signer.mined.extendBy(6);
    route.signer.follow();
    expect(trips(route.outgoing, offer, COVERED).temporary).toBe(true);
    route.signer.mine(route.incoming.model.funding.tx);
    route.outgoing.ask(offer);
  });
});

describe('deadlines', () => {
  it('an expired outgoing HTLC left in place: alarm, and nothing more but its removal (A44)', () => {
    const route = new Route().bury();
    const one = incomingHtlc();
    const out = outgoingOf(one);
    route.receive(one).offer(out);
    const grace = route.signer.policy.limits.deadlineGraceBlocks;
    route.signer.mineEmpty(out.cltvExpiry + grace - 1 - route.height);
    expect(route.deadlines(route.outgoing)).toMatchObject([
      { what: 'offered-htlc-expires', blocksLeft: 1, level: 'critical', amountMsat: out.amountMsat },
    ]);
    const stays = route.nextOf(route.outgoing, { ...route.outgoing.balances, feeratePerKw: 1001 });
    route.outgoing.signer.decide(stays, route.signer.clientFor(stays, route.outgoing.model.ref));
    expect(route.alarms(route.outgoing)).toEqual(['deadline']);
    route.signer.mineEmpty(1);
    expect(route.deadlines(route.outgoing)).toMatchObject([{ level: 'passed', blocksLeft: 0 }]);
    trips(route.outgoing, stays, RANGE, { cltv_expiry: out.cltvExpiry, height: route.height });
    // The incoming one is not let go while the outgoing one stands.
    const released = removing(route.incoming.balances, one, 'failed');
    trips(route.incoming, route.nextOf(route.incoming, released), 'policy-routing-abandon-unresolved');
    // Its removal is what is left, and then the life goes on.
    route.outgoing.update(removing(route.outgoing.balances, out, 'failed'));
    route.incoming.update(released);
    expect(route.alarms(route.outgoing)).toEqual([]);
  });

  it('a received HTLC whose preimage is known must be claimed before it expires', () => {
    const route = new Route().bury();
    const one = incomingHtlc('known', 60);
    const out = forwardOf(one, 59_900, 53);
    route.receive(one).offer(out);
    route.signer.mineEmpty(50 - route.height);
    expect(route.deadlines(route.incoming)).toEqual([]);
    deliver(route.signer, one);
    route.outgoing.update(removing(route.outgoing.balances, out, 'settled'));
    const margin = route.signer.policy.limits.claimMarginBlocks;
    expect(route.deadlines(route.incoming)).toMatchObject([
      { what: 'received-htlc-to-claim', heightBlocks: 60 - margin, blocksLeft: 10 - margin, level: 'warn' },
    ]);
    route.signer.mineEmpty(10 - margin);
    trips(
      route.incoming,
      route.nextOf(route.incoming, { ...route.incoming.balances, feeratePerKw: 1001 }),
      RANGE,
    );
    route.incoming.update(removing(route.incoming.balances, one, 'settled'));
  });
});

describe('the preimage of an invoice of our own', () => {
  it('that the node has not released sets no deadline', () => {
    const route = new Route().bury();
    const { signer } = route;
    const one = incomingHtlc('held', 60);
    route.receive(one);
    deliver(signer, one);
    signer.mineEmpty(59 - route.height);
    // Of no invoice, it covers nothing that went out: nothing is missing without it.
    expect(route.deadlines(route.incoming)).toEqual([]);
    const record = paymentOf(signer, one)!;
    const invoice = { amountMsat: null, expiresAtSeconds: signer.nowSeconds + 3600 };
    put(signer, paymentRecords, hashOf(one), { ...record, invoice });
    expect(route.deadlines(route.incoming)).toEqual([]);
    // Begun in one view: the other must follow.
    const parts = record.parts.map((part) => ({ ...part, creditMaxMsat: one.amountMsat }));
    put(signer, paymentRecords, hashOf(one), { ...record, invoice, parts });
    expect(route.deadlines(route.incoming)).toMatchObject([{ what: 'received-htlc-to-claim' }]);
  });
});

describe('a channel that went to the chain', () => {
  function closed(kind: 'holder' | 'counterparty') {
    const route = new Route().bury();
    const one = incomingHtlc();
    const out = outgoingOf(one);
    route.receive(one).offer(out);
    const built = route.outgoing.model.build(kind, 1, route.outgoing.balances);
    route.signer.mine(built.tx);
    const release = () => route.nextOf(route.incoming, removing(route.incoming.balances, one, 'failed'));
    return { route, one, out, built, at: outputOf(built, route.outgoing.balances, out), release };
  }

  it.each(['holder', 'counterparty'] as const)(
    'by the %s’s commitment: upstream is let go when the timeout is buried, and not before',
    (kind) => {
      const { route, one, built, at, release } = closed(kind);
      const depth = route.signer.policy.limits.resolveDepthBlocks;
      expect(trips(route.incoming, release(), BALANCED).temporary).toBe(false);
      route.signer.mineEmpty(depth);
      expect(trips(route.incoming, release(), BALANCED).temporary).toBe(false);
      route.signer.mine(spendOf(built.tx, at));
      route.signer.mineEmpty(depth - 2);
      expect(trips(route.incoming, release(), BALANCED).temporary).toBe(true);
      route.signer.mineEmpty(1);
      expect(
        paymentOf(route.signer, one)?.parts.find(({ channel }) => channel === channelIdOf(route.outgoing)),
      ).toMatchObject({
        outMsat: 0n,
        outgoing: [],
      });
      route.incoming.update(removing(route.incoming.balances, one, 'failed'));
    },
  );

  it('the peer claims with the preimage, the node hides it: upstream is ours by it (A48)', () => {
    const { route, one, out, built, at, release } = closed('counterparty');
    const claim = spendOf(built.tx, at, [one.preimage]);
    route.signer.mine(claim);
    expect(paymentOf(route.signer, one)?.preimage).toEqual(one.preimage);
    route.signer.mineEmpty(10);
    const part = paymentOf(route.signer, one)?.parts.find(
      ({ channel }) => channel === channelIdOf(route.outgoing),
    );
    expect(part).toMatchObject({ outMsat: out.amountMsat, outgoing: [] });
    // Not to be failed: neither by law 2, which knows the preimage, nor by law 3.
    expect(route.incoming.refused(release()).tag).toMatch(
      /^policy-(commitment-balance-conserved|routing-balanced)$/,
    );
    route.signer.mineEmpty(one.cltvExpiry - route.height - route.signer.policy.limits.claimMarginBlocks);
    expect(route.alarms(route.incoming)).toEqual(['deadline']);
    route.incoming.update(removing(route.incoming.balances, one, 'settled'));
    expect(route.alarms(route.incoming)).toEqual([]);
  });

  it('a commitment without the HTLC, buried: it is gone', () => {
    const route = new Route().bury();
    const one = incomingHtlc();
    const out = outgoingOf(one);
    route.receive(one);
    const { outgoing } = route;
    // Only the peer's commitment has it; the one before confirms.
    outgoing.signRemote(adding(outgoing.balances, out));
    const before = outgoing.model.build('counterparty', 0, outgoing.balances);
    route.signer.mine(before.tx);
    const release = route.nextOf(route.incoming, removing(route.incoming.balances, one, 'failed'));
    const depth = route.signer.policy.limits.resolveDepthBlocks;
    expect(trips(route.incoming, release, BALANCED).temporary).toBe(true);
    route.signer.mineEmpty(depth - 2);
    expect(trips(route.incoming, release, BALANCED).temporary).toBe(true);
    route.signer.mineEmpty(1);
    route.incoming.ask(release);
  });

  it('a reorganisation brings the claim back', () => {
    const { route, built, at, release } = closed('counterparty');
    route.signer.mineEmpty(6);
    const fork = route.height;
    route.signer.mine(spendOf(built.tx, at)).mineEmpty(5);
    route.signer.decide(release(), route.signer.clientFor(release(), route.incoming.model.ref));
    route.signer.mined = route.signer.mined.forkAt(fork);
    route.signer.mined.extendBy(7);
    route.signer.follow();
    expect(
      route.signer.read(outputRecords, outPointToString({ txid: txid(built.tx), vout: at }))?.spent,
    ).toBeNull();
    trips(route.incoming, release(), BALANCED);
  });

  it('a revoked commitment keeps its HTLCs claimable until each is spent', () => {
    const route = new Route().bury();
    const one = incomingHtlc();
    const out = outgoingOf(one);
    route.receive(one).offer(out);
    const old = route.outgoing.balances;
    route.outgoing.update({ ...old, feeratePerKw: 1001 });
    const built = route.outgoing.model.build('counterparty', 1, old);
    route.signer.mine(built.tx).mineEmpty(8);
    expect(route.alarms(route.outgoing)).toContain('breach');
    const release = route.nextOf(route.incoming, removing(route.incoming.balances, one, 'failed'));
    trips(route.incoming, release, BALANCED);
    route.signer.mine(spendOf(built.tx, outputOf(built, old, out))).mineEmpty(5);
    route.incoming.ask(release);
  });
});

describe('two parts of a payment came in, and the channel of one goes to the chain', () => {
  /** One part went out again; the other may fail. */
  function spread(kind: 'holder' | 'counterparty', confirmed = 1, expiry = 130) {
    const route = new Route();
    const { signer, incoming } = route;
    const options = { peer: 'also upstream', isOutbound: false, pushMsat: 300_000_000n };
    const other = new OpenChannel(options, signer).open();
    signer.mine(other.model.funding.tx);
    route.bury();
    const one = incomingHtlc();
    const out = outgoingOf(one);
    const before = incoming.balances;
    route.receive({ ...one, cltvExpiry: expiry });
    other.update(adding(other.balances, one));
    route.offer(out);
    const built = incoming.model.build(kind, confirmed, confirmed === 1 ? incoming.balances : before);
    signer.mine(built.tx);
    const release = route.nextOf(other, removing(other.balances, one, 'failed'));
    const depth = signer.policy.limits.resolveDepthBlocks;
    return { route, signer, other, one, out, built, release, depth };
  }

  it.each(['holder', 'counterparty'] as const)(
    'by the %s’s commitment: what is buried there to be claimed covers what went out',
    (kind) => {
      const { signer, other, release, depth } = spread(kind);
      expect(trips(other, release, COVERED).temporary).toBe(true);
      signer.mineEmpty(depth - 2);
      expect(trips(other, release, COVERED).temporary).toBe(true);
      signer.mineEmpty(1);
      other.ask(release);
    },
  );

  it('covers only what ends in time before it', () => {
    const outExpiry = outgoingOf(incomingHtlc()).cltvExpiry;
    const expiry = outExpiry + new ChainedSigner().policy.limits.cltvDeltaBlocks;
    const late = spread('counterparty', 1, expiry - 1);
    late.signer.mineEmpty(late.depth);
    trips(late.other, late.release, 'policy-routing-cltv-delta');
    const inTime = spread('counterparty', 1, expiry);
    inTime.signer.mineEmpty(inTime.depth);
    inTime.other.ask(inTime.release);
  });

  it('covers nothing new', () => {
    const { route, signer, out, depth } = spread('counterparty');
    signer.mineEmpty(depth);
    const more = adding(route.outgoing.balances, out);
    expect(trips(route.outgoing, route.nextOf(route.outgoing, more), COVERED).temporary).toBe(false);
  });

  it('covers nothing once the peer has timed it out, in whatever block', () => {
    const { route, signer, other, one, built, release, depth } = spread('counterparty');
    signer.mineEmpty(depth);
    const at = built.commitment.htlcs[0]!.outputIndex;
    signer.mine(spendOf(built.tx, at));
    expect(trips(other, release, COVERED).temporary).toBe(false);
    signer.mineEmpty(depth);
    trips(other, release, BALANCED);
    expect(one.cltvExpiry).toBeGreaterThan(route.height);
  });

  it('covers what went out when we have claimed it', () => {
    const { signer, other, one, built, release, depth } = spread('counterparty');
    signer.mineEmpty(depth);
    signer.mine(spendOf(built.tx, built.commitment.htlcs[0]!.outputIndex, [one.preimage]));
    other.ask(release);
  });

  it('covers nothing where another funding of the channel has ended too', () => {
    const { route, signer, other, release, depth } = spread('counterparty');
    signer.mineEmpty(depth);
    const id = channelIdOf(route.incoming);
    const closing = signer.read(closingRecords, id)!;
    put(signer, otherClosingRecords, id, [closing]);
    expect(trips(other, release, COVERED).temporary).toBe(false);
    put(signer, otherClosingRecords, id, []);
    other.ask(release);
  });

  it('covers nothing where a revoked commitment was mined', () => {
    const { signer, other, release, depth } = spread('counterparty', 0);
    expect(trips(other, release, COVERED).temporary).toBe(false);
    signer.mineEmpty(depth);
    trips(other, release, BALANCED);
  });
});

describe('check_outpoint and lock_outpoint', () => {
  const check = ({ model }: OpenChannel) => ({
    name: 'hsmd_check_outpoint' as const,
    fundingTxid: model.funding.outpoint.txid,
    fundingTxout: model.funding.outpoint.vout,
  });

  it('go by the chain', () => {
    const route = new Route();
    const { outgoing } = route;
    expect(outgoing.ask(check(outgoing))).toMatchObject({ isBuried: false });
    expect(
      trips(outgoing, outgoing.model.lock(outgoing.model.funding), 'policy-revoke-new-commitment-valid')
        .temporary,
    ).toBe(true);
    route.bury(1);
    expect(outgoing.ask(check(outgoing))).toMatchObject({ isBuried: true });
    outgoing.lock(outgoing.model.funding);
  });

  it('a splice that is not buried is not locked, and the old funding stays in force (A17)', () => {
    const route = new Route().bury();
    const { outgoing } = route;
    outgoing.update({ ...outgoing.balances, feeratePerKw: 1001 });
    const splice = outgoing.candidate(outgoing.model.spliceOf('splice'));
    expect(trips(outgoing, outgoing.model.lock(splice), 'policy-revoke-new-commitment-valid').temporary).toBe(
      true,
    );
    route.signer.mine(splice.tx);
    outgoing.ask(outgoing.model.signSplice(splice));
    outgoing.lock(splice);
  });

  it('of the rounds of an opening the mined one counts, whichever is named', () => {
    const { signer } = new Route();
    const channel = new OpenChannel({ peer: 'rounds' }, signer).open();
    const first = channel.model.funding;
    const last = channel.model.newFunding('second round', first.valueSat);
    channel.ask(channel.model.setup(last));
    channel.ask(channel.model.validate(0, channel.balances, last));
    channel.ask(channel.model.signRemote(0, channel.balances, last));
    signer.mine(first.tx);
    channel.ask(channel.model.lock(last));
    expect(recordOf(channel).locked).toEqual(first.outpoint);
  });

  it('policy-candidate-exclusive: trips on a commitment that would move the channel to a round that was not mined (A17)', () => {
    const { signer } = new Route();
    const channel = new OpenChannel({ peer: 'rounds' }, signer).open();
    const first = channel.model.funding;
    const last = channel.model.newFunding('never mined', first.valueSat);
    channel.ask(channel.model.setup(last));
    channel.ask(channel.model.validate(0, channel.balances, last));
    channel.ask(channel.model.signRemote(0, channel.balances, last));
    signer.mine(first.tx);
    channel.ask(channel.model.lock(last));
    const before = recordOf(channel);
    // Validated there alone, number 1 would have our commitment 0 revoked, and nothing left to publish on the mined round.
    trips(channel, channel.model.validate(1, channel.balances, last), 'policy-candidate-exclusive');
    trips(channel, channel.model.signRemote(1, channel.balances, last), 'policy-candidate-exclusive');
    expect(recordOf(channel)).toEqual(before);
    channel.ask(channel.model.validate(1, channel.balances, first));
  });

  it('policy-candidate-exclusive: passes for the round that a reorganisation brought in the place of the other', () => {
    const { signer } = new Route();
    const channel = new OpenChannel({ peer: 'rounds' }, signer).open();
    const first = channel.model.funding;
    const last = channel.model.newFunding('the other round', first.valueSat);
    channel.ask(channel.model.setup(last));
    channel.ask(channel.model.validate(0, channel.balances, last));
    channel.ask(channel.model.signRemote(0, channel.balances, last));
    const fork = signer.mined.forkAt(signer.mined.tip.heightBlocks);
    signer.mine(first.tx);
    channel.ask(channel.model.lock(first));
    signer.mined = fork;
    fork.extendBy(1);
    signer.mine(last.tx);
    channel.ask(channel.model.validate(1, channel.balances, last));
    expect(recordOf(channel).locked).toEqual(last.outpoint);
  });
});

describe('a view that is behind', () => {
  it('admits no new HTLC of ours, and lets everything else go on', () => {
    const route = new Route().bury();
    const { outgoing, signer } = route;
    signer.set = { approvals: { auto: 'all', autoPaymentVelocity: null, expirySeconds: 86_400 } };
    const standing = htlc('holder', 50_000, 'standing', 100);
    outgoing.update(adding(outgoing.balances, standing));
    signer.mined.extendBy(3);
    signer.accept(signer.headers(signer.mined.headers(signer.chainRecord.tipHeightBlocks + 1)));
    expect(signer.view.isFresh).toBe(false);
    const more = route.nextOf(outgoing, adding(outgoing.balances, htlc('holder', 10_000, 'more', 100)));
    expect(trips(outgoing, more, ACTIVE).temporary).toBe(true);
    outgoing.ask(route.nextOf(outgoing, removing(outgoing.balances, standing, 'failed')));
    signer.follow();
  });
});
