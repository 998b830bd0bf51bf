/** Variants of one number of the peer's: the one asked for last is the one that the next number follows. */
import { describe, expect, it } from 'vitest';
import { htlc } from './channel-model.ts';
import { hubChannel, recordOf, trips } from './forwarder.ts';
import { adding, type OpenChannel, removing } from './open-channel.ts';

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
