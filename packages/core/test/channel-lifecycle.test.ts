/**
 * What a channel is asked apart from its commitments: forgetting (A19), its keys and points, whether it is buried.
 */
import { describe, expect, it } from 'vitest';
import { htlc } from './channel-model.ts';
import { adding, OpenChannel } from './open-channel.ts';
import { TestSigner } from './test-signer.ts';

const forget = ({ model }: OpenChannel) =>
  ({ name: 'hsmd_forget_channel', id: model.ref.peerId, dbid: model.ref.dbid }) as const;

describe('policy-channel-forget', () => {
  it('policy-channel-forget: trips no refusal, but a channel in use is only marked and keeps its ratchet (A19)', () => {
    const channel = new OpenChannel().open();
    const balances = adding(channel.balances, htlc('counterparty', 20_000, 'b'));
    channel.update(balances);
    expect(channel.ask(forget(channel))).toEqual({ name: 'hsmd_forget_channel_reply' });
    const { model } = channel;
    expect(channel.tagOf(model.signCommitment(0))).toBe('policy-commitment-holder-not-revoked');
    expect(channel.tagOf(model.signRemote(0))).toBe('policy-commitment-retry-same');
    // What protects the owner goes on: retries, revocations of the peer, a force close and its second level.
    channel.signRemote(balances);
    channel.ask(model.validateRevocation(1));
    channel.ask(model.signCommitment(1, balances));
    for (const request of model.signLocalHtlcs(1, balances)) channel.ask(request);
    expect(channel.signer.state.keys.filter((key) => key.startsWith('channel/'))).toHaveLength(1);
  });

  it('policy-channel-forget: passes a channel nobody knows, and a second time, without a record', () => {
    const unknown = new OpenChannel({ dbid: 8n });
    expect(unknown.ask(forget(unknown))).toEqual({ name: 'hsmd_forget_channel_reply' });
    expect(unknown.signer.state.keys).toEqual([]);
    const channel = new OpenChannel().open();
    channel.ask(forget(channel));
    const before = channel.signer.state.snapshot();
    channel.ask(forget(channel));
    expect(channel.signer.state.snapshot()).toBe(before);
  });

  it('a forgotten channel that was never used may begin again', () => {
    const signer = new TestSigner();
    const channel = new OpenChannel({}, signer);
    channel.ask(channel.model.setup());
    channel.ask(channel.model.signRemote(0));
    channel.ask(forget(channel));
    const again = new OpenChannel({ isOutbound: false, valueSat: 2_000_000n }, signer).open();
    again.update(again.balances);
  });
});

describe('keys and points', () => {
  it('get_channel_basepoints answers for any pair', () => {
    const { signer, model } = new OpenChannel();
    const request = { name: 'hsmd_get_channel_basepoints', peerid: model.ref.peerId, dbid: 1n } as const;
    expect(signer.ask(request)).toEqual({
      name: 'hsmd_get_channel_basepoints_reply',
      basepoints: model.holder,
      fundingPubkey: model.holderFundingKey,
    });
    expect(signer.ask({ ...request, dbid: 2n ** 64n - 1n })).not.toEqual(signer.ask(request));
  });

  it('get_per_commitment_point answers before a channel is set up', () => {
    const channel = new OpenChannel();
    expect(channel.ask(channel.model.getPoint(1))).toEqual({
      name: 'hsmd_get_per_commitment_point_reply',
      perCommitmentPoint: channel.model.point('holder', 1),
      oldCommitmentSecret: undefined,
    });
    expect(channel.signer.state.keys).toEqual([]);
  });
});

describe('check_outpoint', () => {
  it('believes the node while the signer has no chain view of its own', () => {
    const channel = new OpenChannel().open();
    const { txid, vout } = channel.model.funding.outpoint;
    const request = { name: 'hsmd_check_outpoint', fundingTxid: txid, fundingTxout: vout } as const;
    expect(channel.ask(request)).toEqual({ name: 'hsmd_check_outpoint_reply', isBuried: true });
  });
});
