/** Law 2 at the turns of a channel's life: what a splice carries over, and what is said of a step that is refused. */
import { describe, expect, it } from 'vitest';
import { htlc, type ModelOptions } from './channel-model.ts';
import { budget, hubChannel, recordOf, type Settings, trips, warningsOf } from './forwarder.ts';
import { adding, removing } from './open-channel.ts';

const CONSERVED = 'policy-commitment-balance-conserved';

/** A channel at number 1 with a splice set up. */
function spliceable(options: ModelOptions = {}, set: Settings = {}, addedSat = 100_000n) {
  const channel = hubChannel(options, set);
  channel.update(channel.balances);
  const splice = channel.model.spliceOf('splice', addedSat);
  channel.ask(channel.model.setup(splice));
  const carried = () => recordOf(channel).candidates[1]!;
  return { channel, splice, carried };
}

describe('the first commitment on a splice', () => {
  it('keeps our fraction of a satoshi', () => {
    const { channel, splice, carried } = spliceable({ pushMsat: 300_000_001n });
    channel.ask(channel.model.validate(1, channel.balances, splice));
    channel.ask(channel.model.signRemote(1, channel.balances, splice));
    expect(carried().validated[0]!.ledger!.holderMsat).toBe(799_999_999n);
    expect(carried().issued[0]!.ledger!.holderMsat).toBe(799_999_999n);
  });

  it('keeps a balance that has no output', () => {
    const { channel, splice, carried } = spliceable({ isOutbound: false, pushMsat: 400_001n }, {}, 0n);
    channel.ask(channel.model.validate(1, channel.balances, splice));
    channel.ask(channel.model.signRemote(1, channel.balances, splice));
    expect(carried().validated[0]!.toHolderSat).toBeNull();
    expect(carried().validated[0]!.ledger!.holderMsat).toBe(400_001n);
    expect(carried().issued[0]!.ledger!.holderMsat).toBe(400_001n);
  });

  it('adds no HTLC: limits that were lowered since do not judge what it carries', () => {
    const channel = hubChannel();
    channel.update(
      adding(channel.balances, htlc('counterparty', 30_000, 'one'), htlc('counterparty', 30_000, 'two')),
    );
    const splice = channel.model.spliceOf('splice');
    channel.ask(channel.model.setup(splice));
    channel.signer.set = { ...channel.signer.set, limits: { htlcCountMax: 1 } };
    channel.ask(channel.model.signRemote(1, channel.balances, splice));
    expect(recordOf(channel).candidates[1]!.issued[0]!.htlcs).toHaveLength(2);
    const more = adding(channel.balances, htlc('counterparty', 30_000, 'three'));
    trips(channel, channel.model.signRemote(2, more), 'policy-commitment-htlc-count-limit', { received: 3 });
  });

  it('policy-routing-deltas-only-htlc: trips where no commitment of the number stands on another funding', () => {
    const { channel, splice } = spliceable();
    const request = channel.model.signRemote(2, channel.balances, splice);
    trips(channel, request, 'policy-routing-deltas-only-htlc', { number: 2, view: 'counterparty' });
  });

  it('policy-commitment-balance-conserved: trips when the second view gets less of the splice than the first', () => {
    const { channel, splice } = spliceable();
    const { balances, model } = channel;
    channel.ask(model.validate(1, balances, splice));
    const less = (msat: bigint) => ({
      ...balances,
      holderMsat: balances.holderMsat - msat,
      counterpartyMsat: balances.counterpartyMsat + msat,
    });
    trips(channel, model.signRemote(1, less(1000n), splice), CONSERVED, {
      view: 'counterparty',
      number: 1,
      due_msat: 800_000_000n,
      given_msat: 799_999_000n,
      splice_msat: 100_000_000n,
    });
    channel.ask(model.signRemote(1, balances, splice));
  });

  it('policy-commitment-balance-conserved: trips when our view gets less of the splice than the peer’s, in a splice-out too', () => {
    const { channel, splice } = spliceable({}, {}, -50_000n);
    const { balances, model } = channel;
    channel.ask(model.signRemote(1, balances, splice));
    const less = {
      ...balances,
      holderMsat: balances.holderMsat - 1000n,
      counterpartyMsat: balances.counterpartyMsat + 1000n,
    };
    trips(channel, model.validate(1, less, splice), CONSERVED, {
      view: 'holder',
      due_msat: 650_000_000n,
      given_msat: 649_999_000n,
      splice_msat: -50_000_000n,
    });
    channel.ask(model.validate(1, balances, splice));
  });
});

describe('a refused step', () => {
  it('policy-commitment-balance-conserved: trips with what was expected, what is given, and what more may be hidden', () => {
    const channel = hubChannel();
    const { balances } = channel;
    const bad = {
      ...balances,
      holderMsat: balances.holderMsat - 5_000_000n,
      counterpartyMsat: balances.counterpartyMsat + 4_000_000n,
    };
    trips(channel, channel.model.signRemote(1, bad), CONSERVED, {
      expected_msat: 700_000_000n,
      given_msat: 695_000_000n,
      given_max_msat: 1_000_000n,
      must_credit_msat: 0n,
    });
  });

  it('policy-commitment-payment-settled-preimage: trips only while the settlement explains the loss, to the satoshi', () => {
    const out = htlc('holder', 40_000, 'a payment');
    const channel = hubChannel({}, { approvals: budget(100_000n) });
    channel.update(adding(channel.balances, out));
    channel.signer.ask({ name: 'countersign_preimages', preimages: [new Uint8Array(32).fill(7)] });
    const settled = removing(channel.balances, out, 'settled');
    const less = (msat: bigint) =>
      channel.model.signRemote(2, {
        ...settled,
        holderMsat: settled.holderMsat - msat,
        counterpartyMsat: settled.counterpartyMsat + msat,
      });
    trips(channel, less(0n), 'policy-commitment-payment-settled-preimage', { unproven_msat: 40_000_000n });
    trips(channel, less(1000n), CONSERVED, { expected_msat: 700_000_000n });
    // Dust that is still in the fee may be ours.
    const dusty = channel.model.signRemote(2, { ...settled, holderMsat: settled.holderMsat - 3_000_000n });
    trips(channel, dusty, 'policy-commitment-payment-settled-preimage');
  });

  it('warns of a settlement without preimage where something is given, not where it may still arrive', () => {
    const out = htlc('holder', 40_000, 'a payment');
    const channel = hubChannel({}, { approvals: budget(100_000n) });
    channel.update(adding(channel.balances, out));
    const settled = removing(channel.balances, out, 'settled');
    expect(warningsOf(channel, channel.model.validate(2, settled))).toEqual([]);
    channel.validate(settled);
    const { model } = channel;
    for (const request of [model.signRemote(2, settled), model.revoke(1)])
      expect(warningsOf(channel, request)).toEqual(['policy-commitment-payment-settled-preimage']);
  });
});
