/** Attacks with commitment 0, which follows nothing, and with the rate that is not stated. */
import { describe, expect, it } from 'vitest';
import { channelOf, hub } from './hub.ts';
import { OpenChannel } from './open-channel.ts';

describe('commitment 0', () => {
  it('our own is judged by all limits: its fee is not our whole balance', () => {
    const channel = new OpenChannel({ peer: 'burnt' }, hub());
    channel.ask(channel.model.setup());
    const burning = { ...channel.balances, holderMsat: 2_000_000n, feeratePerKw: 0 };
    expect(channel.tagOf(channel.model.validate(0, burning))).toBe('policy-commitment-fee-range');
  });

  it('no later one states the rate 0', () => {
    const channel = channelOf(hub(), 'rate 0', { format: 'static_remotekey' });
    const silent = { ...channel.balances, feeratePerKw: 0 };
    const request = { ...channel.model.signRemote(1, channel.balances), feerate: 0 };
    expect(channel.tagOf(request)).toBe('policy-commitment-fee-range');
    expect(channel.tagOf(channel.model.signRemote(1, silent))).toBe('policy-commitment-fee-range');
  });
});
