/** What would not fit a record is refused before it is decided; an error while storing would end the process. */
import { msat } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { FATES_MAX, HTLCS_MAX } from '../src/channel/record.ts';
import { ledgerOf } from '../src/ledger/explain.ts';
import { recordFlow } from '../src/policy/velocity.ts';
import { velocityRecords } from '../src/records/velocity.ts';
import { Draft } from '../src/state.ts';
import { htlc } from './channel-model.ts';
import { channelOf, hub } from './hub.ts';
import { MemoryState } from './memory-state.ts';
import { adding, removing } from './open-channel.ts';
import { bytesOf } from './test-signer.ts';

const fate = { paymentHash: bytesOf('hash'), amountMsat: msat(1n), how: 'settled' } as const;
const one = {
  offeredBy: 'holder',
  amountMsat: msat(1n),
  paymentHash: bytesOf('hash'),
  cltvExpiry: 1,
} as const;

describe('a ledger', () => {
  const empty = { driftMsat: 0n, trimmed: [], fates: [] };

  it.each([
    ['fates', { ...empty, fates: Array(FATES_MAX).fill(fate) }, { fates: Array(FATES_MAX + 1).fill(fate) }],
    [
      'trimmed HTLCs',
      { ...empty, trimmed: Array(HTLCS_MAX).fill(one) },
      { trimmed: Array(HTLCS_MAX + 1).fill(one) },
    ],
    ['drift', { ...empty, driftMsat: 2n ** 63n - 1n }, { driftMsat: 2n ** 63n }],
  ])('with too much of %s is malformed', (_, fits, more) => {
    expect(ledgerOf(5n, fits)).toEqual({ holderMsat: 5n, ...fits });
    expect(() => ledgerOf(5n, { ...fits, ...more })).toThrow('than can be kept on record');
  });
});

describe('a velocity', () => {
  it('that nothing bounds stays within its record', () => {
    const place = { draft: new Draft(new MemoryState()), nowSeconds: 1_700_000_000 };
    const limit = { amountSat: 1n, per: 'hour' } as const;
    for (let hour = 0; hour < 24; hour++) {
      for (let i = 0; i < 8; i++) recordFlow(place, 'payment', limit, 2_100_000_000_000_000_000n);
      place.nowSeconds += 150;
    }
    const { amountsMsat } = place.draft.get(velocityRecords, 'payment')!;
    expect(amountsMsat.reduce((sum, amount) => sum + amount, 0n)).toBeLessThan(2n ** 63n);
  });
});

describe('a payment', () => {
  it('that comes in on many channels, each larger than all coins, is malformed before it overflows', () => {
    const signer = hub();
    signer.set = { ...signer.set, limits: { fundingMaxSat: 2_099_999_999_000_000n } };
    const incoming = { ...htlc('counterparty', 1, 'paper'), amountMsat: 2_000_000_000_000_000_000n };
    const channels = [1, 2, 3, 4, 5].map((i) =>
      channelOf(signer, `paper ${i}`, { isOutbound: false, valueSat: 2_099_999_999_000_000n }),
    );
    const tags = channels.map((channel) => {
      channel.update(adding(channel.balances, incoming));
      const next = removing(channel.balances, incoming, 'settled');
      const decision = signer.decide(
        channel.model.signRemote(2, next),
        signer.clientFor(channel.model.signRemote(2, next), channel.model.ref),
      );
      if (decision.kind === 'refused') return decision.refusal.tag;
      signer.state.apply(decision.changes);
      return null;
    });
    expect(tags).toEqual([null, null, null, null, 'policy-generic-error']);
  });
});
