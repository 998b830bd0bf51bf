/** What one view has credited is ours in the other view too (attack A22, for an invoice of ours). */
import { describe, expect, it } from 'vitest';
import { htlc } from './channel-model.ts';
import { deliver, hubChannel, recordOf, trips } from './forwarder.ts';
import { adding, removing } from './open-channel.ts';

const conserved = 'policy-commitment-balance-conserved';
const first = htlc('counterparty', 20_000, 'paid twice');
const second = { ...first, cltvExpiry: first.cltvExpiry + 1, amountMsat: 30_000_000n };

describe('an HTLC that one view has credited', () => {
  it("in the peer's commitment, must be credited in ours", () => {
    const channel = hubChannel({});
    channel.update(adding(channel.balances, first));
    deliver(channel.signer, first);
    channel.ask(channel.model.signRemote(2, removing(channel.balances, first, 'settled')));
    channel.ask(channel.model.validate(2, removing(channel.balances, first, 'failed')));
    trips(channel, channel.model.revoke(1), conserved, { must_credit_msat: 20_000_000n });
    channel.ask(channel.model.validate(2, removing(channel.balances, first, 'settled')));
    channel.ask(channel.model.revoke(1));
  });

  it("in ours, must be credited in the peer's", () => {
    const channel = hubChannel({});
    channel.update(adding(channel.balances, first));
    deliver(channel.signer, first);
    channel.ask(channel.model.validate(2, removing(channel.balances, first, 'settled')));
    channel.ask(channel.model.revoke(1));
    trips(channel, channel.model.signRemote(2, removing(channel.balances, first, 'failed')), conserved);
    channel.ask(channel.model.signRemote(2, removing(channel.balances, first, 'settled')));
  });

  it('owes no more than it credited: another part of the payment may fail', () => {
    const channel = hubChannel({});
    channel.update(adding(channel.balances, first, second));
    const after = removing(removing(channel.balances, first, 'settled'), second, 'failed');
    channel.update(after);
    expect(recordOf(channel).holderNextRevoke).toBe(2);
  });

  it.each([
    ['as large', { ...first, cltvExpiry: first.cltvExpiry + 1 }],
    ['larger', second],
  ])(
    'is owed when it goes here too: another of the hash, %s, that nobody took may go before it',
    (_, taken) => {
      const parted = () => {
        const channel = hubChannel({});
        channel.update(adding(channel.balances, first, taken));
        const failed = removing(channel.balances, first, 'failed');
        channel.signRemote(failed);
        channel.peerRevokes();
        deliver(channel.signer, taken);
        // The peer has acknowledged the failure, and its own commitment without the HTLC is on its way to us.
        channel.signRemote(removing(failed, taken, 'settled'));
        return { channel, failed };
      };
      const { channel, failed } = parted();
      channel.validate(failed);
      channel.revoke();
      channel.validate(removing(failed, taken, 'failed'));
      trips(channel, channel.model.revoke(2), conserved, { must_credit_msat: taken.amountMsat });
      channel.validate(removing(failed, taken, 'settled'));
      channel.revoke();
      const other = parted();
      other.channel.validate(removing(other.failed, taken, 'failed'));
      trips(other.channel, other.channel.model.revoke(1), conserved, { must_credit_msat: taken.amountMsat });
    },
  );

  it('owes nothing once it is credited in both, whatever of the hash comes and goes later', () => {
    const channel = hubChannel({});
    channel.update(adding(channel.balances, first));
    channel.update(removing(channel.balances, first, 'settled'));
    channel.update(adding(channel.balances, second));
    channel.update(removing(channel.balances, second, 'failed'));
    expect(recordOf(channel).holderNextRevoke).toBe(4);
  });
});

describe('more HTLCs of a hash that is no invoice we know of (a keysend, an offer)', () => {
  const third = { ...first, cltvExpiry: first.cltvExpiry + 2, amountMsat: 10_000_000n };

  it('may fail once it is paid, and before that not all of them', () => {
    const channel = hubChannel({});
    channel.update(adding(channel.balances, first));
    deliver(channel.signer, first);
    trips(channel, channel.model.signRemote(2, removing(channel.balances, first, 'failed')), conserved, {
      must_credit_msat: 20_000_000n,
    });
    channel.update(removing(channel.balances, first, 'settled'));
    channel.update(adding(channel.balances, second));
    channel.update(removing(channel.balances, second, 'failed'));
    expect(recordOf(channel).holderNextRevoke).toBe(4);
  });

  it('may fail in the step in which it is paid', () => {
    for (const [paid, failed] of [
      [first, third],
      [third, first],
    ] as const) {
      const channel = hubChannel({});
      channel.update(adding(channel.balances, paid, failed));
      deliver(channel.signer, paid);
      const none = removing(removing(channel.balances, paid, 'failed'), failed, 'failed');
      trips(channel, channel.model.signRemote(2, none), conserved, { must_credit_msat: 10_000_000n });
      channel.update(removing(removing(channel.balances, paid, 'settled'), failed, 'failed'));
      expect(recordOf(channel).holderNextRevoke).toBe(2);
    }
  });
});
