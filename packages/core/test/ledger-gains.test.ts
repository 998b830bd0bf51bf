/** Which of the HTLCs that left came to us: what the random lives of lives-laws.test.ts taught, as plain numbers. */
import type { MessageOf } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import type { Observed } from '../src/ledger/observe.ts';
import { chooseGains } from '../src/ledger/subset.ts';
import { hashOf, htlc, type ModelHtlc } from './channel-model.ts';
import { deliver, hubChannel } from './forwarder.ts';
import { bolt11Fields, encodeFields } from './invoices.ts';
import { adding, removing } from './open-channel.ts';

const observed = (changes: Partial<Observed>): Observed => ({
  feeratePerKw: 1000,
  holderSat: 300_000n,
  counterpartySat: 600_000n,
  holderBoundSat: 1000n,
  counterpartyBoundSat: 1000n,
  poolMsat: 0n,
  ...changes,
});
/** What lightningd asks to sign for an invoice of ours with that hash. */
const signInvoice = (one: ModelHtlc): MessageOf<'hsmd_sign_invoice'> => ({
  name: 'hsmd_sign_invoice',
  u5bytes: encodeFields(1_700_000_000, bolt11Fields({ hash: hashOf(one) })),
  hrp: new TextEncoder().encode('lnbcrt'),
});

const gain = (amountMsat: bigint, isLikely = false) => ({ amountMsat, isLikely });

describe('a balance without an output', () => {
  it('took in no more than stays below the bound, however likely', () => {
    const small = gain(400_000n, true);
    const large = gain(7_044_897n, true);
    const none = observed({ holderSat: null, poolMsat: 1_000_000n });
    expect([...chooseGains([large, small], 0n, none)]).toEqual([small]);
    expect([...chooseGains([gain(600_000n, true)], 500_000n, none)]).toEqual([]);
    expect([...chooseGains([gain(600_000n)], 0n, none)]).toEqual([]);
    expect([...chooseGains([], 0n, none)]).toEqual([]);
    // Each fits, and only one of them.
    expect([...chooseGains([small, gain(600_001n, true)], 0n, none)]).toEqual([small]);
    expect([...chooseGains([small, gain(600_000n, true)], 0n, none)]).toHaveLength(2);
  });

  it('took in no more than is invisible: the rest is seen to be the peer’s, or in flight', () => {
    const [small, large] = [gain(400_000n, true), gain(900_000n, true)];
    const little = observed({ holderSat: null, poolMsat: 450_000n });
    expect([...chooseGains([large, small], 0n, little)]).toEqual([small]);
    expect([...chooseGains([small], 50_000n, little)]).toEqual([small]);
    expect([...chooseGains([small], 50_001n, little)]).toEqual([]);
  });

  it('policy-commitment-balance-conserved: passes when a part fails whose sum the peer’s dust limit would hide', () => {
    const channel = hubChannel({ format: 'anchors_zero_fee_htlc', isOutbound: false, pushMsat: 0n });
    const part = htlc('counterparty', 926, 'sold in parts');
    const twin = { ...part, cltvExpiry: part.cltvExpiry + 1 };
    channel.signer.ask(signInvoice(part));
    // Outputs of 926 sat: the dust limit is no higher, a balance of as much could be hidden below it.
    channel.update(adding(channel.balances, part, twin));
    deliver(channel.signer, part);
    channel.update(removing(channel.balances, part, 'failed'));
    channel.update(removing(channel.balances, twin, 'failed'));
    expect(channel.balances.holderMsat).toBe(0n);
  });

  it('policy-commitment-balance-conserved: passes when an invoice of ours fails whose preimage is known', () => {
    for (const format of ['static_remotekey', 'anchors_zero_fee_htlc'] as const) {
      const channel = hubChannel({ format, isOutbound: false, pushMsat: 0n });
      const sold = htlc('counterparty', 7000, 'sold');
      channel.signer.ask(signInvoice(sold));
      channel.update(adding(channel.balances, sold));
      deliver(channel.signer, sold);
      channel.update(removing(channel.balances, sold, 'failed'));
      expect(channel.balances.holderMsat).toBe(0n);
    }
  });
});

describe('a balance whose fraction of a satoshi is not known', () => {
  it('is explained by the subset that is a fraction short', () => {
    const [came, stayed] = [gain(1_236_099n), gain(427_000n)];
    // 298,995 sat are shown, 297,758,500 msat were known: 1,236,500 came, or a little less.
    const shown = observed({ holderSat: 298_995n, poolMsat: 430_000n });
    expect([...chooseGains([came, stayed], 297_758_500n, shown)]).toEqual([came]);
    // Where a subset is exact, it goes first.
    const exact = gain(1_236_600n);
    expect([...chooseGains([came, exact, stayed], 297_758_500n, shown)]).toEqual([exact]);
  });

  it('is explained so rather than by dust, where the gain is small', () => {
    const came = gain(300_099n);
    expect([...chooseGains([came], 297_758_500n, observed({ holderSat: 298_059n }))]).toEqual([came]);
  });

  it('is never a whole satoshi', () => {
    expect([...chooseGains([gain(1_000_999n)], 0n, observed({ holderSat: 1000n }))]).toHaveLength(1);
    expect([...chooseGains([gain(1_001_000n)], 0n, observed({ holderSat: 1000n }))]).toEqual([]);
    const more = [gain(1_001_000n), gain(900_000n)];
    expect([...chooseGains(more, 0n, observed({ holderSat: 1000n }))]).toEqual([more[1]]);
  });
});

describe('the search among gains', () => {
  it('finds nothing where whatever came would be more than is missing', () => {
    const less = observed({ holderSat: 9n, poolMsat: 990n });
    expect([...chooseGains([gain(1_000_000n)], 10_000n, less)]).toEqual([]);
  });

  it('ends, however many there are, and answers with what came near', () => {
    const many = Array.from({ length: 60 }, (_, i) => gain(2_000_000n * BigInt(i + 1)));
    const shown = observed({ holderSat: 300_001n, poolMsat: 10_000_000n });
    const chosen = [...chooseGains(many, 0n, shown)];
    const came = chosen.reduce((sum, { amountMsat }) => sum + amountMsat, 0n);
    expect(came - 300_001_000n).toBeLessThanOrEqual(10_000_000n);
  });
});
