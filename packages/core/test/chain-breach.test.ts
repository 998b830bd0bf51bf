/**
 * Payments after a breach: an HTLC that went to the chain with a revoked commitment, or with none, is gone when nobody can claim
 * it any more, whatever becomes of the others beside it.
 */
import type { Transaction } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { stubRecords } from '../src/records/chain.ts';
import { APPROVING, ChainedSigner, idsIn, spendOf } from './chained-signer.ts';
import { type Balances, type Built, htlc, type ModelHtlc } from './channel-model.ts';
import { channelIdOf, deliver, forwardOf, paymentOf, trips } from './forwarder.ts';
import { adding, OpenChannel, removing } from './open-channel.ts';
import { put } from './spending-model.ts';

const BALANCED = 'policy-routing-balanced';
const ABANDON = 'policy-routing-abandon-unresolved';
const INVOICED = 'policy-commitment-payment-invoiced';
/** Of the peer’s second level. */
const DELAY = 720;

const outputOf = (built: Built, balances: Balances, one: ModelHtlc): number =>
  built.commitment.htlcs.find(({ htlcIndex }) => balances.htlcs[htlcIndex] === one)!.outputIndex;

/** A forward downstream beside an HTLC too small to be worth a penalty; the peer's state with both is revoked, and theirs. */
class Breach {
  readonly signer = new ChainedSigner();
  readonly incoming = new OpenChannel(
    { peer: 'upstream', isOutbound: false, pushMsat: 300_000_000n },
    this.signer,
  ).open();
  readonly outgoing = new OpenChannel({ peer: 'downstream', pushMsat: 100_000_000n }, this.signer).open();
  readonly tiny = htlc('counterparty', 1_000, 'tiny', 150);
  readonly one = htlc('counterparty', 60_000, 'forwarded', 130);
  readonly out = forwardOf(this.one, 59_900, 60);
  readonly depth = this.signer.policy.limits.resolveDepthBlocks;
  old: Balances = this.outgoing.balances;
  built: Built | null = null;

  constructor() {
    this.signer.mine(this.incoming.model.funding.tx, this.outgoing.model.funding.tx).mineEmpty(2);
    deliver(this.signer);
    this.incoming.update(adding(this.incoming.balances, this.one));
    this.outgoing.update(adding(this.outgoing.balances, this.tiny));
  }

  /** The state that was the peer's last becomes a revoked one. */
  revoke(): this {
    this.old = this.outgoing.balances;
    this.outgoing.update({ ...this.old, feeratePerKw: 1001 });
    return this;
  }

  offer(one = this.out): this {
    this.outgoing.update(adding(this.outgoing.balances, one));
    return this;
  }

  /** The revoked state confirms. */
  cheat(): this {
    const number = this.outgoing.counterpartyNumber - (this.old.htlcs.includes(this.out) ? 1 : 2);
    this.built = this.outgoing.model.build('counterparty', number, this.old);
    this.signer.mine(this.built.tx);
    return this;
  }

  output(one: ModelHtlc): number {
    return outputOf(this.built!, this.old, one);
  }

  penalty(one: ModelHtlc): Transaction {
    return spendOf(this.built!.tx, this.output(one));
  }

  /** The peer's HTLC transaction, with the preimage. */
  success(): Transaction {
    const { transaction } = this.built!.htlcTransactions.find(
      (tx) => tx.transaction.inputs[0]!.vout === this.output(this.out),
    )!;
    return {
      ...transaction,
      inputs: transaction.inputs.map((input) => ({ ...input, witness: [this.out.preimage] })),
    };
  }

  release() {
    const { model, counterpartyNumber, balances } = this.incoming;
    return model.signRemote(counterpartyNumber + 1, removing(balances, this.one, 'failed'));
  }

  get outMsat(): bigint | undefined {
    const id = channelIdOf(this.outgoing);
    return paymentOf(this.signer, this.one)?.parts.find(({ channel }) => channel === id)?.outMsat;
  }
}

describe('policy-routing-balanced: after a breach', () => {
  it('policy-routing-balanced: passes when the penalty for the HTLC is buried, with another one never claimed', () => {
    const breach = new Breach().offer().revoke().cheat();
    const { signer, incoming, depth } = breach;
    signer.mineEmpty(depth);
    expect(trips(incoming, breach.release(), BALANCED).temporary).toBe(false);
    signer.mine(breach.penalty(breach.out)).mineEmpty(depth - 2);
    expect(trips(incoming, breach.release(), BALANCED).temporary).toBe(true);
    signer.mineEmpty(1);
    expect(breach.outMsat).toBe(0n);
    incoming.ask(breach.release());
  });

  it('policy-routing-balanced: passes when the revoked commitment without the HTLC is buried', () => {
    const breach = new Breach().revoke().offer().cheat();
    const { signer, incoming, depth } = breach;
    signer.mineEmpty(depth - 2);
    expect(trips(incoming, breach.release(), BALANCED).temporary).toBe(true);
    signer.mineEmpty(1);
    incoming.ask(breach.release());
  });

  it('policy-routing-abandon-unresolved: trips for now when it is the penalty’s depth that is missing', () => {
    const breach = new Breach().offer().revoke().cheat();
    const { signer, incoming, out } = breach;
    signer.mineEmpty(out.cltvExpiry - signer.view.heightBlocks);
    expect(trips(incoming, breach.release(), ABANDON).temporary).toBe(false);
    signer.mine(breach.penalty(out));
    expect(trips(incoming, breach.release(), ABANDON).temporary).toBe(true);
  });

  it('policy-routing-balanced: trips while no stub explains an output that may be the HTLC', () => {
    const breach = new Breach().offer().revoke();
    const { signer, incoming, outgoing, depth } = breach;
    const stub = idsIn(signer.state, stubRecords.name, `${channelIdOf(outgoing)}/`).at(-1)!;
    put(signer, stubRecords, stub, null);
    breach.cheat();
    signer.mineEmpty(depth);
    expect(trips(incoming, breach.release(), BALANCED).temporary).toBe(false);
  });
});

describe('an HTLC that the peer took with the preimage from a revoked commitment', () => {
  it('is ours once its second level is punished', () => {
    const breach = new Breach().offer().revoke().cheat();
    const { signer, depth, out } = breach;
    const second = breach.success();
    signer.mine(second).mineEmpty(DELAY - 2);
    signer.mine(spendOf(second, 0)).mineEmpty(depth - 2);
    expect(breach.outMsat).toBe(out.amountMsat);
    signer.mineEmpty(1);
    expect(breach.outMsat).toBe(0n);
  });

  it('is not ours while the second level is there, nor when the peer’s delay had ended', () => {
    const breach = new Breach().offer().revoke().cheat();
    const { signer, depth, out } = breach;
    const second = breach.success();
    signer.mine(second).mineEmpty(DELAY - 1);
    expect(breach.outMsat).toBe(out.amountMsat);
    signer.mine(spendOf(second, 0)).mineEmpty(depth);
    expect(breach.outMsat).toBe(out.amountMsat);
  });
});

describe('policy-commitment-payment-invoiced: a payment of our own in a breach', () => {
  it('policy-commitment-payment-invoiced: trips until the penalty is buried, then it may be tried again', () => {
    const breach = new Breach();
    const { signer, outgoing, depth } = breach;
    signer.set = {
      approvals: { ...APPROVING, auto: 'velocity', autoPaymentVelocity: { amountSat: 45_000n, per: 'day' } },
    };
    const own = htlc('holder', 40_000, 'own', 100);
    breach.offer(own).revoke();
    breach.built = outgoing.model.build('counterparty', outgoing.counterpartyNumber - 1, breach.old);
    signer.mine(breach.built.tx);
    const other = new OpenChannel({ peer: 'another' }, signer).open();
    signer.mine(other.model.funding.tx).mineEmpty(depth);
    const again = other.model.signRemote(1, adding(other.balances, own));
    expect(trips(other, again, INVOICED).temporary).toBe(false);
    signer.mine(breach.penalty(own));
    expect(trips(other, again, INVOICED).temporary).toBe(true);
    signer.mineEmpty(depth - 1);
    other.ask(again);
  });
});
