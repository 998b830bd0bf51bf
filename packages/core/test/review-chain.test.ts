/**
 * Attacks on what the signer believes of its channels on the chain, by a node that names fundings as it likes and peers
 * that mine what suits them. Each of them once succeeded.
 */
import { outPointToString, sat, type Transaction, txid } from '@countersign/bitcoin';
import { alarmsOfChannel, closingRecords, deadlinesOf, outputRecords } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { forceClose } from '../src/remedies/force-close.ts';
import { remediesOf } from '../src/remedies/plan.ts';
import { Draft } from '../src/state.ts';
import { ChainedSigner } from './chained-signer.ts';
import { type Funding, htlc, type ModelHtlc } from './channel-model.ts';
import { channelIdOf, deliver, forwardOf, recordOf, trips } from './forwarder.ts';
import { adding, OpenChannel, removing } from './open-channel.ts';
import { put } from './spending-model.ts';

const BALANCED = 'policy-routing-balanced';
const COVERED = 'policy-commitment-htlc-received-spends-active-utxo';
const feerates = { normalPerKw: 2500, urgentPerKw: 12_500 };

class Hub {
  readonly signer = new ChainedSigner();
  readonly incoming: OpenChannel;
  readonly outgoing: OpenChannel;

  constructor() {
    const options = { peer: 'upstream', isOutbound: false, pushMsat: 300_000_000n };
    this.incoming = new OpenChannel(options, this.signer).open();
    this.outgoing = new OpenChannel({ peer: 'downstream' }, this.signer).open();
    this.signer.mine(this.incoming.model.funding.tx, this.outgoing.model.funding.tx).mineEmpty(2);
    deliver(this.signer);
  }

  forward(): { received: ModelHtlc; offered: ModelHtlc } {
    const received = htlc('counterparty', 60_000, 'forwarded', 230);
    const offered = forwardOf(received, 59_900, 160);
    this.incoming.update(adding(this.incoming.balances, received));
    this.outgoing.update(adding(this.outgoing.balances, offered));
    return { received, offered };
  }

  release(received: ModelHtlc) {
    const { model, counterpartyNumber, balances } = this.incoming;
    return model.signRemote(counterpartyNumber + 1, removing(balances, received, 'failed'));
  }

  closing(channel: OpenChannel) {
    return this.signer.read(closingRecords, channelIdOf(channel));
  }

  alarms(channel: OpenChannel): readonly string[] {
    const { signer } = this;
    return alarmsOfChannel(signer.read, signer.policy, channelIdOf(channel), recordOf(channel), []).map(
      ({ code }) => code,
    );
  }

  remedies(channel: OpenChannel): readonly string[] {
    const { state, policy, keys } = this.signer;
    const { heightBlocks } = this.signer.view;
    const place = {
      ...this.signer.chainInput,
      draft: new Draft(state),
      policy,
      keys,
      heightBlocks,
      feerates,
    };
    return remediesOf(place, channelIdOf(channel)).remedies.map(({ kind }) => kind);
  }
}

function spending(from: Transaction, vout: number, changed: Partial<Transaction> = {}): Transaction {
  return {
    version: 2,
    inputs: [{ txid: txid(from), vout, scriptSig: new Uint8Array(0), sequence: 0, witness: [] }],
    outputs: [{ value: from.outputs[vout]!.value, script: Uint8Array.of(0x51) }],
    locktime: 0,
    ...changed,
  };
}

/** A splice that is none: whatever transaction the attacker names. */
function named(channel: OpenChannel, tx: Transaction, vout: number, valueSat: bigint): Funding {
  return { ...channel.model.funding, tx, outpoint: { txid: txid(tx), vout }, valueSat };
}

describe('a splice that the node names, and nobody signed', () => {
  it('does not hide a breach: the transaction that spends the funding is a revoked commitment', () => {
    const hub = new Hub();
    const { outgoing, signer } = hub;
    const old = outgoing.model.build('counterparty', 0, outgoing.balances);
    outgoing.update({ ...outgoing.balances, feeratePerKw: 1001 });
    outgoing.ask(outgoing.model.setup(named(outgoing, old.tx, 0, old.tx.outputs[0]!.value)));
    signer.mine(old.tx);
    expect(hub.closing(outgoing)).toMatchObject({ kind: 'counterparty-revoked', number: 0 });
    expect(hub.alarms(outgoing)).toContain('breach');
    expect(hub.remedies(outgoing)).toContain('justice');
  });

  it('does not keep the funding of an incoming HTLC alive', () => {
    const hub = new Hub();
    const { incoming, outgoing, signer } = hub;
    const received = htlc('counterparty', 60_000, 'forwarded', 230);
    const old = incoming.model.build('counterparty', 0, incoming.balances);
    incoming.update(adding(incoming.balances, received));
    incoming.ask(incoming.model.setup(named(incoming, old.tx, 0, old.tx.outputs[0]!.value)));
    signer.mine(old.tx);
    const offer = adding(outgoing.balances, forwardOf(received, 59_900, 160));
    trips(outgoing, outgoing.model.signRemote(outgoing.counterpartyNumber + 1, offer), COVERED);
  });

  it.each([
    ['looks like a mutual close', { locktime: 0, sequence: 0 }],
    ['looks like a revoked commitment', { locktime: 0x2000_0000, sequence: 0x8000_0000 }],
  ])('ends no channel when its output is spent by what %s', (_, { locktime, sequence }) => {
    const hub = new Hub();
    const { received } = hub.forward();
    const { outgoing, signer } = hub;
    for (let i = 0; i < 3; i++)
      outgoing.update({ ...outgoing.balances, feeratePerKw: outgoing.balances.feeratePerKw + 1 });
    // Money of the attacker, on an output of its own.
    const bait = spending(signer.mined.blocks[1]!.transactions[0]!, 0);
    outgoing.ask(outgoing.model.setup(named(outgoing, bait, 0, 50_000n)));
    signer.mine(bait);
    const input = { txid: txid(bait), vout: 0, scriptSig: new Uint8Array(0), sequence, witness: [] };
    signer.mine(spending(bait, 0, { inputs: [input], locktime })).mineEmpty(8);
    expect(hub.closing(outgoing)).toBeNull();
    trips(hub.incoming, hub.release(received), BALANCED);
    // A real breach is seen.
    const cheat = outgoing.model.build('counterparty', 1, { ...outgoing.balances, feeratePerKw: 1000 });
    signer.mine(cheat.tx);
    expect(hub.closing(outgoing)).toMatchObject({ kind: 'counterparty-revoked', number: 1 });
  });

  it('does not take the place of the real funding when the channel has to be closed', () => {
    const hub = new Hub();
    hub.forward();
    const { outgoing, signer } = hub;
    const bait = spending(signer.mined.blocks[1]!.transactions[0]!, 0);
    outgoing.ask(outgoing.model.setup(named(outgoing, bait, 0, 50_000n)));
    signer.mine(bait);
    expect(hub.remedies(outgoing)).toContain('commitment');
    const { watch: _, ...place } = signer.chainInput;
    const outcome = forceClose(
      {
        place: { ...place, watch: signer.watch, draft: new Draft(signer.state), events: [] },
        chain: signer.view,
        heightBlocks: signer.view.heightBlocks,
        feerates,
      },
      channelIdOf(outgoing),
    );
    expect(outcome.ok).toBe(true);
  });

  it('with our own script and money of the peer is no funding either', () => {
    const hub = new Hub();
    const { received } = hub.forward();
    const { outgoing, signer } = hub;
    const balances = outgoing.balances;
    // Worth little: what it pays us is gone as if we had spliced it out.
    const real = outgoing.model.funding;
    const small = outgoing.model.newFunding('small', real.valueSat, 0n);
    const bait = {
      ...small,
      tx: spending(signer.mined.blocks[1]!.transactions[0]!, 0, { outputs: small.tx.outputs }),
    };
    const funding = { ...bait, outpoint: { txid: txid(bait.tx), vout: 1 } };
    outgoing.candidate(funding);
    signer.mine(bait.tx);
    const onBait = outgoing.model.build('counterparty', outgoing.counterpartyNumber, balances, funding);
    signer.mine(onBait.tx).mineEmpty(8);
    expect(hub.closing(outgoing)).toBeNull();
    trips(hub.incoming, hub.release(received), BALANCED);
  });
});

describe('a funding', () => {
  it('of another value ends no channel when it is spent', () => {
    const signer = new ChainedSigner();
    const channel = new OpenChannel({}, signer).open();
    const { tx } = channel.model.funding;
    const poor = channel.model.newFunding('poor', 1_000_000n);
    channel.ask({ ...channel.model.setup(poor), channelValue: sat(2_000_000n) });
    signer.mine(poor.tx).mine(spending(poor.tx, 1));
    expect(signer.read(closingRecords, channelIdOf(channel))).toBeNull();
    signer.mine(tx).mine(channel.model.build('counterparty', 0, channel.balances).tx);
    expect(signer.read(closingRecords, channelIdOf(channel))).toMatchObject({ kind: 'counterparty' });
  });

  it('older than what was read may be spliced, and the splice counts', () => {
    const signer = new ChainedSigner();
    const channel = new OpenChannel({}, signer).open();
    signer.mine(channel.model.funding.tx).mineEmpty(2);
    channel.update({ ...channel.balances, feeratePerKw: 1001 });
    const splice = channel.candidate(channel.model.spliceOf('splice'));
    // As with a birthday above the first funding: its block was never looked at.
    put(signer, outputRecords, outPointToString(channel.model.funding.outpoint), null);
    signer.mine(splice.tx);
    expect(signer.view.outpoint(splice.outpoint)).toMatchObject({ kind: 'confirmed', depthBlocks: 1 });
    expect(signer.read(closingRecords, channelIdOf(channel))).toBeNull();
  });

  it('named at an output that its transaction does not have makes no splice of it', () => {
    const hub = new Hub();
    const { outgoing, signer } = hub;
    const old = outgoing.model.build('counterparty', 0, outgoing.balances);
    outgoing.update({ ...outgoing.balances, feeratePerKw: 1001 });
    outgoing.ask(outgoing.model.setup(named(outgoing, old.tx, 77, 50_000n)));
    signer.mine(old.tx);
    expect(hub.closing(outgoing)).toMatchObject({ kind: 'counterparty-revoked' });
  });
});

describe('a round of the opening that was dropped', () => {
  it('confirms too, and is spent: the channel on the other one goes on being watched', () => {
    const { signer, incoming } = new Hub();
    const model = { peer: 'rounds', isOutbound: false, pushMsat: 300_000_000n };
    const channel = new OpenChannel(model, signer).open();
    const first = channel.model.funding;
    const second = channel.model.newFunding('second round', first.valueSat);
    channel.ask(channel.model.setup(second));
    channel.ask(channel.model.validate(0, channel.balances, second));
    channel.ask(channel.model.signRemote(0, channel.balances, second));
    // The peer alone paid for both: nothing of ours could make them exclude each other.
    signer.mine(first.tx).mineEmpty(2);
    channel.lock(first);
    const received = htlc('counterparty', 60_000, 'cover', 260);
    incoming.update(adding(incoming.balances, received));
    const offered = forwardOf(received, 59_900, 160);
    channel.update(adding(channel.balances, offered));
    signer.mine(second.tx);
    signer.mine(channel.model.build('counterparty', 0, channel.model.initial, second).tx).mineEmpty(8);
    expect(signer.read(closingRecords, channelIdOf(channel))).toBeNull();
    const failed = removing(incoming.balances, received, 'failed');
    trips(incoming, incoming.model.signRemote(incoming.counterpartyNumber + 1, failed), BALANCED);
    const cheat = channel.model.build('counterparty', 0, channel.model.initial);
    signer.mine(cheat.tx);
    expect(signer.read(closingRecords, channelIdOf(channel))).toMatchObject({
      kind: 'counterparty-revoked',
      funding: { txid: first.outpoint.txid },
    });
  });
});

describe('a round of the opening that ended before the other one confirms', () => {
  it('ends the channel: what is not watched any more is not used', () => {
    const { signer } = new Hub();
    const channel = new OpenChannel({ peer: 'rounds', isOutbound: false }, signer).open();
    const first = channel.model.funding;
    const second = channel.model.newFunding('second round', first.valueSat);
    channel.ask(channel.model.setup(second));
    channel.ask(channel.model.validate(0, channel.balances, second));
    channel.ask(channel.model.signRemote(0, channel.balances, second));
    signer.mine(second.tx).mine(channel.model.build('counterparty', 0, channel.balances, second).tx);
    signer.mine(first.tx).mineEmpty(2);
    channel.lock(first);
    const next = channel.model.signRemote(1, { ...channel.balances, feeratePerKw: 1001 });
    trips(channel, next, 'policy-commitment-spends-active-utxo');
  });
});

describe('a breach of which the node took what is simple to take', () => {
  it('stays open until the delayed output of the peer is spent too', () => {
    // A channel in which the peer has a balance.
    const hub = new Hub();
    const { incoming: outgoing, signer } = hub;
    const old = outgoing.model.build('counterparty', 1, { ...outgoing.balances, feeratePerKw: 1001 });
    outgoing.update({ ...outgoing.balances, feeratePerKw: 1001 });
    outgoing.update({ ...outgoing.balances, feeratePerKw: 1002 });
    signer.mine(old.tx);
    const closing = hub.closing(outgoing)!;
    const roleOf = (vout: number) =>
      signer.read(outputRecords, outPointToString({ txid: txid(old.tx), vout }))?.role;
    const theirs = closing.outputs.filter((vout) => roleOf(vout) === 'main-counterparty');
    expect(theirs).toHaveLength(1);
    const rest = closing.outputs.filter((vout) => !theirs.includes(vout));
    signer.mine(...rest.map((vout) => spending(old.tx, vout))).mineEmpty(160);
    expect(hub.alarms(outgoing)).toContain('breach');
    expect(hub.remedies(outgoing)).toEqual(['justice']);
    signer.mine(...theirs.map((vout) => spending(old.tx, vout))).mineEmpty(143);
    expect(hub.alarms(outgoing)).toEqual([]);
    expect(hub.closing(outgoing)).toMatchObject({ outputs: [] });
  });
});

describe('an HTLC transaction of ours', () => {
  it('leaves a delayed output that is not forgotten before it is spent, and is then', () => {
    const hub = new Hub();
    const { offered } = hub.forward();
    const { outgoing, signer } = hub;
    const built = outgoing.model.build('holder', outgoing.holderNumber, outgoing.balances);
    expect(outgoing.balances.htlcs).toEqual([offered]);
    const second = built.htlcTransactions[0]!.transaction;
    const at = second.inputs[0]!.vout;
    const rest = built.tx.outputs.flatMap((_, vout) => (vout === at ? [] : [spending(built.tx, vout)]));
    signer.mine(built.tx, second, ...rest).mineEmpty(160);
    const delayed = outPointToString({ txid: txid(second), vout: 0 });
    expect(signer.read(outputRecords, delayed)).toMatchObject({ role: 'second-level', spent: null });
    expect(hub.remedies(outgoing)).toEqual(['delayed']);
    signer.mine(spending(second, 0)).mineEmpty(143);
    expect(hub.closing(outgoing)).toMatchObject({ outputs: [] });
    expect(signer.read(outputRecords, delayed)).toBeNull();
  });
});

describe('a reorganisation after the channel was forgotten', () => {
  it('of a late spend of an output that was never ours is followed', () => {
    const { signer, outgoing } = new Hub();
    const built = outgoing.model.build('counterparty', 0, outgoing.balances);
    signer.mine(built.tx);
    const ours = signer.read(closingRecords, channelIdOf(outgoing))!.outputs.filter((vout) => {
      const id = outPointToString({ txid: txid(built.tx), vout });
      return signer.read(outputRecords, id)?.role === 'main-holder';
    });
    signer.mine(...ours.map((vout) => spending(built.tx, vout)));
    const theirs = built.tx.outputs.findIndex((_, vout) => !ours.includes(vout));
    signer.mineEmpty(135);
    // The peer takes its own output only now; a few blocks later all of ours is buried.
    if (theirs >= 0) signer.mine(spending(built.tx, theirs));
    const fork = signer.view.heightBlocks - 2;
    signer.mineEmpty(10);
    expect(signer.read(closingRecords, channelIdOf(outgoing))).toMatchObject({ outputs: [] });
    signer.mined = signer.mined.forkAt(fork);
    signer.mined.extendBy(14);
    signer.follow();
    expect(signer.view.heightBlocks).toBe(signer.mined.tip.heightBlocks);
  });
});

describe('an HTLC of a stranger whose hash is that of a payment under way', () => {
  it('is no reason to close the channel it came on, however soon it expires', () => {
    const hub = new Hub();
    const { offered } = hub.forward();
    const { outgoing, signer } = hub;
    // The peer downstream shows the preimage; upstream has not answered yet.
    deliver(signer, offered);
    const bystander = new OpenChannel(
      { peer: 'bystander', isOutbound: false, pushMsat: 300_000_000n },
      signer,
    ).open();
    signer.mine(bystander.model.funding.tx).mineEmpty(2);
    const stray: ModelHtlc = { ...htlc('counterparty', 1000, 'stray', 0), preimage: offered.preimage };
    const soon = { ...stray, cltvExpiry: signer.view.heightBlocks + 1 };
    bystander.update(adding(bystander.balances, soon));
    bystander.update(removing(bystander.balances, soon, 'failed'));
    outgoing.update(removing(outgoing.balances, offered, 'settled'));
  });

  it('takes the place of no HTLC that can still be claimed', () => {
    const hub = new Hub();
    const { received, offered } = hub.forward();
    const { outgoing, incoming, signer } = hub;
    deliver(signer, offered);
    outgoing.update(removing(outgoing.balances, offered, 'settled'));
    const accomplice = new OpenChannel(
      { peer: 'accomplice', isOutbound: false, pushMsat: 300_000_000n },
      signer,
    ).open();
    signer.mine(accomplice.model.funding.tx).mineEmpty(2);
    const margin = signer.policy.limits.claimMarginBlocks;
    const late = { ...received, cltvExpiry: signer.view.heightBlocks + margin };
    accomplice.update(adding(accomplice.balances, late));
    const failed = incoming.model.signRemote(
      incoming.counterpartyNumber + 1,
      removing(incoming.balances, received, 'failed'),
    );
    trips(incoming, failed, 'policy-routing-cltv-delta');
    // One that comes in time may: it has a deadline of its own.
    const inTime = { ...received, cltvExpiry: late.cltvExpiry + 1 };
    accomplice.update(adding(accomplice.balances, inTime));
    incoming.ask(failed);
    incoming.peerRevokes();
    incoming.validate(removing(incoming.balances, received, 'failed'));
    incoming.revoke();
    const [deadline] = deadlinesOf(signer.read, signer.policy, channelIdOf(accomplice), recordOf(accomplice));
    expect(deadline).toMatchObject({ what: 'received-htlc-to-claim', blocksLeft: 1 });
  });
});
